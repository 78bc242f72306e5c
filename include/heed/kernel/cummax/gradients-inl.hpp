// SPDX-License-Identifier: MIT
// heed/kernel/cummax/gradients-inl.hpp: the operations of the backward of cummax attention
//
// A maximum was set where x and e are the same bits.

#ifndef HEED_KERNEL_CUMMAX_GRADIENTS_INL
#define HEED_KERNEL_CUMMAX_GRADIENTS_INL

#include <heed/kernel/cummax/leaves-inl.hpp>

#define HEED_FOREACH <heed/kernel/cummax/gradients-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

// x where both are the same bits, else 0.
template <class V>
HEED_INLINE V where_same(V a, V b, V x) {
    return choose(bits_of(a) == bits_of(b), x, set<V>(0));
}
template <class V>
HEED_INLINE V where_other(V a, V b, V x) {
    return choose(bits_of(a) == bits_of(b), set<V>(0), x);
}

struct cummax_gradients {
    static constexpr int reads = 4, writes = 3;
    template <class V>
    static HEED_INLINE void apply(const V* x, V* y, const element_of<V>*) {
        using C = constants<element_of<V>>;
        const V g = x[0];
        y[0] = g * rounded(x[2] + C::one);
        y[1] = g * rounded(x[3] + x[1]);
        y[2] = g * x[2];
    }
};
// A position of one head on the way down: the maximum over the heads so far, all gradients that need no
// later position, and who set the maxima: 1 where o set that over positions, + 2 where this head set that
// over heads. The first head always does.
template <bool First>
struct cummax_descend {
    static constexpr int reads = First ? 5 : 6, writes = 6;
    static constexpr unsigned carried = 1;
    template <class V>
    static HEED_INLINE void apply(const V* x, V* y, const element_of<V>*) {
        using C = constants<element_of<V>>;
        const V zero = set<V>(0);
        const V one = set<V>(C::one);
        const V e = cummax_later(x[0], x[1]);
        const V g = x[2];
        V p = e;
        if constexpr (!First) p = cummax_later(x[5], e);
        y[0] = e;
        y[1] = choose(bits_of(x[1]) == bits_of(e), one, zero) +
               choose(bits_of(p) == bits_of(e), one + one, zero);
        y[2] = g * rounded(x[4] + C::one);
        y[3] = g * rounded(p + x[3]);
        y[4] = g * x[4];
        y[5] = p;
    }
};
// And on the way back up: first over heads (route), then over positions (release).
struct cummax_ascend {
    static constexpr int reads = 5, writes = 4;
    static constexpr unsigned carried = 1 + 2;
    template <class V>
    static HEED_INLINE void apply(const V* x, V* y, const element_of<V>*) {
        using C = constants<element_of<V>>;
        const V zero = set<V>(0);
        const V one = set<V>(C::one);
        const auto head_set = x[4] > one;
        const auto position_set = choose(head_set, x[4] - (one + one), x[4]) == one;
        const V over_heads = x[2] + x[3];
        const V sum = x[0] + choose(head_set, over_heads, zero);
        y[0] = choose(position_set, zero, sum);
        y[1] = choose(position_set, zero, x[1]);
        y[2] = choose(head_set, zero, over_heads);
        y[3] = choose(position_set, sum + x[1], zero);
    }
};
struct cummax_route {
    static constexpr int reads = 4, writes = 2;
    template <class V>
    static HEED_INLINE void apply(const V* x, V* y, const element_of<V>*) {
        const V sum = x[0] + x[1];
        y[0] = where_other(x[2], x[3], sum);
        y[1] = where_same(x[2], x[3], sum);
    }
};
// Backwards over positions: what is left over at the first one, and whether (1) or not (0) it still takes
// what later positions left.
struct cummax_collect {
    static constexpr int reads = 5, writes = 2;
    static constexpr unsigned carried = 1 + 2;
    template <class V>
    static HEED_INLINE void apply(const V* x, V* y, const element_of<V>*) {
        y[0] = where_other(x[3], x[4], x[0] + x[2]);
        y[1] = where_other(x[3], x[4], x[1]);
    }
};
struct cummax_release {
    static constexpr int reads = 5, writes = 3;
    static constexpr unsigned carried = 1 + 2;
    template <class V>
    static HEED_INLINE void apply(const V* x, V* y, const element_of<V>*) {
        const V sum = x[0] + x[2];
        y[0] = where_other(x[3], x[4], sum);
        y[1] = where_other(x[3], x[4], x[1]);
        y[2] = where_same(x[3], x[4], sum + x[1]);
    }
};
struct cummax_pass_on {
    static constexpr int reads = 3, writes = 1;
    template <class V>
    static HEED_INLINE void apply(const V* x, V* y, const element_of<V>*) {
        const V nothing = set<V>(0);
        y[0] = x[1] + choose(bits_of(x[2]) == bits_of(nothing), nothing, x[0]);
    }
};
struct cummax_add {
    static constexpr int reads = 2, writes = 1;
    template <class V>
    static HEED_INLINE void apply(const V* x, V* y, const element_of<V>*) {
        y[0] = x[0] + x[1];
    }
};
struct cummax_blend_gradients {
    static constexpr int reads = 5, writes = 3;
    static constexpr unsigned carried = 1;
    template <class V>
    static HEED_INLINE void apply(const V* x, V* y, const element_of<V>* alpha) {
        y[0] = x[0] + rounded(x[2] * (x[3] - x[4]));
        y[1] = x[1] + rounded(rounded(x[2] * alpha[1]) * x[4]);
        y[2] = x[2] * alpha[0];
    }
};
struct cummax_softmax_gradient {
    static constexpr int reads = 4, writes = 1;
    template <class V>
    static HEED_INLINE void apply(const V* x, V* y, const element_of<V>* alpha) {
        y[0] = x[0] + rounded(x[2] * (rounded(x[1] * alpha[1]) - x[3]));
    }
};

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
