// SPDX-License-Identifier: MIT
// heed/mask/concept.hpp: what a mask is, and the algebra of masks
//
// A mask says which keys a query may look at. Before a call runs it is bound to the call's extents:
//
//     bound = mask.bind(function, shape)          checks its arguments, throws heed::error
//     bound.classify(tile)  -> cover              empty, full or mixed, for a block of scores
//     bound.lanes(row)           -> f(at, lane)   the mask along one row of lanes
//
// classify may answer `mixed` whenever it does not know, but never `empty` or `full` wrongly: empty tiles
// are skipped and full ones run unmasked, which is where static sparsity comes from.
//
//     a & b   both       a | b   either       !a   the keys that a hides
#pragma once

#include <string_view>

#include <heed/core/error.hpp>
#include <heed/core/option.hpp>

namespace heed {
inline namespace HEED_ABI {

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

// The first score of a row of lanes; lane l stands at query + (l & query_step), key + (l & key_step),
// one of the two steps being ~0 and the other 0. Lanes past the last valid one repeat it, so that a
// predicate is never asked about a query or key that does not exist.
struct lane_row {
    at first;
    std::int32_t query_step;
    std::int32_t key_step;
    std::int32_t last;

    at at_lane(std::int32_t lane) const {
        const std::int32_t l = lane < last ? lane : last;
        return {first.batch, first.head, first.query + (l & query_step), first.key + (l & key_step)};
    }
    // Elements between neighbouring lanes of a table with these strides.
    index stride(index query_stride, index key_stride) const {
        return query_step != 0 ? query_stride : key_stride;
    }
};

// No row of lanes is longer, on any target.
inline constexpr int most_lanes = 64;

template <class A, class B>
struct bound_and {
    A a;
    B b;
    cover classify(const tile& t) const {
        const cover x = a.classify(t);
        if (x == cover::empty) return x;
        const cover y = b.classify(t);
        if (y == cover::empty || x == cover::full) return y;
        return cover::mixed;
    }
    auto lanes(const lane_row& row) const { return both{a.lanes(row), b.lanes(row)}; }

private:
    template <class X, class Y>
    struct both {
        X x;
        Y y;
        bool operator()(at i, std::int32_t lane) const { return (int{x(i, lane)} & int{y(i, lane)}) != 0; }
    };
    template <class X, class Y>
    both(X, Y) -> both<X, Y>;
};

template <class A, class B>
struct bound_or {
    A a;
    B b;
    cover classify(const tile& t) const {
        const cover x = a.classify(t);
        if (x == cover::full) return x;
        const cover y = b.classify(t);
        if (y == cover::full || x == cover::empty) return y;
        return cover::mixed;
    }
    auto lanes(const lane_row& row) const { return either{a.lanes(row), b.lanes(row)}; }

private:
    template <class X, class Y>
    struct either {
        X x;
        Y y;
        bool operator()(at i, std::int32_t lane) const { return (int{x(i, lane)} | int{y(i, lane)}) != 0; }
    };
    template <class X, class Y>
    either(X, Y) -> either<X, Y>;
};

template <class A>
struct bound_not {
    A a;
    cover classify(const tile& t) const {
        const cover x = a.classify(t);
        return x == cover::mixed ? x : x == cover::full ? cover::empty : cover::full;
    }
    auto lanes(const lane_row& row) const { return inverse{a.lanes(row)}; }

private:
    template <class X>
    struct inverse {
        X x;
        bool operator()(at i, std::int32_t lane) const { return !x(i, lane); }
    };
    template <class X>
    inverse(X) -> inverse<X>;
};

// No mask at all: every key is visible.
struct no_mask : mask_base {
    struct bound {
        cover classify(const tile&) const { return cover::full; }
        struct all {
            bool operator()(at, std::int32_t) const { return true; }
        };
        all lanes(const lane_row&) const { return {}; }
    };
    bound bind(std::string_view, const problem_shape&) const { return {}; }
};

template <class A, class B>
struct and_mask : mask_base {
    A a;
    B b;
    and_mask(const A& a_, const B& b_) : a(a_), b(b_) {}
    auto bind(std::string_view function, const problem_shape& shape) const {
        auto x = a.bind(function, shape);
        auto y = b.bind(function, shape);
        return bound_and<decltype(x), decltype(y)>{x, y};
    }
};

template <class A, class B>
struct or_mask : mask_base {
    A a;
    B b;
    or_mask(const A& a_, const B& b_) : a(a_), b(b_) {}
    auto bind(std::string_view function, const problem_shape& shape) const {
        auto x = a.bind(function, shape);
        auto y = b.bind(function, shape);
        return bound_or<decltype(x), decltype(y)>{x, y};
    }
};

template <class A>
struct not_mask : mask_base {
    A a;
    explicit not_mask(const A& a_) : a(a_) {}
    auto bind(std::string_view function, const problem_shape& shape) const {
        auto x = a.bind(function, shape);
        return bound_not<decltype(x)>{x};
    }
};

// Here and not in heed: argument-dependent lookup finds the operators where the mask types live.
template <mask_option A, mask_option B>
auto operator&(const A& a, const B& b) {
    return and_mask<A, B>(a, b);
}
template <mask_option A, mask_option B>
auto operator|(const A& a, const B& b) {
    return or_mask<A, B>(a, b);
}
template <mask_option A>
auto operator!(const A& a) {
    return not_mask<A>(a);
}

}  // namespace detail
}  // namespace HEED_ABI
}  // namespace heed
