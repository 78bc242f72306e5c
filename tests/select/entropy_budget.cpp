// SPDX-License-Identifier: MIT
// tests/select/entropy_budget.cpp: entropy_budget against its definition in double
#include "support/selected.hpp"
#include "support/traps.hpp"

namespace {

// Several blocks of 64 keys, sharp and flat rows.
reference::problem some_problem(support::random& r) {
    const long kv_heads = r.between(1, 2), d = r.between(3, 20);
    auto p =
        support::problem<float>(r, r.between(1, 2), kv_heads * r.between(1, 3), kv_heads,
                                r.chance(0.2) ? r.between(1, 5) : r.skewed(1, 200), r.skewed(1, 700), d, d);
    // Blocks that differ, so that their means do: a direction of its own for each.
    const double strength = r.uniform(0, 3);
    for (long head = 0; head < p.batch * kv_heads; ++head)
        for (long block = 0; block * 64 < p.keys; ++block)
            for (long f = 0; f < d; ++f) {
                const double added = strength * r.normal();
                for (long j = block * 64; j < std::min(p.keys, block * 64 + 64); ++j) {
                    double& x = p.k[std::size_t((head * p.keys + j) * d + f)];
                    x = double(float(x + added));
                }
            }
    return p;
}

struct budget {
    long k_min, k_max;
    double kappa;
};
budget some_budget(support::random& r) {
    const long k_min = r.skewed(1, 300);
    return {k_min, k_min + r.skewed(1, 500) - 1, r.chance(0.5) ? 1 : r.uniform(0.1, 3)};
}

}  // namespace

TEST_CASE("blocks of the largest estimate are kept until the budget is full, under causal") {
    support::random r(921);
    int clear = 0;
    for (int round = 0; round < 60; ++round) {
        auto p = some_problem(r);
        const long shift = p.keys - p.queries;
        p.visible = [shift](reference::place i) { return i.key <= i.query + shift; };
        const auto [k_min, k_max, kappa] = some_budget(r);
        const auto right = reference::entropy_budget(p, k_min, k_max, kappa);
        clear += right.clear;
        support::check_selected<float>(p, right, heed::causal, heed::entropy_budget(k_min, k_max, kappa));
    }
    CHECK(clear >= 40);
}

TEST_CASE("without a mask all blocks compete") {
    support::random r(922);
    int clear = 0;
    for (int round = 0; round < 30; ++round) {
        const auto p = some_problem(r);
        const auto [k_min, k_max, kappa] = some_budget(r);
        const auto right = reference::entropy_budget(p, k_min, k_max, kappa);
        clear += right.clear;
        support::check_selected<float>(p, right, heed::entropy_budget(k_min, k_max, kappa));
    }
    CHECK(clear >= 20);
}

TEST_CASE("keys behind key_lengths are in no mean and no budget, NaN or not") {
    const heed_test::without_traps quiet;
    support::random r(923);
    int clear = 0;
    for (int round = 0; round < 12; ++round) {
        auto p = some_problem(r);
        std::vector<long> lengths;
        for (long b = 0; b < p.batch; ++b) lengths.push_back(r.between(0, p.keys));
        const long shift = p.keys - p.queries;
        p.visible = [=](reference::place i) {
            return i.key <= i.query + shift && i.key < lengths[std::size_t(i.batch)];
        };
        const auto [k_min, k_max, kappa] = some_budget(r);
        const auto selector = heed::entropy_budget(k_min, k_max, kappa);
        const auto right = reference::entropy_budget(p, k_min, k_max, kappa);
        clear += right.clear;
        support::check_selected<float>(p, right, heed::causal, heed::key_lengths(lengths), selector);
        support::check_poison(p, lengths, selector);
    }
    CHECK(clear >= 8);
}

TEST_CASE("of equal blocks the first are kept, after the query's own") {
    support::random r(924);
    auto p = support::problem<float>(r, 1, 1, 1, 100, 640, 4, 4);
    p.k.assign(p.k.size(), 0);
    const long keys = p.keys;
    for (const long budget : {1L, 64L, 65L, 200L, 640L}) {
        auto right = reference::entropy_budget(p, budget, budget, 1);
        for (long i = 0; i < p.queries; ++i) {
            const long own = (i + 540) / 64, first = (budget + 63) / 64 - 1;
            for (long j = 0; j < keys; ++j) {
                const long block = j / 64;
                const bool kept = block == own || block < first || (own < first && block == first);
                REQUIRE(bool(right.kept[std::size_t(i * keys + j)]) == kept);
            }
        }
        right.clear = true;  // the estimates are equal, and so are their roundings
        support::check_selected<float>(p, right, heed::entropy_budget(budget, budget));
    }
}

