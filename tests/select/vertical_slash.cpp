// SPDX-License-Identifier: MIT
// tests/select/vertical_slash.cpp: vertical_slash against its definition in double
#include "support/selected.hpp"
#include "support/traps.hpp"

namespace {

// Long enough for more columns and diagonals than are kept whatever their sums.
reference::problem some_problem(support::random& r) {
    const long kv_heads = r.between(1, 2), d = r.between(3, 20);
    return support::problem<float>(r, r.between(1, 2), kv_heads * r.between(1, 2), kv_heads,
                                   r.chance(0.2) ? r.between(1, 5) : r.skewed(1, 260), r.skewed(1, 320), d,
                                   d);
}

long counted(support::random& r, long most) { return r.chance(0.1) ? 0 : r.skewed(1, most); }

}  // namespace

TEST_CASE("columns and diagonals of the largest sums are kept, under causal") {
    support::random r(901);
    int clear = 0;
    for (int round = 0; round < 40; ++round) {
        auto p = some_problem(r);
        const long shift = p.keys - p.queries, vertical = counted(r, 150);
        const long slash = vertical == 0 ? r.skewed(1, 250) : counted(r, 250);
        p.visible = [shift](reference::place i) { return i.key <= i.query + shift; };
        const auto right = reference::vertical_slash(p, vertical, slash);
        clear += right.clear;
        support::check_selected<float>(p, right, heed::causal, heed::vertical_slash(vertical, slash));
    }
    CHECK(clear >= 32);
}

TEST_CASE("without a mask diagonals ahead of a query are kept too") {
    support::random r(902);
    int clear = 0;
    for (int round = 0; round < 24; ++round) {
        const auto p = some_problem(r);
        const long vertical = counted(r, 100), slash = r.skewed(1, 300);
        const auto right = reference::vertical_slash(p, vertical, slash);
        clear += right.clear;
        support::check_selected<float>(p, right, heed::vertical_slash(vertical, slash));
    }
    CHECK(clear >= 18);
}

TEST_CASE("keys behind key_lengths are chosen by nobody, NaN or not") {
    const heed_test::without_traps quiet;
    support::random r(903);
    for (int round = 0; round < 10; ++round) {
        auto p = some_problem(r);
        std::vector<long> lengths;
        for (long b = 0; b < p.batch; ++b) lengths.push_back(r.between(0, p.keys));
        const long shift = p.keys - p.queries;
        p.visible = [=](reference::place i) {
            return i.key <= i.query + shift && i.key < lengths[std::size_t(i.batch)];
        };
        const auto selector = heed::vertical_slash(r.skewed(1, 100), r.skewed(1, 200));
        support::check_selected<float>(p, reference::vertical_slash(p, selector.vertical, selector.slash),
                                       heed::causal, heed::key_lengths(lengths), selector);
        support::check_poison(p, lengths, selector);
    }
}

TEST_CASE("of equal columns the first are kept, of equal diagonals the lowest") {
    support::random r(904);
    auto p = support::problem<float>(r, 1, 1, 1, 64, 200, 4, 4);
    p.k.assign(p.k.size(), 0);
    for (const auto& [vertical, slash] : {std::pair{40L, 0L}, {0L, 120L}, {37L, 111L}}) {
        auto right = reference::vertical_slash(p, vertical, slash);
        right.clear = true;  // the sums are equal, and so are their roundings
        support::check_selected<float>(p, right, heed::vertical_slash(vertical, slash));
    }
}

TEST_CASE("more than there is keeps all, with the bits of no selector") {
    support::random r(905);
    for (const auto& [queries, keys] : {std::pair{150L, 150L}, {70L, 200L}, {90L, 40L}, {2L, 300L}}) {
        const auto p = support::problem<float>(r, 2, 2, 1, queries, keys, 8, 8);
        const support::inputs<float> in(p);
        const auto selected =
            heed::attention(in.q, in.k, in.v, heed::causal, heed::vertical_slash(1L << 40, 1L << 40));
        const auto plain = heed::attention(in.q, in.k, in.v, heed::causal);
        CHECK(support::same_bits(support::elements(selected), support::elements(plain)));
    }
}

TEST_CASE("a NaN among the last queries chooses nothing, and a huge score is one like others") {
    const heed_test::without_traps quiet;
    support::random r(906);
    auto p = support::problem<float>(r, 1, 1, 1, 120, 120, 4, 4);
    const auto causal = [](reference::place i) { return i.key <= i.query; };
    p.visible = causal;
    for (std::size_t f = 0; f < 4; ++f) p.q[110 * 4 + f] = NAN;
    auto right = reference::vertical_slash(p, 35, 105);
    REQUIRE(right.clear);
    const support::inputs<float> in(p);
    support::tensor<float> y(1, 1, 120, 4), weights(1, 1, 120, 120);
    heed::attention_into(y, in.q, in.k, in.v, heed::causal, heed::vertical_slash(35, 105),
                         heed::weights(weights));
    long wrong = 0;
    for (long i = 0; i < 110; ++i)
        for (long j = 0; j < 120; ++j)
            wrong += (weights(0, 0, i, j) > 0) != (right.kept[std::size_t(i * 120 + j)] != 0);
    CHECK(wrong == 0);

    auto large = support::problem<float>(r, 1, 1, 1, 120, 120, 4, 4);
    for (double& x : large.q) x *= 1e18;
    for (double& x : large.k) x *= 1e18;
    const support::inputs<float> huge(large);
    for (const double x :
         support::values(heed::attention(huge.q, huge.k, huge.v, heed::causal, heed::vertical_slash(35, 5))))
        REQUIRE(std::isfinite(x));
}

TEST_CASE("half and double choose by the same rule") {
    support::random r(907);
    auto p = support::problem<double>(r, 1, 2, 1, 130, 150, 9, 7);
    p.visible = [](reference::place i) { return i.key <= i.query + 20; };
    const auto right = reference::vertical_slash(p, 50, 115);
    REQUIRE(right.clear);
    support::check_selected<double>(p, right, heed::causal, heed::vertical_slash(50, 115));
    support::fill<Eigen::half>(p, r);
    const auto of_half = reference::vertical_slash(p, 45, 108);
    REQUIRE(of_half.clear);
    support::check_selected<Eigen::half>(p, of_half, heed::causal, heed::vertical_slash(45, 108));
}

TEST_CASE("the same bits on threads, in any batch, and without an allocation") {
    support::random r(908);
    support::check_bits(support::problem<float>(r, 3, 4, 2, 150, 200, 10, 10), heed::vertical_slash(40, 110));
    support::check_bits(support::problem<float>(r, 3, 2, 2, 3, 400, 10, 10), heed::vertical_slash(40, 110));
}

TEST_CASE("nothing to look at") { support::check_nothing_to_see(heed::vertical_slash(1, 1)); }

#if defined(__cpp_exceptions)
TEST_CASE("counts that are negative, or both 0, are refused") {
    support::check_refused(heed::vertical_slash(-1, 5), {"vertical_slash", "-1", "not negative"});
    support::check_refused(heed::vertical_slash(5, -2), {"vertical_slash", "-2", "not negative"});
    support::check_refused(heed::vertical_slash(0, 0), {"vertical_slash", "a column or a diagonal"});
}
#endif
