// SPDX-License-Identifier: MIT
// tests/mask/patterns.cpp: longformer and bigbird, and patterns among the other options
#include <heed/sparse.hpp>

#include <algorithm>

#include "support/pattern.hpp"
#include "support/tiles.hpp"
#include "support/traps.hpp"

namespace {

auto longformer(long shift, long width, const std::vector<int>& ids) {
    return [=](long, long, long q, long k) {
        const auto holds = [&](long p) { return std::find(ids.begin(), ids.end(), p) != ids.end(); };
        return std::labs(q + shift - k) <= width / 2 || holds(q + shift) || holds(k);
    };
}

// Window and global blocks; the random ones are asked for one by one.
template <class Bound>
auto bigbird(long shift, const heed::bigbird_blocks& of, const Bound& random) {
    return [=](long b, long h, long q, long k) {
        const long p = q + shift, first = of.global * of.block;
        const long row = p >= 0 ? p / of.block : -((-p + of.block - 1) / of.block);
        return std::labs(row - k / of.block) <= of.window / 2 || k < first || (p >= 0 && p < first) ||
               random.classify({b, h, q, q + 1, k, k + 1}) == heed::cover::full;
    };
}

}  // namespace

TEST_CASE("longformer sees a window and global positions") {
    support::for_problems<float>(261, 60, [](reference::problem& p, support::random& r) {
        const long width = r.skewed(1, p.keys + 3) - 1;
        std::vector<int> ids;
        for (long n = r.between(0, 5); n > 0; --n) ids.push_back(static_cast<int>(r.between(0, p.keys - 1)));
        const auto see = longformer(p.keys - p.queries, width, ids);
        support::check_pattern(p, heed::longformer(width, ids), see);
    });
    const std::vector<int> ids{2, 9};
    support::safe_tiles(heed::longformer(5, ids), longformer(2, 5, ids));
}

TEST_CASE("bigbird sees a window of blocks, global blocks and random ones") {
    support::for_problems<float>(262, 40, [](reference::problem& p, support::random& r) {
        const heed::bigbird_blocks of{r.skewed(1, 64), 2 * r.between(1, 2) - 1, r.between(0, 2),
                                      r.between(0, 3)};
        const auto random = heed::random_blocks(of.random, of.block, 11)
                                .bind("test", heed::problem_shape{p.batch, p.heads, p.queries, p.keys});
        support::check_pattern(p, heed::bigbird(11, of), bigbird(p.keys - p.queries, of, random));
    });
    const heed::problem_shape s{1, 2, 12, 9};
    const auto random = heed::random_blocks(1, 2, 0).bind("test", s);
    support::safe_tiles(heed::bigbird(0, {2, 3, 1, 1}), bigbird(-3, {2, 3, 1, 1}, random), s);
}

TEST_CASE("bigbird keeps few pairs of a long sequence, and the defaults are those of the paper") {
    const heed::problem_shape s{1, 1, 6400, 6400};
    const heed::block_mask kept(heed::bigbird(3), s, 64, 64);
    const auto of_row = [&](long q) { return static_cast<long>(kept.kept(q).size()); };
    CHECK(of_row(0) == 100);
    CHECK(of_row(1) == 100);
    for (long q = 4; q < 100; ++q) CHECK((of_row(q) <= 8 && of_row(q) >= 5 - (q == 99)));
}

TEST_CASE("no key that longformer hides enters arithmetic") {
    const heed_test::without_traps quiet;
    support::random r(263);
    const std::vector<int> ids{1, 100, 404};
    auto p = support::problem<float>(r, 1, 4, 2, 60, 700, 7, 8);
    support::check_poison(p, r, heed::longformer(64, ids), longformer(640, 64, ids));
    p = support::problem<float>(r, 2, 2, 1, 3, 700, 7, 8);
    support::check_poison(p, r, heed::longformer(64, ids), longformer(697, 64, ids));
}

TEST_CASE("patterns stand beside score functions, biases and other element types") {
    support::random r(264);
    const std::vector<int> ids{0, 250};
    const auto with = [&](auto element, long queries, long keys) {
        using T = decltype(element);
        auto p = support::problem<T>(r, 1, 4, 2, queries, keys, 16, 16);
        const auto see = longformer(keys - queries, 40, ids);
        p.visible = [&](reference::place i) {
            return see(0, 0, i.query, i.key) && i.key <= i.query + keys - queries;
        };
        p.softcap = 5;
        support::check_call<T>(p, heed::causal, heed::longformer(40, ids), heed::softcap(5));
    };
    with(Eigen::half(), 300, 300);
    with(Eigen::half(), 3, 300);
    with(double(), 200, 300);
}

TEST_CASE("patterns of numbers as large as numbers go see what their formulas say") {
    support::random r(265);
    constexpr long axis = 2147483647, most = PTRDIFF_MAX;
    for (const long n : {1L, 3L, axis - 1, axis, axis + 1, 2 * axis + 5, 1L << 62, most - 1, most})
        for (const long queries : {3L, 9L, 15L}) {
            auto p = support::problem<float>(r, 1, 1, 1, queries, 12, 4, 4);
            const auto from = [&](reference::place i) { return i.query + p.keys - p.queries; };
            const auto away = [&](reference::place i) { return std::labs(i.key - from(i)); };
            const auto block = [&](long x) { return x >= 0 ? x / n : -1 - (-1 - x) / n; };
            INFO(n << ", " << queries << " queries");
            p.visible = [&](reference::place i) { return away(i) % n == 0; };
            support::check_call<float>(p, heed::dilated(most, n));
            p.visible = [&](reference::place i) { return away(i) < n; };
            support::check_call<float>(p, heed::dilated(n, 1));
            p.visible = [&](reference::place i) { return away(i) <= n || away(i) % n == 0; };
            support::check_call<float>(p, heed::strided(n));
            p.visible = [&](reference::place i) {
                return block(from(i)) == block(i.key) || i.key % n == n - 1;
            };
            support::check_call<float>(p, heed::fixed(n, 1));
            p.visible = [&](reference::place i) { return std::labs(block(from(i)) - block(i.key)) <= n; };
            support::check_call<float>(p, heed::detail::block_window_mask(n, n));
            p.visible = [&](reference::place i) { return i.key < n; };
            support::check_call<float>(p, heed::prefix(n));
            p.visible = [&](reference::place i) { return i.key < n || (from(i) >= 0 && from(i) < n); };
            support::check_call<float>(p, heed::global_first(n));
        }
}
