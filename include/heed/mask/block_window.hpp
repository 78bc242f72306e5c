// SPDX-License-Identifier: MIT
// heed/mask/block_window.hpp: a sliding window of whole blocks
//
//     |floor(p / block) - floor(key / block)| <= side           p = query + (keys - queries)
//
// Cost: no storage, O(1) for a tile; strips of queries are cut where blocks end.
#pragma once

#include <heed/core/numbers.hpp>
#include <heed/mask/block_bits.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

struct bound_block_window {
    index side;
    index block;
    index shift;

    index block_of(index query) const { return floor_divided(query + shift, block); }
    bool alike(index) const { return true; }
    cover classify(const tile& t) const {
        const index min_distance = t.key_begin / block - block_of(t.query_end - 1);
        const index max_distance = (t.key_end - 1) / block - block_of(t.query_begin);
        if (max_distance < -side || min_distance > side) return cover::empty;
        return min_distance >= -side && max_distance <= side ? cover::full : cover::mixed;
    }
    index first_key(const tile& t) const {
        const index first = (block_of(t.query_begin) - side) * block;
        const index end = (block_of(t.query_end - 1) + side + 1) * block;
        if (end <= t.key_begin || first >= t.key_end) return t.key_end;
        return first > t.key_begin ? first : t.key_begin;
    }
    index grain() const { return shift % block == 0 ? block : 0; }
    seen_blocks lanes(const lane_block& lanes_) const {
        return seen_blocks(lanes_, shift, block, block, [&](index query, index key) {
            return query - key <= side && key - query <= side;
        });
    }
};

struct block_window_mask : mask_base {
    index side;
    index block;
    block_window_mask(index s, index b) : side(s), block(b) {}
    auto content() const { return std::tie(side, block); }
    auto bind(std::string_view function, const problem_shape& shape) const {
        if (!(side >= 0 && block >= 1))
            fail(function, {"block_window got (", side, ", ", block,
                            "), needs a count of blocks that is not negative and blocks of 1 or more"});
        return bound_block_window{side < longest_axis ? side : longest_axis,
                                  block < longest_axis ? block : longest_axis, shape.keys - shape.queries};
    }
};

}  // namespace detail

// The own block of `block` keys and `side` blocks before and after it.
template <class S, class B>
auto block_window(const S& side, const B& block) {
    static_assert(detail::whole_number<S> && detail::whole_number<B>,
                  "heed::block_window: needs two whole numbers, block_window(side, block)");
    return detail::block_window_mask(detail::index_of(side), detail::index_of(block));
}

}  // namespace heed::inline HEED_ABI