TEST_CASE("a flat row is given all its keys and a sharp one the least") {
    support::random r(925);
    auto p = support::problem<float>(r, 1, 1, 1, 10, 640, 8, 8);
    for (double& x : p.q) x = 0;
    for (long f = 0; f < 8; ++f) p.q[std::size_t(9 * 8 + f)] = 1;  // the last query asks for block 3
    for (long j = 0; j < 640; ++j)
        for (long f = 0; f < 8; ++f) p.k[std::size_t(j * 8 + f)] = j / 64 == 3 ? 12 : 0;
    const support::inputs<float> in(p);
    support::tensor<float> y(1, 1, 10, 8), weights(1, 1, 10, 640);
    heed::attention_into(y, in.q, in.k, in.v, heed::entropy_budget(1, 640), heed::weights(weights));
    for (long i = 0; i < 10; ++i) {
        long kept = 0;
        for (long j = 0; j < 640; ++j) kept += weights(0, 0, i, j) > 0;
        // Its own block is the last; block 3 alone holds e^H = 64 keys.
        CHECK(kept == (i < 9 ? 640 : 64));
    }
    heed::attention_into(y, in.q, in.k, in.v, heed::entropy_budget(128, 640), heed::weights(weights));
    CHECK(weights(0, 0, 9, 3 * 64) > 0);
}

TEST_CASE("more than there is keeps all, with the bits of no selector") {
    support::random r(926);
    for (const auto& [queries, keys] : {std::pair{150L, 150L}, {70L, 200L}, {90L, 40L}, {2L, 300L}}) {
        const auto p = support::problem<float>(r, 2, 2, 1, queries, keys, 8, 8);
        const support::inputs<float> in(p);
        const auto selected =
            heed::attention(in.q, in.k, in.v, heed::causal, heed::entropy_budget(1L << 40, 1L << 41));
        const auto plain = heed::attention(in.q, in.k, in.v, heed::causal);
        CHECK(support::same_bits(support::elements(selected), support::elements(plain)));
    }
}

TEST_CASE("a causal row keeps the same keys whatever comes behind it, and shows the NaN it sees") {
    const heed_test::without_traps quiet;
    support::random r(927);
    auto p = support::problem<float>(r, 1, 1, 1, 300, 300, 6, 6);
    const auto call = [&] {
        const support::inputs<float> in(p);
        return support::values(heed::attention(in.q, in.k, in.v, heed::causal, heed::entropy_budget(1, 64)));
    };
    const auto before = call();
    for (std::size_t f = 0; f < 6; ++f) p.k[150 * 6 + f] = NAN;  // in the block of queries 128 ... 191
    const auto after = call();
    for (std::size_t i = 0; i < 150 * 6; ++i) REQUIRE(before[i] == after[i]);
    // Query 255 fills its budget with its own block; the others keep that of the NaN, as their own or first.
    for (std::size_t i = 150 * 6; i < 300 * 6; ++i) REQUIRE(std::isnan(after[i]) == (i / 6 != 255));
}

TEST_CASE("half and double choose by the same rule") {
    support::random r(928);
    auto p = support::problem<double>(r, 1, 2, 1, 130, 450, 9, 7);
    p.visible = [](reference::place i) { return i.key <= i.query + 320; };
    const auto right = reference::entropy_budget(p, 70, 256, 0.3);
    REQUIRE(right.clear);
    support::check_selected<double>(p, right, heed::causal, heed::entropy_budget(70, 256, 0.3));
    support::fill<Eigen::half>(p, r);
    const auto of_half = reference::entropy_budget(p, 70, 200, 0.3);
    REQUIRE(of_half.clear);
    support::check_selected<Eigen::half>(p, of_half, heed::causal, heed::entropy_budget(70, 200, 0.3));
}

TEST_CASE("the same bits on threads, in any batch, and without an allocation") {
    support::random r(929);
    support::check_bits(support::problem<float>(r, 3, 4, 2, 150, 400, 10, 10), heed::entropy_budget(64, 128));
    support::check_bits(support::problem<float>(r, 3, 2, 2, 3, 400, 10, 10), heed::entropy_budget(64, 128));
}

TEST_CASE("nothing to look at") { support::check_nothing_to_see(heed::entropy_budget(1, 1)); }

#if defined(__cpp_exceptions)
TEST_CASE("budgets out of order and a kappa that is no factor are refused") {
    const heed_test::without_traps quiet;
    support::check_refused(heed::entropy_budget(0, 5), {"entropy_budget", "(0, 5)", "1 <= k_min <= k_max"});
    support::check_refused(heed::entropy_budget(-3, 5), {"entropy_budget", "-3"});
    support::check_refused(heed::entropy_budget(6, 5), {"entropy_budget", "(6, 5)"});
    for (const double kappa : {0.0, -1.0, double(NAN), double(INFINITY)})
        support::check_refused(heed::entropy_budget(1, 5, kappa), {"entropy_budget", "kappa"});
}
#endif
