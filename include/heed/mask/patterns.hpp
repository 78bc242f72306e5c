// SPDX-License-Identifier: MIT
// heed/mask/patterns.hpp: the patterns of two papers, put together from masks
//
//     longformer(w, ids)     window(w / 2, w / 2) | global(ids)                        arXiv 2004.05150
//     bigbird(seed, blocks)  block_window | global_first | random_blocks               arXiv 2007.14062
//
// Wrong numbers are refused where a pattern is made. Both look both ways; heed::causal & longformer(…) looks
// back. One projection serves local and global rows. Where global rows have a projection of their own, call
// attention for those queries apart.
//
// Cost: what their parts let through. Longformer: about queries x (w + ids) + ids x keys pairs; bigbird:
// queries x block x (window + global + random), and the global rows.
#pragma once

#include <heed/mask/algebra.hpp>
#include <heed/mask/band.hpp>
#include <heed/mask/block_window.hpp>
#include <heed/mask/global.hpp>
#include <heed/mask/random_blocks.hpp>

namespace heed::inline HEED_ABI {

// A window of width / 2 keys, rounded down, on each side of a query's own, |p - key| <= width / 2, and global
// positions; keeps a reference to the ids.
template <class W, class R>
auto longformer(const W& width, R&& global_ids) {
    static_assert(detail::whole_number<W>,
                  "heed::longformer: needs a whole number of keys and the global "
                  "positions, longformer(width, ids)");
    static_assert(!detail::integers<R> || detail::may_be_kept<R>,
                  "heed::longformer: the ids are a temporary and would be gone; give them a name");
    const index keys = detail::index_of(width);
    if (keys < 0) detail::fail("longformer", {"width is ", keys, ", needs a number that is not negative"});
    const index side = keys / 2;
    return window(side, side) | global(std::forward<R>(global_ids));
}

// How many blocks a row of blocks sees, and their length in positions.
struct bigbird_blocks {
    index block = 64;
    index window = 3;  // odd: its own, and as many before as after it
    index global = 2;  // the first ones, which also see every block
    index random = 3;  // some of which may be among the others
};

// Throws heed::error for a number out of range and for an even window, which has no middle.
inline auto bigbird(std::uint64_t seed = 0, const bigbird_blocks& of = {}) {
    const auto check_count = [](const char* name, index number, index smallest) {
        if (number < smallest) detail::fail("bigbird", {name, " is ", number, ", needs at least ", smallest});
    };
    check_count("block", of.block, 1);
    check_count("window", of.window, 1);
    check_count("global", of.global, 0);
    check_count("random", of.random, 0);
    if (of.window % 2 == 0)
        detail::fail("bigbird", {"window is ", of.window,
                                 " blocks, needs an odd number: a query's own and as many on either side"});
    // A product that is too long is as good as all.
    index global_positions = 0;
    if (!detail::fitting_product(of.global, of.block, global_positions)) global_positions = longest_axis;
    return block_window(of.window / 2, of.block) | global_first(global_positions) |
           random_blocks(of.random, of.block, seed);
}

}  // namespace heed::inline HEED_ABI
