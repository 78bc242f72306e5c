// SPDX-License-Identifier: MIT
// tests/select/lsh.cpp: lsh against its definition in double
#include "support/selected.hpp"
#include "support/traps.hpp"

namespace {

struct rule {
    long rounds, buckets;
    std::uint64_t seed;
};
rule some_rule(support::random& r) { return {r.between(1, 3), 2 * r.skewed(1, 12), r.bits()}; }

// One tensor as q and k where `shared`, with as many heads.
reference::problem some_problem(support::random& r, bool shared) {
    const long kv_heads = r.between(1, 2), d = r.between(3, 20), queries = r.skewed(1, 220);
    auto p = support::problem<float>(r, r.between(1, 2), shared ? kv_heads : kv_heads * r.between(1, 2),
                                     kv_heads, queries, shared ? queries : r.skewed(1, 320), d, d);
    if (shared) p.k = p.q;
    return p;
}

template <class... Options>
int check_lsh(const reference::problem& p, const rule& x, const Options&... options) {
    const auto right = reference::lsh(p, x.rounds, x.buckets, x.seed);
    support::check_selected<float>(p, right, options..., heed::lsh(x.rounds, x.buckets, x.seed));
    return right.clear;
}

}  // namespace

TEST_CASE("a query sees its bucket, chunk and the chunk before, under causal") {
    support::random r(941);
    int clear = 0;
    for (int round = 0; round < 40; ++round) {
        auto p = some_problem(r, round % 2 == 0);
        const long shift = p.keys - p.queries;
        p.visible = [shift](reference::place i) { return i.key <= i.query + shift; };
        clear += check_lsh(p, some_rule(r), heed::causal);
    }
    CHECK(clear >= 30);
}

TEST_CASE("without a mask a query sees ahead too") {
    support::random r(942);
    int clear = 0;
    for (int round = 0; round < 24; ++round)
        clear += check_lsh(some_problem(r, round % 2 == 0), some_rule(r));
    CHECK(clear >= 18);
}

TEST_CASE("keys behind key_lengths are in no bucket and no chunk, NaN or not") {
    const heed_test::without_traps quiet;
    support::random r(943);
    int clear = 0;
    for (int round = 0; round < 12; ++round) {
        auto p = some_problem(r, false);
        std::vector<long> lengths;
        for (long b = 0; b < p.batch; ++b) lengths.push_back(r.between(0, p.keys));
        const long shift = p.keys - p.queries;
        p.visible = [=](reference::place i) {
            return i.key <= i.query + shift && i.key < lengths[std::size_t(i.batch)];
        };
        const rule x = some_rule(r);
        clear += check_lsh(p, x, heed::causal, heed::key_lengths(lengths));
        support::check_poison(p, lengths, heed::lsh(x.rounds, x.buckets, x.seed));
    }
    CHECK(clear >= 8);
}

TEST_CASE("equal vectors share a bucket, whatever their length, and zero has one") {
    support::random r(944);
    auto p = support::problem<float>(r, 1, 1, 1, 90, 90, 5, 5);
    for (std::size_t i = 0; i < p.q.size(); ++i) p.q[i] = i < 100 ? 0 : p.q[i % 5 + 5 * (20 + i / 150)];
    p.k = p.q;
    const auto right = reference::lsh(p, 2, 8, 3);
    REQUIRE(right.clear);
    support::check_selected<float>(p, right, heed::lsh(2, 8, 3));
    for (double& x : p.k) x *= 0x1p100;  // their squares overflow, and these underflow
    for (double& x : p.q) x *= 0x1p-100;
    support::check_selected<float>(p, right, heed::lsh(2, 8, 3));
}

TEST_CASE("one chunk of two buckets, a vector and its opposite") {
    reference::problem p;
    p.queries = p.keys = 6, p.d_k = p.d_v = 1;
    p.q = p.k = {1, 2, -1, 3, -4, 5}, p.v = {1, 2, 3, 4, 5, 6};
    auto right = reference::lsh(p, 1, 2, 11);
    REQUIRE(right.clear);
    for (long i = 0; i < 6; ++i)
        for (long j = 0; j < 6; ++j)
            CHECK(bool(right.kept[std::size_t(i * 6 + j)]) ==
                  ((p.q[std::size_t(i)] > 0) == (p.q[std::size_t(j)] > 0)));
    support::check_selected<float>(p, right, heed::lsh(1, 2, 11));
}

TEST_CASE("half and double choose by the same rule") {
    support::random r(945);
    auto p = support::problem<double>(r, 1, 2, 1, 130, 150, 9, 7);
    p.visible = [](reference::place i) { return i.key <= i.query + 20; };
    const auto right = reference::lsh(p, 2, 6, 9);
    REQUIRE(right.clear);
    support::check_selected<double>(p, right, heed::causal, heed::lsh(2, 6, 9));
    support::fill<Eigen::half>(p, r);
    const auto of_half = reference::lsh(p, 2, 6, 6);
    REQUIRE(of_half.clear);
    support::check_selected<Eigen::half>(p, of_half, heed::causal, heed::lsh(2, 6, 6));
}

TEST_CASE("a seed chooses alike, another one otherwise") {
    support::random r(946);
    const auto p = support::problem<float>(r, 1, 1, 1, 200, 200, 8, 8);
    const support::inputs<float> in(p);
    const auto of = [&](int seed) {
        return support::elements(heed::attention(in.q, in.q, in.v, heed::causal, heed::lsh(2, 16, seed)));
    };
    CHECK(support::same_bits(of(1), of(1)));
    CHECK_FALSE(support::same_bits(of(1), of(2)));
}

TEST_CASE("the same bits on threads, in any batch, and without an allocation") {
    support::random r(947);
    support::check_bits(support::problem<float>(r, 3, 4, 2, 150, 200, 10, 10), heed::lsh(2, 8, 1));
    support::check_bits(support::problem<float>(r, 3, 2, 2, 3, 400, 10, 10), heed::lsh(2, 8, 1));
}

TEST_CASE("nothing to look at") { support::check_nothing_to_see(heed::lsh(1, 2, 3)); }

#if defined(__cpp_exceptions)
TEST_CASE("no rounds, and buckets that are odd or too many, are refused") {
    support::check_refused(heed::lsh(0, 8, 1), {"lsh", "0 rounds", "1 to 1024"});
    support::check_refused(heed::lsh(-4, 8, 1), {"lsh", "-4 rounds"});
    for (const long buckets : {-2L, 0L, 1L, 7L, 1L << 40})
        support::check_refused(heed::lsh(1, buckets, 1),
                               {"lsh", std::to_string(buckets) + " buckets", "even"});
}
#endif
