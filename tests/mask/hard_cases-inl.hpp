// SPDX-License-Identifier: MIT
// tests/mask/hard_cases-inl.hpp: the masks that have broken attention kernels (R9)
//
// Included by hard_cases.cpp and, compiled with -ffast-math, by hard_cases_fast_math.cpp. With
// -ffast-math the compiler may fold isnan and comparisons with infinity away, so results are
// judged by their bits.
#include <bit>
#include <cstdint>
#include <limits>

#include <heed/attention.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"
#include "support/tensors.hpp"
#include "support/traps.hpp"

namespace {

constexpr std::uint32_t minus_infinity = 0xFF800000u;
std::uint32_t bits(float x) { return std::bit_cast<std::uint32_t>(x); }
// Volatile hides the constants from value-range folding under -ffast-math.
float hidden_score() {
    volatile std::uint32_t b = minus_infinity;
    return std::bit_cast<float>(static_cast<std::uint32_t>(b));
}
float not_a_number() {
    volatile std::uint32_t b = 0x7FC00000u;
    return std::bit_cast<float>(static_cast<std::uint32_t>(b));
}

constexpr long heads = 2, d = 8;

struct call {
    support::tensor<float> q, k, v, y;
    support::tensor<float, 3> lse;
    call(long queries, long keys, std::uint64_t seed)
        : q(1, heads, queries, d),
          k(1, heads, keys, d),
          v(1, heads, keys, d),
          y(1, heads, queries, d),
          lse(1, heads, queries) {
        support::random r(seed);
        for (auto* t : {&q, &k, &v})
            for (long i = 0; i < t->size(); ++i) t->data()[i] = static_cast<float>(r.normal());
    }
    template <class... Options>
    void run(const Options&... options) {
        y.setConstant(55.0f), lse.setConstant(55.0f);
        heed::attention_into(y, q, k, v, options..., heed::logsumexp(lse));
    }
    bool empty(long h, long i) const {
        bool zero = bits(lse(0, h, i)) == minus_infinity;
        for (long f = 0; f < d; ++f) zero = zero && bits(y(0, h, i, f)) == 0;
        return zero;
    }
    // Within the values' range, so neither empty nor NaN nor infinite. Bit patterns of |y| order as y.
    bool sane(long h, long i) const {
        bool fine = (bits(lse(0, h, i)) & 0x7FFFFFFFu) < 0x7F800000u;
        float sum = 0;
        for (long f = 0; f < d; ++f) {
            fine = fine && (bits(y(0, h, i, f)) & 0x7FFFFFFFu) < bits(8.0f);
            sum += std::fabs(y(0, h, i, f));
        }
        return fine && sum > 0;
    }
};

const std::pair<long, long> shapes[] = {{3, 5}, {1, 700}, {2, 40}, {64, 64}, {130, 600}, {300, 900}};

}  // namespace

TEST_CASE("rows that see nothing among rows that see something") {
    for (const auto& [queries, keys] : shapes) {
        call c(queries, keys, 701);
        c.run(heed::mask_if([](heed::at i) { return (i.query % 3 != 1) & (i.key % 2 == 0); }));
        long wrong = 0;
        for (long h = 0; h < heads; ++h)
            for (long i = 0; i < c.q.dimension(2); ++i) wrong += i % 3 == 1 ? !c.empty(h, i) : !c.sane(h, i);
        INFO(queries << " queries, " << keys << " keys");
        CHECK(wrong == 0);
    }
}

TEST_CASE("every row empty, by a mask and by a bias of -inf") {
    for (const auto& [queries, keys] : shapes) {
        call c(queries, keys, 702);
        long wrong = 0;
        const auto count = [&] {
            for (long h = 0; h < heads; ++h)
                for (long i = 0; i < c.q.dimension(2); ++i) wrong += !c.empty(h, i);
        };
        c.run(heed::prefix(0)), count();
        support::tensor<bool, 1> none(1);
        none(0) = false;
        c.run(heed::mask(none)), count();
        support::tensor<float, 2> bias(1, keys);
        bias.setConstant(hidden_score());
        c.run(heed::bias(bias)), count();
        c.run(heed::score([](auto s, heed::at) { return s * 0.0f + hidden_score(); })), count();
        INFO(queries << " queries, " << keys << " keys");
        CHECK(wrong == 0);
    }
}

TEST_CASE("no keys at all") {
    for (const long queries : {1L, 3L, 200L}) {
        call c(queries, 0, 703);
        c.run();
        long wrong = 0;
        for (long h = 0; h < heads; ++h)
            for (long i = 0; i < queries; ++i) wrong += !c.empty(h, i);
        CHECK(wrong == 0);
    }
}

