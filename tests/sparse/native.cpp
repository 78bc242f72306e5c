// SPDX-License-Identifier: MIT
// tests/sparse/native.cpp: native sparse attention against the oracle
#include <array>

#include "support/native_call.hpp"
#include "support/traps.hpp"

using namespace support;
using generator = support::random;

namespace {

template <class T>
tensor<T> attend(const native_reference::problem& p, const native_inputs<T>& in) {
    tensor<T> y(p.batch, p.heads, p.queries, p.d_v);
    y.setConstant(static_cast<T>(-77.0f));
    heed::native_sparse_attention_into(y, in.q, in.k, in.v, in.gates, sizes_of(p));
    return y;
}

template <class T>
void check_problems(std::uint64_t seed, int count) {
    generator r(seed);
    long close = 0, queries = 0;
    for (int i = 0; i < count; ++i) {
        const auto p = native_problem<T>(r);
        check_native<T>(p, attend<T>(p, native_inputs<T>(p)), close);
        queries += p.batch * p.heads * p.queries;
    }
    CHECK(close * 50 < queries);
}

native_reference::problem problem_of(generator& r, long heads, long kv_heads, long queries, long keys) {
    native_reference::problem p;
    p.heads = heads, p.kv_heads = kv_heads, p.queries = queries, p.keys = keys;
    p.d_k = 9, p.d_v = 11;
    p.count = 5;
    fill<float>(p, r);
    return p;
}

}  // namespace

TEST_CASE("compressed, selected and sliding keys, of float") { check_problems<float>(901, 150); }
TEST_CASE("the same of double") { check_problems<double>(902, 60); }
TEST_CASE("the same of half") { check_problems<Eigen::half>(904, 60); }

TEST_CASE("the block sizes of the paper are the default") {
    generator r(905);
    native_reference::problem p;
    p.block = 32, p.stride = 16, p.select_block = 64, p.count = 16, p.window = 512;
    p.heads = 4, p.kv_heads = 1, p.keys = 2600, p.d_k = p.d_v = 16;
    for (const long queries : {70L, 3L, 1L}) {
        p.queries = queries;
        fill<float>(p, r);
        const native_inputs<float> in(p);
        long close = 0;
        const auto y = heed::native_sparse_attention(in.q, in.k, in.v, in.gates);
        check_native<float>(p, y, close);
        CHECK(close < 10);
        CHECK(same_bits(elements(y), elements(attend<float>(p, in))));
    }
}

TEST_CASE("more blocks than there are, and windows longer than the keys: each branch is exact attention") {
    generator r(906);
    for (const long queries : {1L, 4L, 30L, 77L}) {
        auto p = problem_of(r, 4, 2, queries, 77);
        p.count = 1000, p.window = 1000;
        for (std::size_t i = 0; i < p.gates.size(); ++i) p.gates[i] = i % 3 == 0 ? 0 : 0.5;
        const native_inputs<float> in(p);
        const auto exact = heed::attention(in.q, in.k, in.v, heed::causal);
        CHECK(max_error(values(attend<float>(p, in)), values(exact)) < 2e-6);
    }
}

TEST_CASE("a decode step is the last row of the prefill") {
    generator r(907);
    const auto p = problem_of(r, 16, 1, 100, 100);
    const native_inputs<float> in(p);
    const auto all = values(attend<float>(p, in));
    for (const long steps : {1L, 3L, 7L}) {
        const auto last = heed::as_view(in.q).slice_positions(100 - steps, steps);
        const auto gates = heed::as_view(in.gates).slice_positions(100 - steps, steps);
        const auto y = heed::native_sparse_attention(last, in.k, in.v, gates, sizes_of(p));
        double worst = 0;
        for (long h = 0; h < 16; ++h)
            for (long i = 0; i < steps; ++i)
                for (long f = 0; f < p.d_v; ++f)
                    worst = std::fmax(
                        worst,
                        std::fabs(double(y(0, h, i, f)) -
                                  all[static_cast<std::size_t>((h * 100 + 100 - steps + i) * p.d_v + f)]));
        CHECK(worst < 5e-6);
    }
}

TEST_CASE("a query without keys is +0, and a branch without keys adds nothing") {
    generator r(908);
    auto p = problem_of(r, 2, 1, 12, 5);  // seven queries stand before the first key
    for (double& gate : p.gates) gate = -1;
    const native_inputs<float> in(p);
    const auto y = attend<float>(p, in);
    for (long h = 0; h < 2; ++h) CHECK(positive_zero(&y(0, h, 0, 0), static_cast<std::size_t>(7 * p.d_v)));
    long close = 0;
    check_native<float>(p, y, close);

    const tensor<float> none(1, 1, 0, 9), no_values(1, 1, 0, 11);
    const auto empty = heed::native_sparse_attention(in.q, none, no_values, in.gates, sizes_of(p));
    CHECK(positive_zero(empty.data(), static_cast<std::size_t>(empty.size())));
}

TEST_CASE("calls without queries, heads or batch entries") {
    const heed::native_blocks sizes;
    for (const auto& [batch, heads, queries] : {std::array{0L, 2L, 3L}, {1L, 0L, 3L}, {1L, 2L, 0L}}) {
        const tensor<float> q(batch, heads, queries, 4), k(batch, heads, 70, 4), v(batch, heads, 70, 5);
        const tensor<float> gates(batch, heads, queries, 3);
        const auto y = heed::native_sparse_attention(q, k, v, gates, sizes);
        CHECK(y.dimension(3) == 5);
        CHECK(y.size() == 0);
    }
}

