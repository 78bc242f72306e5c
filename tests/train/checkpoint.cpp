// SPDX-License-Identifier: MIT
// tests/train/checkpoint.cpp: what was written comes back, and a bad file changes nothing
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "language_model/checkpoint.hpp"
#include "language_model/digest.hpp"
#include "language_model/error.hpp"
#include "support/catch.hpp"

using heed_test::contains;
using language_model::checkpoint;
using language_model::checkpoint_file;
using language_model::parameter_list;

namespace {

const std::string path = "train_checkpoint_test.bin";

struct tensors {
    std::vector<float> a{1, -2, 3.5f, 0, 1e-40f, -0.0f}, b{7, 8, 9};
    parameter_list list() {
        return {{"layers.0.weight", {2, 3}, a.data(), nullptr, 6}, {"norm.gain", {3}, b.data(), nullptr, 3}};
    }
    bool operator==(const tensors& other) const {
        return std::memcmp(a.data(), other.a.data(), 24) == 0 &&
               std::memcmp(b.data(), other.b.data(), 12) == 0;
    }
};

checkpoint some_state() { return {"width 3\nattention exact\n", "text 17", 41, 0xfeedfacecafebeefu}; }

std::string read_file() {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}
void write_file(const std::string& bytes) {
    std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}
// The digest at the end is made to fit again, as a writer of another kind would.
std::string sealed(std::string bytes) {
    const std::uint64_t digest = language_model::digest_of(bytes.data(), bytes.size() - 8);
    std::memcpy(bytes.data() + bytes.size() - 8, &digest, 8);
    return bytes;
}

struct with_file {
    tensors written;
    with_file() { save(path, some_state(), written.list()); }
    ~with_file() { std::remove(path.c_str()); }
};

}  // namespace

TEST_CASE("a checkpoint comes back bit by bit") {
    with_file file;
    tensors read;
    read.a.assign(6, 99.0f);
    read.b.assign(3, 99.0f);
    const checkpoint_file stored(path);
    CHECK(stored.state().configuration == some_state().configuration);
    CHECK(stored.state().source == "text 17");
    CHECK(stored.state().step == 41);
    CHECK(stored.state().generator == 0xfeedfacecafebeefu);
    stored.restore(read.list());
    CHECK(read == file.written);
}

TEST_CASE("a checkpoint that was cut off is refused, wherever") {
    with_file file;
    const std::string whole = read_file();
    for (std::size_t size = 0; size < whole.size(); ++size) {
        CAPTURE(size);
        write_file(whole.substr(0, size));
        CHECK_THROWS_AS(checkpoint_file(path), language_model::error);
    }
    write_file(whole.substr(0, whole.size() - 1));
    CHECK_THROWS_WITH(checkpoint_file(path),
                      contains("cut off or damaged: it has " + std::to_string(whole.size() - 1) +
                               " bytes of " + std::to_string(whole.size())));
    write_file(whole + "x");
    CHECK_THROWS_WITH(checkpoint_file(path), contains("cut off or damaged"));
    write_file(whole.substr(0, 20));
    CHECK_THROWS_WITH(checkpoint_file(path), contains("is cut off: it has 20 bytes"));
}

TEST_CASE("a flipped bit is found, wherever") {
    with_file file;
    const std::string whole = read_file();
    for (std::size_t byte = 0; byte < whole.size(); ++byte) {
        CAPTURE(byte);
        std::string flipped = whole;
        flipped[byte] = static_cast<char>(flipped[byte] ^ (1 << byte % 8));
        write_file(flipped);
        CHECK_THROWS_AS(checkpoint_file(path), language_model::error);
    }
    std::string flipped = whole;
    flipped[whole.size() - 20] ^= 1;
    write_file(flipped);
    CHECK_THROWS_WITH(checkpoint_file(path), contains("is damaged: its digest is not that of its bytes"));
}

