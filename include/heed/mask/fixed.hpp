// SPDX-License-Identifier: MIT
// heed/mask/fixed.hpp: blocks of keys, and the last keys of every block
//
//     fixed(l, c)     floor(j / l) = floor(p / l), or j mod l >= l - c      p = query + (keys - queries)
//
// The fixed pattern of the Sparse Transformer (arXiv 1904.10509): queries see their own block of l keys and
// the last c of every other, ahead too; heed::causal & fixed(l, c) looks back.
//
// Cost: no storage; a tile is answered exactly, in O(1). Where l reaches the 128 keys of a tile, only the
// tiles' groups of 8 keys that hold the last c are computed; below that all keys are.
#pragma once

#include <heed/core/numbers.hpp>
#include <heed/mask/block_bits.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

struct bound_fixed {
    index length;  // of a block
    index last;    // keys at its end
    index shift;

    // Of the keys [begin, end): the first that ends a block, or end. Are all of them such?
    index first_last(index begin, index end) const {
        if (last == 0 || begin >= end) return end;
        const index r = begin % length;
        const index first = r >= length - last ? begin : begin - r + length - last;
        return first < end ? first : end;
    }
    bool all_last(index begin, index end) const {
        if (begin >= end || last == length) return true;
        return begin % length >= length - last && begin / length == (end - 1) / length;
    }

    bool alike(index) const { return true; }
    cover classify(const tile& t) const {
        const index first = floor_divided(t.query_begin + shift, length);
        const index final_ = floor_divided(t.query_end - 1 + shift, length);
        const index key_first = t.key_begin / length;
        const index key_final = (t.key_end - 1) / length;
        if (key_final < first || key_first > final_) {
            if (first_last(t.key_begin, t.key_end) == t.key_end) return cover::empty;
            return all_last(t.key_begin, t.key_end) ? cover::full : cover::mixed;
        }
        if (all_last(t.key_begin, t.key_end)) return cover::full;
        // All see the same block: the keys around it have to be the last of theirs.
        const index begin = first * length;
        const index end = begin + length;
        const bool all = first == final_ && all_last(t.key_begin, t.key_end < begin ? t.key_end : begin) &&
                         all_last(t.key_begin > end ? t.key_begin : end, t.key_end);
        return all ? cover::full : cover::mixed;
    }
    index first_key(const tile& t) const {
        const index by_end = first_last(t.key_begin, t.key_end);
        const index begin = floor_divided(t.query_begin + shift, length) * length;
        const index end = (floor_divided(t.query_end - 1 + shift, length) + 1) * length;
        if (end <= t.key_begin || begin >= by_end) return by_end;
        return begin > t.key_begin ? begin : t.key_begin;
    }
    // Blocks of queries begin where p is a multiple.
    index grain() const { return shift % length == 0 ? length : 0; }

    struct blocks {
        std::int32_t of_lane[most_lanes];
        std::int32_t of_row[most_rows];
        std::int32_t last_lane[most_lanes];  // integers and not bools: rows of these become vector code
        std::int32_t last_row[most_rows];
        HEED_INLINE bool operator()(at, lane_pos x) const {
            return (int{of_lane[x.lane] == of_row[x.row]} | last_lane[x.lane] | last_row[x.row]) != 0;
        }
    };
    blocks lanes(const lane_block& block) const {
        blocks b;
        const bool over_queries = block.lanes_are_queries();
        const index query = block.first.query + shift;
        const index key = block.first.key;
        mark(over_queries ? query : key, over_queries ? 0 : last, block.last + 1, b.of_lane, b.last_lane);
        for (index l = block.last + 1; l < most_lanes; ++l) {
            b.of_lane[l] = b.of_lane[block.last];
            b.last_lane[l] = b.last_lane[block.last];
        }
        mark(over_queries ? key : query, over_queries ? last : 0, block.rows, b.of_row, b.last_row);
        return b;
    }

private:
    void mark(index from, index last_, index count, std::int32_t* of, std::int32_t* ends) const {
        index n = floor_divided(from, length);
        index r = from - n * length;
        for (index i = 0; i < count; ++i) {
            of[i] = static_cast<std::int32_t>(n);
            ends[i] = r >= length - last_ ? 1 : 0;
            if (++r == length) {
                r = 0;
                ++n;
            }
        }
    }
};

struct fixed_mask : mask_base {
    index length;
    index last;
    fixed_mask(index l, index c) : length(l), last(c) {}
    auto content() const { return std::tie(length, last); }
    auto bind(std::string_view function, const problem_shape& shape) const {
        if (!(length >= 1 && last >= 0 && last <= length))
            fail(function, {"fixed got (", length, ", ", last,
                            "), needs a block of 1 key or more and at most all of its keys"});
        // No position reaches the end of a block longer than any axis; where its last keys begin is kept.
        const index longest = 2 * longest_axis;
        const index l = length < longest ? length : longest;
        const index begin = length - last < l ? length - last : l;
        return bound_fixed{l, l - begin, shape.keys - shape.queries};
    }
};

}  // namespace detail

// Blocks of l keys, of which everyone sees the last c.
template <class L, class C>
auto fixed(const L& l, const C& c) {
    static_assert(detail::whole_number<L> && detail::whole_number<C>,
                  "heed::fixed: needs two whole numbers, fixed(l, c)");
    return detail::fixed_mask(detail::index_of(l), detail::index_of(c));
}

}  // namespace heed::inline HEED_ABI
