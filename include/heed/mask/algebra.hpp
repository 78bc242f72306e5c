// SPDX-License-Identifier: MIT
// heed/mask/algebra.hpp: masks made of masks
//
//     a & b   both       a | b   either       !a   the keys that a hides
//
// The whole is asked about tiles as its parts are (mask/concept.hpp), so work follows what it lets through.
#pragma once

#include <heed/mask/positions.hpp>

namespace heed::inline HEED_ABI::detail {

// Of two grains the finer one, where it cuts at every multiple of the other; else the coarser one.
inline index joined_grain(index a, index b) {
    if (a == 0 || b == 0) return a + b;
    const index finer = a < b ? a : b;
    const index coarser = a < b ? b : a;
    return coarser % finer == 0 ? finer : coarser;
}

template <class A, class B>
struct bound_and {
    A a;
    B b;
    index first_key(const tile& t) const
    requires(seeks_keys<A> || seeks_keys<B>)
    {
        const index x = first_key_of(a, t);
        const index y = first_key_of(b, t);
        return x > y ? x : y;
    }
    index grain() const { return joined_grain(grain_of(a), grain_of(b)); }
    bool alike(index heads) const { return sees_alike(a, heads) && sees_alike(b, heads); }
    cover classify(const tile& t) const {
        const cover x = a.classify(t);
        if (x == cover::empty) return x;
        const cover y = b.classify(t);
        if (y == cover::empty || x == cover::full) return y;
        return cover::mixed;
    }
    auto lanes(const lane_block& block) const { return both{lanes_of(a, block), lanes_of(b, block)}; }

private:
    template <class X, class Y>
    struct both {
        X x;
        Y y;
        HEED_INLINE bool operator()(at i, lane_pos where) const {
            return (int{x(i, where)} & int{y(i, where)}) != 0;
        }
    };
    template <class X, class Y>
    both(X, Y) -> both<X, Y>;
};

template <class A, class B>
bound_and(A, B) -> bound_and<A, B>;

template <class A, class B>
struct bound_or {
    A a;
    B b;
    index first_key(const tile& t) const
    requires(seeks_keys<A> && seeks_keys<B>)
    {
        const index x = a.first_key(t);
        const index y = b.first_key(t);
        return x < y ? x : y;
    }
    index grain() const { return joined_grain(grain_of(a), grain_of(b)); }
    bool alike(index heads) const { return sees_alike(a, heads) && sees_alike(b, heads); }
    cover classify(const tile& t) const {
        const cover x = a.classify(t);
        if (x == cover::full) return x;
        const cover y = b.classify(t);
        if (y == cover::full || x == cover::empty) return y;
        return cover::mixed;
    }
    auto lanes(const lane_block& block) const { return either{lanes_of(a, block), lanes_of(b, block)}; }

private:
    template <class X, class Y>
    struct either {
        X x;
        Y y;
        HEED_INLINE bool operator()(at i, lane_pos where) const {
            return (int{x(i, where)} | int{y(i, where)}) != 0;
        }
    };
    template <class X, class Y>
    either(X, Y) -> either<X, Y>;
};

template <class A>
struct bound_not {
    A a;
    index grain() const { return grain_of(a); }
    bool alike(index heads) const { return sees_alike(a, heads); }
    cover classify(const tile& t) const {
        const cover x = a.classify(t);
        return x == cover::mixed ? x : x == cover::full ? cover::empty : cover::full;
    }
    auto lanes(const lane_block& block) const { return inverse{lanes_of(a, block)}; }

private:
    template <class X>
    struct inverse {
        X x;
        HEED_INLINE bool operator()(at i, lane_pos where) const { return !x(i, where); }
    };
    template <class X>
    inverse(X) -> inverse<X>;
};

// A mask of a caller's is as good as ours, or a sentence says what it lacks.
template <class... Options>
constexpr bool check_masks() {
    constexpr bool complete = ((!mask_option<Options> || concepts::mask<Options>) && ...);
    static_assert(
        complete,
        "heed: a mask of your own needs classify(heed::tile) that gives a heed::cover, and "
        "operator()(heed::at) that gives a bool, itself or in what its bind(function, shape) gives; "
        "heed/mask/concept.hpp has an example");
    return complete;
}

template <class A, class B>
struct mask_pair : mask_base {
    static_assert(check_masks<A, B>());
    A a;
    B b;
    mask_pair(const A& a_, const B& b_) : a(a_), b(b_) {}
    const char* overlapped(const byte_span& output) const {
        const char* const by_a = overlapped_by(a, output);
        return by_a != nullptr ? by_a : overlapped_by(b, output);
    }
};

template <class A, class B>
struct and_mask : mask_pair<A, B> {
    using mask_pair<A, B>::mask_pair, mask_pair<A, B>::a, mask_pair<A, B>::b;
    static_assert(!(gives_positions<A> && gives_positions<B>),
                  "heed::packed: two packed(query_offsets, key_offsets) are joined, and each says where the "
                  "queries stand; needs one, of the documents that both make");
    // Where queries stand, as one of the two says, holds for both.
    template <class Outer = common_end>
    auto bind(std::string_view function, const problem_shape& shape, const Outer& outer = {}) const {
        if constexpr (gives_positions<and_mask>)
            return bind_both(function, shape, positions());
        else
            return bind_both(function, shape, outer);
    }
    auto positions() const
    requires(gives_positions<A> || gives_positions<B>)
    {
        if constexpr (gives_positions<A>)
            return a.positions();
        else
            return b.positions();
    }

private:
    template <class Positions>
    auto bind_both(std::string_view function, const problem_shape& shape, const Positions& positions) const {
        auto x = bind_at(a, function, shape, positions);
        auto y = bind_at(b, function, shape, positions);
        return bound_and<decltype(x), decltype(y)>{x, y};
    }
};

template <class A, class B>
struct or_mask : mask_pair<A, B> {
    using mask_pair<A, B>::mask_pair, mask_pair<A, B>::a, mask_pair<A, B>::b;
    template <class Positions = common_end>
    auto bind(std::string_view function, const problem_shape& shape, const Positions& positions = {}) const {
        auto x = bind_at(a, function, shape, positions);
        auto y = bind_at(b, function, shape, positions);
        return bound_or<decltype(x), decltype(y)>{x, y};
    }
};

template <class A>
struct not_mask : mask_base {
    static_assert(check_masks<A>());
    A a;
    explicit not_mask(const A& a_) : a(a_) {}
    const char* overlapped(const byte_span& output) const { return overlapped_by(a, output); }
    template <class Positions = common_end>
    auto bind(std::string_view function, const problem_shape& shape, const Positions& positions = {}) const {
        auto x = bind_at(a, function, shape, positions);
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

// What looks like the algebra and is not, for the sentence alone.
template <class A, class B>
concept one_mask = mask_option<A> != mask_option<B>;
template <class A, class B>
concept some_mask = mask_option<A> || mask_option<B>;
template <class A, class B>
requires one_mask<A, B>
auto operator&(const A& a, const B&) {
    static_assert(!one_mask<A, B>,
                  "heed: only masks combine with & and |; every other option is an argument of its own");
    return a;
}
template <class A, class B>
requires one_mask<A, B>
auto operator|(const A& a, const B&) {
    static_assert(!one_mask<A, B>,
                  "heed: only masks combine with & and |; every other option is an argument of its own");
    return a;
}
template <class A, class B>
requires some_mask<A, B>
auto operator&&(const A& a, const B&) {
    static_assert(!some_mask<A, B>, "heed: masks combine with a single &; write a & b");
    return a;
}
template <class A, class B>
requires some_mask<A, B>
auto operator||(const A& a, const B&) {
    static_assert(!some_mask<A, B>, "heed: masks combine with a single |; write a | b");
    return a;
}

template <class A, class B>
and_mask(const A&, const B&) -> and_mask<A, B>;
template <class A, class B>
or_mask(const A&, const B&) -> or_mask<A, B>;
}  // namespace heed::inline HEED_ABI::detail
