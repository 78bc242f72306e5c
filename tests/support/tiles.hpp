// SPDX-License-Identifier: MIT
// tests/support/tiles.hpp: the answers of a mask about tiles, against a look at every score
//
// A wrong "empty" loses keys and a wrong "full" shows hidden ones; "mixed" is never wrong, only
// slow. The same of the first key: one too late loses keys, one too early only costs time.
#pragma once

#include <heed/mask/concept.hpp>

#include "support/catch.hpp"

namespace support {

inline constexpr heed::problem_shape small_shape{2, 2, 9, 11};

struct tile_tally {
    long tiles = 0, wrong = 0, missed = 0;  // classify: wrong, or mixed where it could know
    long late = 0, early = 0;               // first_key: behind a key that is seen, or before the first
};

// Asks about every tile of a small problem; see(batch, head, query, key) is the mask's definition.
template <class Mask, class See>
tile_tally every_tile(const Mask& mask, const See& see, const heed::problem_shape& s = small_shape) {
    const auto bound = mask.bind("test", s);
    tile_tally t;
    for (long b = 0; b < s.batch; ++b)
        for (long h = 0; h < s.heads; ++h)
            for (long q0 = 0; q0 < s.queries; ++q0)
                for (long q1 = q0 + 1; q1 <= s.queries; ++q1)
                    for (long k0 = 0; k0 < s.keys; ++k0)
                        for (long k1 = k0 + 1; k1 <= s.keys; ++k1) {
                            long seen = 0, first = k1;
                            for (long q = q0; q < q1; ++q)
                                for (long k = k0; k < k1; ++k) {
                                    if (!see(b, h, q, k)) continue;
                                    ++seen;
                                    first = k < first ? k : first;
                                }
                            const heed::tile tile{b, h, q0, q1, k0, k1};
                            const auto got = bound.classify(tile);
                            const long all = (q1 - q0) * (k1 - k0);
                            const auto exact = seen == 0     ? heed::cover::empty
                                               : seen == all ? heed::cover::full
                                                             : heed::cover::mixed;
                            t.wrong += got != heed::cover::mixed && got != exact;
                            t.missed += got == heed::cover::mixed && got != exact;
                            const long from = heed::detail::first_key_of(bound, tile);
                            t.late += from > first || from < k0;
                            t.early += from < first;
                            ++t.tiles;
                        }
    return t;
}

// The same on blocks of rows of lanes, lanes over keys and over queries, with lanes past the end.
template <class Mask, class See>
long wrong_lanes(const Mask& mask, const See& see, const heed::problem_shape& s = small_shape) {
    const auto bound = mask.bind("test", s);
    long wrong = 0;
    REQUIRE((s.queries <= heed::detail::most_rows && s.keys <= heed::detail::most_rows));
    for (int b = 0; b < s.batch; ++b)
        for (int h = 0; h < s.heads; ++h)
            for (int q = 0; q < s.queries; ++q)
                for (int k = 0; k < s.keys; ++k)
                    for (const bool over_keys : {true, false}) {
                        const int last = over_keys ? int(s.keys) - 1 - k : int(s.queries) - 1 - q;
                        const int rows = over_keys ? int(s.queries) - q : int(s.keys) - k;
                        const heed::detail::lane_block block{
                            {b, h, q, k}, over_keys ? 0 : ~0, over_keys ? ~0 : 0, last, rows};
                        const auto f = bound.lanes(block);
                        for (int row = 0; row < rows; ++row)
                            for (int lane = 0; lane < last + 3; ++lane) {
                                const int l = lane < last ? lane : last;
                                const heed::detail::lane_pos at{lane, row};
                                wrong +=
                                    bool(f(block.at_pos(at), at)) !=
                                    bool(see(b, h, q + (over_keys ? row : l), k + (over_keys ? l : row)));
                            }
                    }
    return wrong;
}

// Never wrong, and never "mixed" without need.
template <class Mask, class See>
tile_tally exact_tiles(const Mask& mask, const See& see, const heed::problem_shape& s = small_shape) {
    const tile_tally t = every_tile(mask, see, s);
    CHECK(t.tiles > 1000);
    CHECK(t.wrong == 0);
    CHECK(t.missed == 0);
    CHECK(t.late == 0);
    CHECK(wrong_lanes(mask, see, s) == 0);
    return t;
}
// The same, and no first key before the first that is seen.
template <class Mask, class See>
void exact_seeking_tiles(const Mask& mask, const See& see, const heed::problem_shape& s = small_shape) {
    CHECK(exact_tiles(mask, see, s).early == 0);
}
// Never wrong.
template <class Mask, class See>
void safe_tiles(const Mask& mask, const See& see, const heed::problem_shape& s = small_shape) {
    const tile_tally t = every_tile(mask, see, s);
    CHECK(t.wrong == 0);
    CHECK(t.late == 0);
    CHECK(wrong_lanes(mask, see, s) == 0);
}

}  // namespace support
