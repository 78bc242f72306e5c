// SPDX-License-Identifier: MIT
// tests/mask/tiles.cpp: the answer of every mask about a tile, against a look at every score
//
// A mask that can know is also held to knowing (support/tiles.hpp).
#include <heed/mask/algebra.hpp>
#include <heed/mask/band.hpp>
#include <heed/mask/custom.hpp>
#include <heed/mask/dense.hpp>
#include <heed/mask/documents.hpp>
#include <heed/mask/padding.hpp>

#include "support/problems.hpp"
#include "support/tensors.hpp"
#include "support/tiles.hpp"

namespace {

using support::exact_seeking_tiles, support::exact_tiles, support::safe_tiles;
constexpr long batch = support::small_shape.batch, heads = support::small_shape.heads;
constexpr long queries = support::small_shape.queries, keys = support::small_shape.keys;

auto band(long offset, long left, long right) {
    return [=](long, long, long q, long k) { return k >= q + offset - left && k <= q + offset + right; };
}

}  // namespace

TEST_CASE("causal and windows know every tile") {
    exact_seeking_tiles(heed::causal, band(keys - queries, 1000, 0));
    for (const long offset : {-9L, -3L, 0L, 2L, 11L})
        exact_seeking_tiles(heed::causal_from(offset), band(offset, 1000, 0));
    for (const long left : {0L, 1L, 4L})
        for (const long right : {0L, 3L}) {
            exact_seeking_tiles(heed::window(left, right), band(keys - queries, left, right));
            exact_seeking_tiles(heed::window_from(-2, left, right), band(-2, left, right));
        }
    exact_seeking_tiles(heed::window(3, heed::unbounded), band(keys - queries, 3, 1000));
    exact_seeking_tiles(heed::window(heed::unbounded, heed::unbounded), band(0, 1000, 1000));
    const std::vector<int> offsets{-4, 5};
    exact_seeking_tiles(heed::causal_from(offsets),
                        [](long b, long, long q, long k) { return k <= q + (b ? 5 : -4); });
}

TEST_CASE("prefix and key lengths know every tile") {
    for (const long n : {0L, 1L, 7L, 11L, 500L})
        exact_seeking_tiles(heed::prefix(n), [=](long, long, long, long k) { return k < n; });
    const std::vector<int> lengths{4, 11}, none{0, 1};
    exact_seeking_tiles(heed::key_lengths(lengths),
                        [](long b, long, long, long k) { return k < (b ? 11 : 4); });
    exact_seeking_tiles(heed::key_lengths(none), [](long b, long, long, long k) { return k < b; });
}

TEST_CASE("documents and packed are never wrong, and know sorted ids") {
    const std::vector<int> q{0, 0, 0, 1, 1, 3, 3, 3, 4}, k{0, 0, 1, 1, 1, 1, 2, 2, 3, 4, 4};
    const auto same = [&](long, long, long i, long j) {
        return q[static_cast<std::size_t>(i)] == k[static_cast<std::size_t>(j)];
    };
    safe_tiles(heed::documents(q, k), same);
    const std::vector<int> mixed_q{3, 0, 1, 0, 1, 3, 3, 2, 2}, mixed_k{0, 2, 0, 1, 3, 1, 3, 2, 2, 0, 7};
    safe_tiles(heed::documents(mixed_q, mixed_k), [&](long, long, long i, long j) {
        return mixed_q[static_cast<std::size_t>(i)] == mixed_k[static_cast<std::size_t>(j)];
    });
    const std::vector<int> of_queries{0, 3, 3, 5, 9}, of_keys{0, 1, 6, 6, 11};
    const auto document = [](const std::vector<int>& offsets, long p) {
        std::size_t d = 0;
        while (offsets[d + 1] <= p) ++d;
        return d;
    };
    safe_tiles(heed::packed(of_queries, of_keys),
               [&](long, long, long i, long j) { return document(of_queries, i) == document(of_keys, j); });
}

TEST_CASE("a dense mask knows every tile, broadcast or not") {
    support::random r(71);
    for (int round = 0; round < 6; ++round) {
        const long b = round & 1 ? batch : 1, h = round & 2 ? heads : 1;
        support::tensor<bool> m(b, h, round == 4 ? 1 : queries, round == 5 ? 1 : keys);
        for (long i = 0; i < m.size(); ++i) m.data()[i] = r.chance(round < 3 ? 0.9 : 0.2);
        exact_tiles(heed::mask(m), [&](long i, long j, long q, long k) {
            return m(b > 1 ? i : 0, h > 1 ? j : 0, round == 4 ? 0 : q, round == 5 ? 0 : k);
        });
    }
}

TEST_CASE("the algebra is never wrong") {
    const auto odd = heed::mask_if([](heed::at i) { return (i.query + i.key) % 2 == 1; });
    const auto is_odd = [](long q, long k) { return (q + k) % 2 == 1; };
    const long offset = keys - queries;
    safe_tiles(odd, [&](long, long, long q, long k) { return is_odd(q, k); });
    safe_tiles(heed::causal & heed::window(3, 2),
               [&](long, long, long q, long k) { return k <= q + offset && k >= q + offset - 3; });
    safe_tiles(heed::causal | heed::prefix(4),
               [&](long, long, long q, long k) { return k <= q + offset || k < 4; });
    exact_tiles(!heed::causal, [&](long, long, long q, long k) { return k > q + offset; });
    safe_tiles(!(heed::window(2, 2) | (odd & heed::prefix(6))), [&](long, long, long q, long k) {
        return !((k >= q + offset - 2 && k <= q + offset + 2) || (is_odd(q, k) && k < 6));
    });
    safe_tiles((heed::prefix(3) | !heed::prefix(8)) & heed::causal_from(3),
               [&](long, long, long q, long k) { return (k < 3 || k >= 8) && k <= q + 3; });
}