TEST_CASE("only the first keys hidden: the running maximum starts at -inf and recovers") {
    const heed_test::without_traps quiet;  // the hidden keys hold NaN
    for (const auto& [queries, keys] : shapes)
        for (const long hidden : {1L, 15L, 64L, 256L, 384L, 512L, keys - 1}) {
            if (hidden >= keys) continue;
            call c(queries, keys, 704);
            const int first = static_cast<int>(hidden);
            long wrong = 0;
            const auto count = [&] {
                for (long h = 0; h < heads; ++h)
                    for (long i = 0; i < c.q.dimension(2); ++i) wrong += !c.sane(h, i);
            };
            for (long h = 0; h < heads; ++h)
                for (long j = 0; j < hidden; ++j)
                    for (long f = 0; f < d; ++f) c.k(0, h, j, f) = c.v(0, h, j, f) = not_a_number();
            c.run(!heed::prefix(hidden)), count();
            c.run(heed::mask_if([=](heed::at i) { return i.key >= first; })), count();
            support::tensor<float, 1> bias(keys);
            bias.setZero();
            for (long j = 0; j < hidden; ++j) bias(j) = hidden_score();
            c.run(heed::bias(bias)), count();
            INFO(queries << " queries, " << keys << " keys, " << hidden << " hidden");
            CHECK(wrong == 0);
        }
}

TEST_CASE("a bias of -FLT_MAX everywhere is not an empty row, and not a uniform one by accident") {
    for (const auto& [queries, keys] : shapes) {
        call c(queries, keys, 705);
        support::tensor<float, 1> bias(keys);
        bias.setConstant(-std::numeric_limits<float>::max());
        c.run(heed::bias(bias));
        long wrong = 0;
        for (long h = 0; h < heads; ++h)
            for (long i = 0; i < queries; ++i)
                for (long f = 0; f < d; ++f) {
                    // s + -FLT_MAX rounds to -FLT_MAX: all keys weigh the same.
                    double mean = 0;
                    for (long j = 0; j < keys; ++j) mean += static_cast<double>(c.v(0, h, j, f));
                    mean /= static_cast<double>(keys);
                    const double off = std::fabs(static_cast<double>(c.y(0, h, i, f)) - mean);
                    wrong += !(off < 2e-6);
                }
        INFO(queries << " queries, " << keys << " keys");
        CHECK(wrong == 0);
        // One key that is spared takes everything.
        bias(keys / 2) = 0;
        c.run(heed::bias(bias));
        for (long h = 0; h < heads; ++h)
            for (long i = 0; i < queries; ++i)
                for (long f = 0; f < d; ++f) wrong += bits(c.y(0, h, i, f)) != bits(c.v(0, h, keys / 2, f));
        CHECK(wrong == 0);
    }
}

TEST_CASE("scores of +-1e30 neither overflow nor empty a row") {
    for (const auto& [queries, keys] : shapes) {
        call c(queries, keys, 706);
        for (long h = 0; h < heads; ++h)
            for (long j = 0; j < keys; ++j)
                for (long f = 0; f < d; ++f) c.k(0, h, j, f) *= f == 0 ? 1e30f : 0.0f;
        c.run();
        long wrong = 0;
        for (long h = 0; h < heads; ++h)
            for (long i = 0; i < queries; ++i) wrong += !c.sane(h, i);
        CHECK(wrong == 0);
    }
}

TEST_CASE("a sink on an empty row gives +0 and the sink") {
    support::tensor<float, 1> sinks(heads);
    sinks(0) = 0.75f, sinks(1) = -3.0f;
    for (const auto& [queries, keys] : shapes) {
        call c(queries, keys, 707);
        c.run(heed::sinks(sinks), heed::mask_if([](heed::at i) { return i.query % 2 == 0; }));
        long wrong = 0;
        for (long h = 0; h < heads; ++h)
            for (long i = 0; i < c.q.dimension(2); ++i) {
                if (i % 2 == 0) {
                    wrong += !c.sane(h, i);
                    continue;
                }
                wrong += bits(c.lse(0, h, i)) != bits(sinks(h));
                for (long f = 0; f < d; ++f) wrong += bits(c.y(0, h, i, f)) != 0;
            }
        INFO(queries << " queries, " << keys << " keys");
        CHECK(wrong == 0);
    }
}

TEST_CASE("weights and scores of hidden keys are +0 and -inf") {
    for (const auto& [queries, keys] : shapes) {
        call c(queries, keys, 708);
        support::tensor<float> w(1, heads, queries, keys), s(1, heads, queries, keys);
        const auto visible = [](long i, long j) { return (i * 7 + j * 3) % 5 < 2 && i % 4 != 3; };
        c.run(heed::mask_if(
                  [](heed::at i) { return ((i.query * 7 + i.key * 3) % 5 < 2) & (i.query % 4 != 3); }),
              heed::weights(w), heed::scores(s, heed::stage::biased));
        long wrong = 0;
        for (long h = 0; h < heads; ++h)
            for (long i = 0; i < queries; ++i)
                for (long j = 0; j < keys; ++j) {
                    if (visible(i, j)) continue;
                    wrong += bits(w(0, h, i, j)) != 0;
                    wrong += bits(s(0, h, i, j)) != minus_infinity;
                }
        INFO(queries << " queries, " << keys << " keys");
        CHECK(wrong == 0);
    }
}
