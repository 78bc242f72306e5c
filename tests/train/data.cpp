// SPDX-License-Identifier: MIT
// tests/train/data.cpp: texts and tasks: what stands where, and which bytes are scored
#include <cstdio>
#include <fstream>
#include <map>

#include "language_model/error.hpp"
#include "language_model/tasks.hpp"
#include "language_model/text.hpp"
#include "support/catch.hpp"

using heed_test::contains;
using language_model::batch;
using language_model::generator;
using language_model::text;

namespace {

std::string noise(std::size_t size) {
    std::string bytes(size, '\0');
    generator random(1);
    for (char& byte : bytes) byte = static_cast<char>(random.below(256));
    return bytes;
}
std::string row(const batch& b, std::ptrdiff_t i) {
    std::string bytes;
    for (std::ptrdiff_t p = 0; p < b.length; ++p)
        bytes += static_cast<char>(b.inputs[static_cast<std::size_t>(i * b.length + p)]);
    return bytes;
}
std::int32_t target(const batch& b, std::ptrdiff_t i, std::ptrdiff_t p) {
    return b.targets[static_cast<std::size_t>(i * b.length + p)];
}

}  // namespace

TEST_CASE("a text's last tenth is kept apart") {
    const std::string bytes = noise(1005);
    const text t(bytes);
    CHECK(t.training() == bytes.substr(0, 905));
    CHECK(t.validation() == bytes.substr(905));
    CHECK(t.size() == 1005);
    CHECK(text(bytes).digest() == t.digest());
    std::string changed = bytes;
    changed[700] = static_cast<char>(changed[700] ^ 1);
    CHECK(text(changed).digest() != t.digest());
}

TEST_CASE("batches are sequences of the training part, each byte the target of the one before") {
    const text t(noise(1000));
    batch b;
    b.resize(50, 33);
    generator random(3);
    std::map<std::string, int> seen;
    for (int draw = 0; draw < 20; ++draw) {
        t.draw(b, random);
        for (std::ptrdiff_t i = 0; i < b.sequences; ++i) {
            const std::string sequence = row(b, i) + static_cast<char>(target(b, i, b.length - 1));
            const std::size_t at = t.training().find(sequence);
            REQUIRE(at != std::string::npos);
            for (std::ptrdiff_t p = 0; p + 1 < b.length; ++p)
                REQUIRE(target(b, i, p) ==
                        static_cast<std::uint8_t>(sequence[static_cast<std::size_t>(p) + 1]));
            ++seen[sequence];
        }
    }
    CHECK(seen.size() > 500);  // of 867 places, 1000 times
}

TEST_CASE("validation covers its part once, in order") {
    const text t(noise(2000));
    CHECK(t.validation_sequences(30) == 6);
    std::string covered;
    for (std::ptrdiff_t first = 0; first < 6;) {
        batch b;
        b.resize(4, 30);
        const std::ptrdiff_t found = t.validation_from(first, b);
        CHECK(found == (first == 0 ? 4 : 2));
        CHECK(b.sequences == 4);
        for (std::ptrdiff_t i = 0; i < 4; ++i) {
            if (i < found) covered += row(b, i);
            for (std::ptrdiff_t p = 0; p < 30; ++p) CHECK((target(b, i, p) >= 0) == (i < found));
        }
        first += found;
    }
    CHECK(covered == t.validation().substr(0, 180));
}

TEST_CASE("texts that cannot be used are named") {
    CHECK_THROWS_WITH(text::from_files({"/nowhere/a.txt"}), contains("cannot read the text /nowhere/a.txt"));
    CHECK_THROWS_WITH(text::from_files({"."}), contains("cannot read the text .: it is a folder"));
    const std::string path = "train_data_empty.txt";
    std::ofstream(path).flush();
    CHECK_THROWS_WITH(text::from_files({path}), contains("is empty"));
    std::ofstream(path) << "abc";
    CHECK(text::from_files({path, path}).size() == 6);
    std::remove(path.c_str());
    CHECK_THROWS_WITH(text(noise(400)).check_length(64), contains("need at least 650"));
    CHECK_NOTHROW(text(noise(650)).check_length(64));
}

TEST_CASE("copy_first asks for the first bytes again, and scores nothing else") {
    generator random(5);
    for (std::ptrdiff_t length : {8, 9, 16, 64}) {
        CAPTURE(length);
        const std::ptrdiff_t copied = language_model::copied_bytes(length);
        CHECK(copied == (length < 16 ? 2 : 4));
        batch b;
        b.resize(20, length);
        language_model::draw_copy_first(b, random);
        for (std::ptrdiff_t i = 0; i < b.sequences; ++i) {
            const std::string bytes = row(b, i);
            CHECK(bytes[static_cast<std::size_t>(length - copied)] == '?');
            CHECK(bytes.find('?') == static_cast<std::size_t>(length - copied));
            for (std::ptrdiff_t p = 0; p < length; ++p) {
                const std::ptrdiff_t answer = p - (length - copied);
                CHECK(target(b, i, p) ==
                      (answer < 0 ? batch::not_scored : bytes[static_cast<std::size_t>(answer)]));
            }
        }
    }
}

TEST_CASE("recall asks for the value of every stored key once, and scores nothing else") {
    using language_model::recall_values;
    generator random(6);
    std::map<int, int> stored, answers;
    for (std::ptrdiff_t length : {8, 15, 31, 32, 64, 207}) {
        CAPTURE(length);
        const std::ptrdiff_t pairs = language_model::recall_pairs(length);
        CHECK(pairs == std::min<std::ptrdiff_t>(16, length / 2));
        batch b;
        b.resize(40, length);
        language_model::draw_recall(b, random);
        for (std::ptrdiff_t i = 0; i < b.sequences; ++i) {
            const std::string bytes = row(b, i);
            std::map<int, int> value;
            for (std::ptrdiff_t p = 0; p < length; ++p) {
                const int byte = static_cast<std::uint8_t>(bytes[static_cast<std::size_t>(p)]);
                if (p < pairs) {
                    REQUIRE(byte >= 128);
                    value[(byte - 128) / recall_values] = (byte - 128) % recall_values;
                    ++stored[byte];
                }
                if (p < length - pairs) {
                    CHECK(target(b, i, p) == batch::not_scored);
                    if (p >= pairs) CHECK(byte == '.');
                    continue;
                }
                REQUIRE(value.count(byte - 'a') == 1);
                CHECK(target(b, i, p) == '0' + value[byte - 'a']);
                ++answers[target(b, i, p)];
                value.erase(byte - 'a');
            }
            CHECK(value.empty());
        }
    }
    CHECK(stored.size() == 128);  // every key with every value
    CHECK(answers.size() == 8);
}
