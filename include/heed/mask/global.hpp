// SPDX-License-Identifier: MIT
// heed/mask/global.hpp: positions that see everything and are seen by everyone
//
//     global(ids)        key in ids, or p in ids     p = query + (keys - queries)
//     global_first(n)    the same for the ids 0 … n - 1
//
// Key columns and query rows of a few positions, to be joined with a local pattern: window(w, w) |
// global(ids), as in Longformer (arXiv 2004.05150). Both use one projection of q, k and v; for rows with a
// projection of their own, call attention for those queries apart.
//
// Cost: no storage. A tile is answered exactly, in O(log ids) where the ids do not fall, in O(ids) where
// they do; O(1) for global_first. A row of one global query costs a pack of queries over all keys (16 in
// float with AVX-512), so neighbouring global queries are cheaper than scattered ones.
#pragma once

#include <heed/core/numbers.hpp>
#include <heed/mask/concept.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

// The positions [0, count). A query before the first key has a position below 0, which is none of them.
struct first_positions {
    index count;
    cover cover_of(index begin, index end) const {
        if (begin >= count || end <= 0 || count == 0) return cover::empty;
        return begin >= 0 && end <= count ? cover::full : cover::mixed;
    }
    index first_of(index begin, index end) const {
        const index first = begin < 0 ? 0 : begin;
        return first < count && first < end ? first : end;
    }
    void mark(index begin, index length, std::int32_t* marks) const {
        for (index i = 0; i < length; ++i) marks[i] = begin + i >= 0 && begin + i < count ? 1 : 0;
    }
};

// Positions in a list, in any order, some of them more than once.
template <class Int>
struct listed_positions {
    number_span<Int> ids;
    bool sorted;

    // The first of the list that is not below x, where it is sorted.
    index lower_bound(index x) const {
        index low = 0;
        for (index count = ids.size; count > 0;) {
            const index half = count / 2;
            if (ids[low + half] < x) {
                low += half + 1;
                count -= half + 1;
            } else {
                count = half;
            }
        }
        return low;
    }
    // The least id in [begin, end), or end.
    index first_of(index begin, index end) const {
        if (begin >= end) return end;
        if (sorted) {
            const index i = lower_bound(begin);
            return i < ids.size && ids[i] < end ? ids[i] : end;
        }
        index first = end;
        for (index i = 0; i < ids.size; ++i)
            if (ids[i] >= begin && ids[i] < first) first = ids[i];
        return first;
    }
    cover cover_of(index begin, index end) const {
        index p = first_of(begin, end);
        if (p == end) return cover::empty;
        if (p > begin || end - begin > ids.size) return cover::mixed;
        if (sorted)
            for (index i = lower_bound(begin); i < ids.size && ids[i] <= p && p < end; ++i)
                p += ids[i] == p ? 1 : 0;
        else
            while (p < end && first_of(p, end) == p) ++p;
        return p == end ? cover::full : cover::mixed;
    }
    void mark(index begin, index count, std::int32_t* marks) const {
        for (index i = 0; i < count; ++i) marks[i] = 0;
        for (index i = sorted ? lower_bound(begin) : 0; i < ids.size; ++i) {
            if (ids[i] >= begin && ids[i] < begin + count)
                marks[ids[i] - begin] = 1;
            else if (sorted)
                break;
        }
    }
};

template <class Positions>
struct bound_global {
    Positions positions;
    index shift;

    bool alike(index) const { return true; }
    cover classify(const tile& t) const {
        const cover keys = positions.cover_of(t.key_begin, t.key_end);
        if (keys == cover::full) return keys;
        const cover queries = positions.cover_of(t.query_begin + shift, t.query_end + shift);
        // A global query with a key that is not, or the other way round: some see, some do not.
        return queries == cover::full || queries == keys ? queries : cover::mixed;
    }
    index first_key(const tile& t) const {
        const index end = t.query_end + shift;
        if (positions.first_of(t.query_begin + shift, end) < end) return t.key_begin;
        return positions.first_of(t.key_begin, t.key_end);
    }

    // Integers and not bools: rows of these become vector code.
    struct marks {
        std::int32_t of_lane[most_lanes];
        std::int32_t of_row[most_rows];
        HEED_INLINE bool operator()(at, lane_pos x) const { return (of_lane[x.lane] | of_row[x.row]) != 0; }
    };
    marks lanes(const lane_block& block) const {
        marks m;
        const index query = block.first.query + shift;
        const index key = block.first.key;
        const bool over_queries = block.lanes_are_queries();
        positions.mark(over_queries ? query : key, block.last + 1, m.of_lane);
        for (index l = block.last + 1; l < most_lanes; ++l) m.of_lane[l] = m.of_lane[block.last];
        positions.mark(over_queries ? key : query, block.rows, m.of_row);
        return m;
    }
};

template <class Int>
struct global_mask : mask_base {
    number_span<Int> ids;
    explicit global_mask(const number_span<Int>& i) : ids(i) {}
    auto content() const { return std::tie(ids); }
    const char* overlapped(const byte_span& output) const {
        return ids.overlaps(output) ? "global" : nullptr;
    }
    auto bind(std::string_view function, const problem_shape& shape) const {
        bool sorted = true;
        for (index i = 0; i < ids.size; ++i) {
            if (!ids.within(i, 0, shape.keys - 1))
                fail(function, {"global: ids[", i, "] is ", ids.data[i], ", needs a position from 0 to ",
                                shape.keys - 1});
            sorted = sorted && (i == 0 || ids[i - 1] <= ids[i]);
        }
        return bound_global<listed_positions<Int>>{{ids, sorted}, shape.keys - shape.queries};
    }
};

struct global_first_mask : mask_base {
    index count;
    explicit global_first_mask(index n) : count(n) {}
    auto content() const { return std::tie(count); }
    auto bind(std::string_view function, const problem_shape& shape) const {
        if (count < 0)
            fail(function, {"global_first is ", count, ", needs a count of positions that is not negative"});
        return bound_global<first_positions>{{count < shape.keys ? count : shape.keys},
                                             shape.keys - shape.queries};
    }
};

}  // namespace detail

// Positions among the keys, in any order and as often as they please; sorted ones are found faster. Keeps a
// reference to the range.
template <class R>
auto global(R&& ids) {
    static_assert(detail::integers<R>,
                  "heed::global: needs a contiguous range of whole numbers, the global positions; for the "
                  "first n of them write heed::global_first(n)");
    static_assert(detail::may_be_kept<R>,
                  "heed::global: the ids are a temporary and would be gone; give them a name");
    return detail::global_mask(detail::span_of(ids));
}

// The first n positions.
template <class N>
auto global_first(const N& n) {
    static_assert(detail::whole_number<N>, "heed::global_first: needs a whole number of positions");
    return detail::global_first_mask(detail::index_of(n));
}

}  // namespace heed::inline HEED_ABI
