// SPDX-License-Identifier: MIT
// heed/kernel/exact/backward-inl.hpp: the leaves of the backward of exact attention
//
// All five products of a tile are numbers of one operand times rows of the other, in blocks of as many sums
// as the registers hold.

#ifndef HEED_KERNEL_EXACT_BACKWARD_INL
#define HEED_KERNEL_EXACT_BACKWARD_INL

#include <heed/kernel/carry-inl.hpp>
#include <heed/kernel/convert-inl.hpp>
#include <heed/kernel/exact/backward_problem.hpp>
#include <heed/kernel/matrix_product-inl.hpp>
#include <heed/kernel/transpose-inl.hpp>

#define HEED_FOREACH <heed/kernel/exact/backward-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

using gradient_blocks =
    product_blocks<detail::gradient_row_group, HEED_SIMD_REGISTERS == 32 ? 4 : 3, detail::gradient_run>;

template <class T>
HEED_NOINLINE void multiply_gradient(const detail::matrix_product<T>& p) {
    multiply_in_blocks<gradient_blocks>(p);
}

template <class T>
HEED_NOINLINE void multiply_seen_lanes(const detail::matrix_product<T>& p, const T* scores, index score_row) {
    constexpr int w = lanes_of<T>;
    for (index r = 0; r < p.rows; ++r)
        for (index j = 0; j < p.columns * w; j += w) {
            pack<T> sum = set<pack<T>>(0);
            for (index i = 0; i < p.count; ++i) {
                const pack<T> added =
                    set<pack<T>>(p.a[r * p.a_row + i * p.a_step]) * load(p.b + i * p.b_row + j) + sum;
                sum = choose(is_minus_infinity(load(scores + i * score_row + j)), sum, added);
            }
            T* const to = p.c + r * p.c_row + j;
            store(to, p.add > 0 ? load(to) + sum : sum);
        }
}

template <class T>
HEED_NOINLINE void multiply_seen_terms(const detail::matrix_product<T>& p, const T* scores, index score_row) {
    constexpr int w = lanes_of<T>;
    for (index r = 0; r < p.rows; ++r)
        for (index j = 0; j < p.columns * w; j += w) {
            pack<T> sum = set<pack<T>>(0);
            for (index i = 0; i < p.count; ++i)
                if (!detail::is_minus_infinity(scores[r * score_row + i]))
                    sum = set<pack<T>>(p.a[r * p.a_row + i * p.a_step]) * load(p.b + i * p.b_row + j) + sum;
            T* const to = p.c + r * p.c_row + j;
            store(to, p.add > 0 ? load(to) + sum : sum);
        }
}

// One row. A weight is at most 1, whatever rounding made of its score; that of a row whose sum is known apart
// is one already, and what has overflowed to -inf where nothing hides is small beside other such scores
// alone.
template <bool Apart, class T>
HEED_INLINE void softmax_gradient_row(T* s, T* dp, int lanes, T shift_, T factor_, T delta_, bool may_hide) {
    constexpr int w = lanes_of<T>;
    const pack<T> zero = set<pack<T>>(0);
    const pack<T> lowest = set<pack<T>>(may_hide ? detail::minus_infinity<T>() : constants<T>::lowest);
    const pack<T> shift = set<pack<T>>(shift_);
    const pack<T> factor = set<pack<T>>(factor_);
    const pack<T> delta = set<pack<T>>(delta_);
    for (int j = 0; j < lanes; j += w) {
        const pack<T> score = load(s + j);
        pack<T> x = (Apart ? larger(lowest, score) : score) - shift;
        x = choose(x > zero, zero, x);
        pack<T> p = exp_of_negative(x);
        if constexpr (Apart) p = p * factor;
        pack<T> g = p * (load(dp + j) - delta);
        if (may_hide) {
            const auto hidden = is_minus_infinity(score);
            p = choose(hidden, zero, p);
            g = choose(hidden, zero, g);
        }
        store(s + j, p);
        store(dp + j, g);
    }
}

template <class T>
HEED_NOINLINE void softmax_gradient(T* s, index s_row, T* dp, index dp_row, index rows, int packs,
                                    const detail::row_numbers<T>& numbers, bool may_hide) {
    const int lanes = packs * lanes_of<T>;
    for (index r = 0; r < rows; ++r, s += s_row, dp += dp_row) {
        const T shift = numbers.shift[r];
        const T factor = numbers.factor[r];
        if (factor == T(1) && shift > constants<T>::lowest)
            softmax_gradient_row<false>(s, dp, lanes, shift, factor, numbers.delta[r], may_hide);
        else
            softmax_gradient_row<true>(s, dp, lanes, shift, factor, numbers.delta[r], may_hide);
    }
}

template <class T>
HEED_NOINLINE void gradient_dots(const T* a, const T* b, index row, index rows, T* out) {
    constexpr int w = lanes_of<T>;
    const pack<T> zero = set<pack<T>>(0);
    for (index r = 0; r < rows; ++r, a += row, b += row) {
        pack<T> sum = zero;
        for (index f = 0; f < row; f += w) {
            const pack<T> y = load(b + f);
            sum = choose(y == zero, sum, load(a + f) * y + sum);
        }
        T lane[w];
        store(lane, sum);
        T total = lane[0];
        for (int l = 1; l < w; ++l) total += lane[l];
        out[r] = total;
    }
}

template <class T>
HEED_NOINLINE void scale_gradient(T* x, index n, T factor) {
    const pack<T> zero = set<pack<T>>(0);
    const pack<T> s = set<pack<T>>(factor);
    for (index i = 0; i < n; i += lanes_of<T>) store(x + i, load(x + i) * s + zero);
}

template <class E>
const detail::gradient_leaves<E>& gradient_leaves() {
    using T = typename detail::exact_problem<E>::T;
    static constexpr detail::gradient_leaves<E> table{
        .pack_lanes = lanes_of<T>,
        .widen = &widen_rows<E, T>,
        .narrow = &narrow_row<T, E>,
        .all_finite = &all_finite<T>,
        .transpose = &transpose_scaled<T>,
        .multiply = &multiply_gradient<T>,
        .multiply_seen_lanes = &multiply_seen_lanes<T>,
        .multiply_seen_terms = &multiply_seen_terms<T>,
        .softmax = &softmax_gradient<T>,
        .dots = &gradient_dots<T>,
        .scale = &scale_gradient<T>,
        .carry = &carry_sums<T>,
    };
    return table;
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
