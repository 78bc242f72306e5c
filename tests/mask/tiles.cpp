// SPDX-License-Identifier: MIT
// tests/mask/tiles.cpp: the answer of every mask about a tile, against a look at every score
//
// A wrong "empty" loses keys and a wrong "full" shows hidden ones; "mixed" is never wrong, only
// slow, so each mask that can know is also held to knowing.
#include <heed/mask/band.hpp>
#include <heed/mask/custom.hpp>
#include <heed/mask/dense.hpp>
#include <heed/mask/documents.hpp>
#include <heed/mask/padding.hpp>

#include "support/catch.hpp"
#include "support/problems.hpp"
#include "support/tensors.hpp"

namespace {

constexpr long batch = 2, heads = 2, queries = 9, keys = 11;

struct tally {
    long wrong = 0, missed = 0, tiles = 0;
};

// Asks about every tile of a small problem; `see` is the mask's definition.
template <class Mask, class See>
tally every_tile(const Mask& mask, const See& see) {
    const auto bound = mask.bind("test", heed::problem_shape{batch, heads, queries, keys});
    tally t;
    for (long b = 0; b < batch; ++b)
        for (long h = 0; h < heads; ++h)
            for (long q0 = 0; q0 < queries; ++q0)
                for (long q1 = q0 + 1; q1 <= queries; ++q1)
                    for (long k0 = 0; k0 < keys; ++k0)
                        for (long k1 = k0 + 1; k1 <= keys; ++k1) {
                            long seen = 0;
                            for (long q = q0; q < q1; ++q)
                                for (long k = k0; k < k1; ++k) seen += see(b, h, q, k);
                            const auto got = bound.classify({b, h, q0, q1, k0, k1});
                            const long all = (q1 - q0) * (k1 - k0);
                            const auto exact = seen == 0     ? heed::cover::empty
                                               : seen == all ? heed::cover::full
                                                             : heed::cover::mixed;
                            t.wrong += got != heed::cover::mixed && got != exact;
                            t.missed += got == heed::cover::mixed && got != exact;
                            ++t.tiles;
                        }
    return t;
}

// The same on blocks of rows of lanes, lanes over keys and over queries, with lanes past the end.
template <class Mask, class See>
long wrong_lanes(const Mask& mask, const See& see) {
    const auto bound = mask.bind("test", heed::problem_shape{batch, heads, queries, keys});
    long wrong = 0;
    for (int b = 0; b < batch; ++b)
        for (int h = 0; h < heads; ++h)
            for (int q = 0; q < queries; ++q)
                for (int k = 0; k < keys; ++k)
                    for (const bool over_keys : {true, false}) {
                        const int last = over_keys ? int(keys) - 1 - k : int(queries) - 1 - q;
                        const int rows = over_keys ? int(queries) - q : int(keys) - k;
                        static_assert(queries <= heed::detail::most_rows && keys <= heed::detail::most_rows);
                        const heed::detail::lane_block block{
                            {b, h, q, k}, over_keys ? 0 : ~0, over_keys ? ~0 : 0, last, rows};
                        const auto f = bound.lanes(block);
                        for (int row = 0; row < rows; ++row)
                            for (int lane = 0; lane < last + 3; ++lane) {
                                const int l = lane < last ? lane : last;
                                const heed::detail::place at{lane, row};
                                wrong +=
                                    bool(f(block.at_place(at), at)) !=
                                    bool(see(b, h, q + (over_keys ? row : l), k + (over_keys ? l : row)));
                            }
                    }
    return wrong;
}

template <class Mask, class See>
void exact(const Mask& mask, const See& see) {
    const tally t = every_tile(mask, see);
    CHECK(t.tiles > 10000);
    CHECK(t.wrong == 0);
    CHECK(t.missed == 0);
    CHECK(wrong_lanes(mask, see) == 0);
}
template <class Mask, class See>
void safe(const Mask& mask, const See& see) {
    CHECK(every_tile(mask, see).wrong == 0);
    CHECK(wrong_lanes(mask, see) == 0);
}

auto band(long offset, long left, long right) {
    return [=](long, long, long q, long k) { return k >= q + offset - left && k <= q + offset + right; };
}

}  // namespace

