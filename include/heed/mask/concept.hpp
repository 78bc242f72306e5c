// SPDX-License-Identifier: MIT
// heed/mask/concept.hpp: what a mask is
//
// A mask says which keys a query may look at. Before a call runs it is bound to the call's extents:
//
//     bound = mask.bind(function, shape)          checks its arguments, throws heed::error
//     bound.classify(tile)  -> cover              empty, full or mixed, for a block of scores
//     bound.lanes(block)     -> f(at, place)   the mask on a block of up to 16 rows of lanes
//
// classify may answer `mixed` whenever it does not know, but never `empty` or `full` wrongly: empty tiles
// are skipped and full ones run unmasked, which is where static sparsity comes from. Where it can, a bound
// mask also says
//
//     bound.first_key(tile)  -> index     no key of the tile before this one is seen; key_end: none is
//     bound.grain()          -> index     queries at whose multiples it changes, 0: at any
//
// so that the walk jumps to the next keys instead of asking about every tile, and cuts the queries into
// blocks that are hidden or seen as a whole.
//
// A bound mask may also say that it answers heads alike, those of each group of n neighbours, so that one
// answer serves them all:
//
//     bound.alike(n) -> bool                      without it: no
#pragma once

#include <string_view>

#include <heed/core/error.hpp>
#include <heed/core/option.hpp>
#include <heed/core/overlap.hpp>
#include <heed/math.hpp>

namespace heed::inline HEED_ABI {

// A block of scores: one batch entry and head, queries [query_begin, query_end), keys likewise; not empty.
struct tile {
    index batch;
    index head;
    index query_begin;
    index query_end;
    index key_begin;
    index key_end;
};

// How much of a tile a mask lets through: none, all, or look at each score.
enum class cover { empty, full, mixed };

template <class M>
concept mask_option = detail::is_option<M> && std::remove_cvref_t<M>::kind == option_kind::mask;

namespace detail {

using mask_base = option<option_kind::mask>;

// Where a score stands in a block of lanes.
struct place {
    std::int32_t lane;
    std::int32_t row;
};

// A block of scores, rows of lanes. Along one axis a lane is a step, along the other a row is:
// query_step is ~0 and key_step 0 where lanes are queries, the other way round where they are keys.
// Lanes past the last valid one repeat it, so that nothing is asked about a query or key that is not there.
struct lane_block {
    at first;
    std::int32_t query_step;
    std::int32_t key_step;
    std::int32_t last;  // lane
    std::int32_t rows;

    std::int32_t clamped(std::int32_t lane) const { return lane < last ? lane : last; }
    HEED_INLINE at at_place(place x) const {
        const std::int32_t l = x.lane < last ? x.lane : last;
        return {first.batch, first.head, first.query + ((l & query_step) | (x.row & key_step)),
                first.key + ((l & key_step) | (x.row & query_step))};
    }
    bool lanes_are_queries() const { return query_step != 0; }
    // Elements between neighbouring lanes, and between rows, of a table with these strides.
    index lane_stride(index query_stride, index key_stride) const {
        return lanes_are_queries() ? query_stride : key_stride;
    }
    index row_stride(index query_stride, index key_stride) const {
        return lanes_are_queries() ? key_stride : query_stride;
    }
};

// No row of lanes is longer, and no block handed to lanes() higher, on any target.
inline constexpr int most_lanes = 64;
inline constexpr int most_rows = 16;

// What a bound mask may leave unsaid: the first key that is seen, and the grain.
template <class M>
concept seeks_keys = requires(const M& m, const tile& t) { m.first_key(t); };
template <class M>
index first_key_of(const M& m, const tile& t) {
    if constexpr (seeks_keys<M>)
        return m.first_key(t);
    else
        return t.key_begin;
}
template <class M>
index grain_of(const M& m) {
    if constexpr (requires { m.grain(); })
        return m.grain();
    else
        return 0;
}
template <class M>
bool sees_alike(const M& mask, index heads) {
    if constexpr (requires { mask.alike(heads); })
        return mask.alike(heads);
    else
        return heads == 1;
}

// No mask at all: every key is visible.
struct no_mask : mask_base {
    struct bound {
        bool alike(index) const { return true; }
        cover classify(const tile&) const { return cover::full; }
        struct all {
            HEED_INLINE bool operator()(at, place) const { return true; }
        };
        all lanes(const lane_block&) const { return {}; }
    };
    bound bind(std::string_view, const problem_shape&) const { return {}; }
};

}  // namespace detail
}  // namespace heed::inline HEED_ABI