TEST_CASE("equal weights choose the lowest blocks") {
    generator r(909);
    auto p = problem_of(r, 2, 1, 60, 60);
    for (double& x : p.q) x = 0;  // every key weighs the same
    for (std::size_t i = 0; i < p.gates.size(); ++i) p.gates[i] = i % 3 == 1;
    const native_inputs<float> in(p);
    long close = 0;
    // The first block weighs less than the others, which the rule for ends decides: the oracle counts chunks.
    check_native<float>(p, attend<float>(p, in), close);
    CHECK(close == 0);
}

TEST_CASE("keys behind a query change no bit") {
    const heed_test::without_traps quiet;
    generator r(910);
    const float poisons[] = {std::numeric_limits<float>::quiet_NaN(), HUGE_VALF, -HUGE_VALF, 3e38f};
    for (int round = 0; round < 24; ++round) {
        auto p = problem_of(r, r.between(1, 3) * 2, 2, round % 4 == 0 ? 3 : r.between(5, 80), 90);
        native_inputs<float> in(p);
        const auto before = attend<float>(p, in);
        const long from = r.between(90 - p.queries, 89);  // poisoned keys start here
        for (long h = 0; h < 2; ++h)
            for (long t = from; t < 90; ++t) {
                for (long f = 0; f < p.d_k; ++f) in.k(0, h, t, f) = poisons[round % 4];
                for (long f = 0; f < p.d_v; ++f) in.v(0, h, t, f) = poisons[round % 3];
            }
        const auto after = attend<float>(p, in);
        long changed = 0;
        for (long h = 0; h < p.heads; ++h)
            for (long i = 0; i < p.queries && p.position(i) < from; ++i)
                changed +=
                    !same_bits(&before(0, h, i, 0), &after(0, h, i, 0), static_cast<std::size_t>(p.d_v));
        INFO(describe(p) << " poisoned from " << from);
        CHECK(changed == 0);
    }
}

TEST_CASE("a NaN in one query reaches its row alone") {
    const heed_test::without_traps quiet;
    generator r(911);
    for (const long queries : {2L, 50L}) {
        const auto p = problem_of(r, 4, 1, queries, 90);
        native_inputs<float> in(p);
        const auto before = attend<float>(p, in);
        // Alone of its group: what the others choose is then decided without it.
        native_inputs<float> other = in;
        for (long f = 0; f < p.d_k; ++f) other.q(0, 2, 1, f) = std::numeric_limits<float>::quiet_NaN();
        const auto after = attend<float>(p, other);
        for (long h = 0; h < 4; ++h)
            for (long i = 0; i < queries; ++i) {
                bool nan = false, finite = true;
                for (long f = 0; f < p.d_v; ++f) {
                    nan = nan || std::isnan(after(0, h, i, f));
                    finite = finite && std::isfinite(after(0, h, i, f));
                }
                CHECK(nan == (h == 2 && i == 1));
                CHECK(finite == !(h == 2 && i == 1));
                if (i != 1)
                    CHECK(
                        same_bits(&before(0, h, i, 0), &after(0, h, i, 0), static_cast<std::size_t>(p.d_v)));
            }
    }
}

TEST_CASE("a head whose scores are large counts no more than another of its group when blocks are chosen") {
    // Sixteen blocks of four keys. The first head spreads its weight over the even ones, with scores of 2^30;
    // the second has all of its own in block 7, which the
    // two choose together: they keep the first, the last two and the best.
    tensor<float> q(1, 2, 1, 2), k(1, 1, 64, 2), v(1, 1, 64, 1), gates(1, 2, 1, 3);
    q.setZero(), v.setZero(), gates.setZero();
    q(0, 0, 0, 0) = 0x1p30f;
    q(0, 1, 0, 1) = 12;
    for (long j = 0; j < 64; ++j) {
        const long block = j / 4;
        k(0, 0, j, 0) = block % 2 == 0 ? 1.0f : -1.0f;
        k(0, 0, j, 1) = block == 7 ? 1.0f : 0.0f;
        if (block == 7) v(0, 0, j, 0) = 1;
    }
    for (long h = 0; h < 2; ++h) gates(0, h, 0, 1) = 1;  // the selected branch alone
    const heed::native_blocks sizes{
        .compress_block = 4, .compress_stride = 4, .select_block = 4, .select_count = 4, .window = 4};
    for (const long queries : {1L, 40L}) {  // alone, and as the last of many
        tensor<float> many(1, 2, queries, 2), opened(1, 2, queries, 3);
        for (long h = 0; h < 2; ++h)
            for (long i = 0; i < queries; ++i) {
                for (long f = 0; f < 2; ++f) many(0, h, i, f) = q(0, h, 0, f);
                for (long c = 0; c < 3; ++c) opened(0, h, i, c) = gates(0, h, 0, c);
            }
        const auto y = heed::native_sparse_attention(many, k, v, opened, sizes, heed::scale(1));
        INFO(queries << " queries");
        CHECK(y(0, 1, queries - 1, 0) > 0.99f);
    }
}