TEST_CASE("other files and other versions are named") {
    with_file file;
    std::string bytes = read_file();
    for (const char other : {'1', '3'}) {  // 1 did not remember the steps
        bytes[8] = static_cast<char>(other - '0');
        write_file(sealed(bytes));
        CHECK_THROWS_WITH(checkpoint_file(path),
                          contains(std::string("is of version ") + other + ", this program reads version 2"));
    }
    write_file("a text of some length, and no checkpoint at all");
    CHECK_THROWS_WITH(checkpoint_file(path), contains(path + " is not a checkpoint of this program"));
    std::remove(path.c_str());
    CHECK_THROWS_WITH(checkpoint_file(path), contains("cannot read the checkpoint " + path));
    std::filesystem::create_directory(path);
    CHECK_THROWS_WITH(checkpoint_file(path),
                      contains("cannot read the checkpoint " + path + ": it is a folder"));
    std::filesystem::remove(path);
}

TEST_CASE("a place that cannot be written is known before there is something to save") {
    CHECK_THROWS_WITH(language_model::check_place("/nowhere/at/all/c.bin"),
                      contains("cannot write the checkpoint /nowhere/at/all/c.bin"));
    std::filesystem::create_directory(path);
    CHECK_THROWS_WITH(language_model::check_place(path), contains(path + ": it is a folder"));
    std::filesystem::remove(path);
    with_file file;
    const std::string whole = read_file();
    language_model::check_place(path);
    CHECK(read_file() == whole);
    CHECK_FALSE(std::filesystem::exists(path + ".new"));
}

TEST_CASE("lengths inside the file are checked against what is left") {
    with_file file;
    const std::string whole = read_file();
    const std::uint64_t huge = ~std::uint64_t{0};
    // Of the configuration, of the number of tensors, and of the first tensor's name, axes and first extent.
    const std::size_t configuration = 24, tensor_count = 24 + 8 + 24 + 8 + 7 + 16;
    for (std::size_t at : {configuration, tensor_count, tensor_count + 8, tensor_count + 16 + 15,
                           tensor_count + 16 + 15 + 8}) {
        CAPTURE(at);
        std::string bytes = whole;
        std::memcpy(bytes.data() + at, &huge, 8);
        write_file(sealed(bytes));
        CHECK_THROWS_WITH(checkpoint_file(path), contains("a length is wrong"));
    }
    std::string fewer = whole;
    fewer[tensor_count] = 1;
    write_file(sealed(fewer));
    CHECK_THROWS_WITH(checkpoint_file(path), contains("bytes are left over"));
}

TEST_CASE("tensors that are not the model's change nothing") {
    with_file file;
    const checkpoint_file stored(path);
    tensors read;
    read.a.assign(6, 99.0f);
    read.b.assign(3, 99.0f);
    const tensors before = read;

    parameter_list list = read.list();
    list[1].shape = {3, 1};
    CHECK_THROWS_WITH(stored.restore(list), contains("holds norm.gain as 3, the model has 3 x 1"));
    CHECK(read == before);
    list = read.list();
    list[0].shape = {3, 2};
    CHECK_THROWS_WITH(stored.restore(list), contains("holds layers.0.weight as 2 x 3, the model has 3 x 2"));
    CHECK(read == before);
    list = read.list();
    list[1].name = "norm.offset";
    CHECK_THROWS_WITH(stored.restore(list), contains("holds 'norm.gain' where the model has 'norm.offset'"));
    CHECK(read == before);
    list.pop_back();
    CHECK_THROWS_WITH(stored.restore(list), contains("holds 2 tensors, the model has 1"));
    CHECK(read == before);
}

TEST_CASE("a checkpoint that cannot be written leaves the one before") {
    tensors t;
    CHECK_THROWS_WITH(save("/nowhere/at/all/c.bin", some_state(), t.list()),
                      contains("cannot write the checkpoint /nowhere/at/all/c.bin"));
    with_file file;
    const std::string whole = read_file();
    // Where the new file is made, a folder stands in its way.
    std::filesystem::create_directory(path + ".new");
    checkpoint other = some_state();
    other.step = 42;
    CHECK_THROWS_AS(save(path, other, t.list()), language_model::error);
    CHECK(read_file() == whole);
    std::filesystem::remove(path + ".new");
    save(path, other, t.list());
    CHECK(checkpoint_file(path).state().step == 42);
    CHECK_FALSE(std::ifstream(path + ".new").good());
}
