// SPDX-License-Identifier: MIT
// heed/mask/concept.hpp: what a mask is
//
// A mask says which keys a query may look at. One of your own derives from heed::mask_base and answers for a
// score and for a block of them:
//
//     struct checkers : heed::mask_base {
//         bool operator()(heed::at i) const { return (i.query + i.key) % 2 == 0; }
//         heed::cover classify(const heed::tile& t) const { … empty, full or mixed … }
//     };
//
// and stands in a call, and with &, | and !, as ours do (examples/12_own_mask.cpp). What depends on the
// call's extents, or has arguments to check, answers through a bound form instead, made once a call:
//
//     bound = mask.bind(function, shape)          checks its arguments, throws heed::error
//     bound.classify(tile)   -> cover             empty, full or mixed, for a block of scores
//     bound(at)              -> bool              or, for what is cheaper for many scores at once,
//     bound.lanes(block)     -> f(at, lane_pos)      the mask on a block of up to 16 rows of lanes
//
// classify may answer `mixed` whenever it does not know, but never `empty` or `full` wrongly: empty tiles
// are skipped and full ones run unmasked, which is where static sparsity comes from. bound(at) is asked for
// every score of a mixed tile, from any thread. Where it can, a bound mask also says
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
//
// A mask that refers to memory of the caller's has overlapped(span of an output) -> its name where they share
// an element, or nullptr; one with members has content() for layers (heed/core/option.hpp).
#pragma once

#include <concepts>
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

// What masks derive from.
using mask_base = detail::option<option_kind::mask>;

namespace detail {

// Where a score stands in a block of lanes.
struct lane_pos {
    std::int32_t lane;
    std::int32_t row;
};

// A block of scores, rows of lanes. Along one axis a lane is a step, along the other a row is:
// query_step is ~0 and key_step 0 where lanes are queries, the other way round where they are keys.
// Lanes past the last valid one repeat it, so that a mask is never called for a query or key out of range.
struct lane_block {
    at first;
    std::int32_t query_step;
    std::int32_t key_step;
    std::int32_t last;  // lane
    std::int32_t rows;

    std::int32_t clamped(std::int32_t lane) const { return lane < last ? lane : last; }
    HEED_INLINE at at_pos(lane_pos x) const {
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

// The mask on a block: its own answer, or one score after the other.
template <class M>
struct each_score {
    const M* mask;
    HEED_INLINE bool operator()(at i, lane_pos) const { return static_cast<bool>((*mask)(i)); }
};
template <class M>
auto lanes_of(const M& mask, const lane_block& block) {
    if constexpr (requires { mask.lanes(block); })
        return mask.lanes(block);
    else
        return each_score<M>{&mask};
}

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
            HEED_INLINE bool operator()(at, lane_pos) const { return true; }
        };
        all lanes(const lane_block&) const { return {}; }
    };
    bound bind(std::string_view, const problem_shape&) const { return {}; }
};

// A mask bound to a call; one without bind() stands for itself.
template <class M>
auto bind_mask(const M& m, std::string_view function, const problem_shape& shape) {
    if constexpr (requires { m.bind(function, shape); })
        return m.bind(function, shape);
    else
        return m;
}

}  // namespace detail

namespace concepts {

// What answers for tiles and for scores.
template <class B>
concept bound_mask = requires(const B& b, const tile& t) {
    { b.classify(t) } -> std::same_as<cover>;
} && (requires(const B& b, const detail::lane_block& block) { b.lanes(block); } || requires(const B& b, at i) {
    { b(i) } -> std::convertible_to<bool>;
});
// A mask, ours or a caller's.
template <class M>
concept mask = mask_option<M> && requires(const M& m, std::string_view function, const problem_shape& shape) {
    { detail::bind_mask(m, function, shape) } -> bound_mask;
};

}  // namespace concepts
}  // namespace heed::inline HEED_ABI