TEST_CASE("causal and windows know every tile") {
    exact(heed::causal, band(keys - queries, 1000, 0));
    for (const long offset : {-9L, -3L, 0L, 2L, 11L}) exact(heed::causal_from(offset), band(offset, 1000, 0));
    for (const long left : {0L, 1L, 4L})
        for (const long right : {0L, 3L}) {
            exact(heed::window(left, right), band(keys - queries, left, right));
            exact(heed::window_from(-2, left, right), band(-2, left, right));
        }
    exact(heed::window(3, heed::unbounded), band(keys - queries, 3, 1000));
    exact(heed::window(heed::unbounded, heed::unbounded), band(0, 1000, 1000));
    const std::vector<int> offsets{-4, 5};
    exact(heed::causal_from(offsets), [](long b, long, long q, long k) { return k <= q + (b ? 5 : -4); });
}

TEST_CASE("prefix and key lengths know every tile") {
    for (const long n : {0L, 1L, 7L, 11L, 500L})
        exact(heed::prefix(n), [=](long, long, long, long k) { return k < n; });
    const std::vector<int> lengths{4, 11}, none{0, 1};
    exact(heed::key_lengths(lengths), [](long b, long, long, long k) { return k < (b ? 11 : 4); });
    exact(heed::key_lengths(none), [](long b, long, long, long k) { return k < b; });
}

TEST_CASE("documents and packed are never wrong, and know sorted ids") {
    const std::vector<int> q{0, 0, 0, 1, 1, 3, 3, 3, 4}, k{0, 0, 1, 1, 1, 1, 2, 2, 3, 4, 4};
    const auto same = [&](long, long, long i, long j) {
        return q[static_cast<std::size_t>(i)] == k[static_cast<std::size_t>(j)];
    };
    safe(heed::documents(q, k), same);
    const std::vector<int> mixed_q{3, 0, 1, 0, 1, 3, 3, 2, 2}, mixed_k{0, 2, 0, 1, 3, 1, 3, 2, 2, 0, 7};
    safe(heed::documents(mixed_q, mixed_k), [&](long, long, long i, long j) {
        return mixed_q[static_cast<std::size_t>(i)] == mixed_k[static_cast<std::size_t>(j)];
    });
    const std::vector<int> of_queries{0, 3, 3, 5, 9}, of_keys{0, 1, 6, 6, 11};
    const auto document = [](const std::vector<int>& offsets, long p) {
        std::size_t d = 0;
        while (offsets[d + 1] <= p) ++d;
        return d;
    };
    safe(heed::packed(of_queries, of_keys),
         [&](long, long, long i, long j) { return document(of_queries, i) == document(of_keys, j); });
}

TEST_CASE("a dense mask knows every tile, broadcast or not") {
    support::random r(71);
    for (int round = 0; round < 6; ++round) {
        const long b = round & 1 ? batch : 1, h = round & 2 ? heads : 1;
        support::tensor<bool> m(b, h, round == 4 ? 1 : queries, round == 5 ? 1 : keys);
        for (long i = 0; i < m.size(); ++i) m.data()[i] = r.chance(round < 3 ? 0.9 : 0.2);
        exact(heed::mask(m), [&](long i, long j, long q, long k) {
            return m(b > 1 ? i : 0, h > 1 ? j : 0, round == 4 ? 0 : q, round == 5 ? 0 : k);
        });
    }
}

TEST_CASE("the algebra is never wrong") {
    const auto odd = heed::mask_if([](heed::at i) { return (i.query + i.key) % 2 == 1; });
    const auto is_odd = [](long q, long k) { return (q + k) % 2 == 1; };
    const long offset = keys - queries;
    safe(odd, [&](long, long, long q, long k) { return is_odd(q, k); });
    safe(heed::causal & heed::window(3, 2),
         [&](long, long, long q, long k) { return k <= q + offset && k >= q + offset - 3; });
    safe(heed::causal | heed::prefix(4),
         [&](long, long, long q, long k) { return k <= q + offset || k < 4; });
    exact(!heed::causal, [&](long, long, long q, long k) { return k > q + offset; });
    safe(!(heed::window(2, 2) | (odd & heed::prefix(6))), [&](long, long, long q, long k) {
        return !((k >= q + offset - 2 && k <= q + offset + 2) || (is_odd(q, k) && k < 6));
    });
    safe((heed::prefix(3) | !heed::prefix(8)) & heed::causal_from(3),
         [&](long, long, long q, long k) { return (k < 3 || k >= 8) && k <= q + 3; });
}
