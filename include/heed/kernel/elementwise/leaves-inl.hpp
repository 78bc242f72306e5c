// SPDX-License-Identifier: MIT
// heed/kernel/elementwise/leaves-inl.hpp: small operations on rows that several variants share, and the table
// of a target
//
//     blend          y = s a + (1 - s) b, and its gradient
//     gates          sigmoid(x), and the logarithm of a decay, -softplus(x)
//     l2_normalize   rows of length 1, a pack of rows at a time, whose sums are reduced together; behind the
//                    last row stands itself again

#ifndef HEED_KERNEL_ELEMENTWISE_LEAVES_INL
#define HEED_KERNEL_ELEMENTWISE_LEAVES_INL

#include <heed/kernel/elementwise/loop-inl.hpp>
#include <heed/kernel/rounded-inl.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
struct elementwise_leaves {
    element_leaf<T> blend;            // {a, b}, {s, 1 - s} -> {s a + (1 - s) b}
    element_leaf<T> blend_gradients;  // {sum, g, a, b}, {s, 1 - s} -> {sum + g (a - b), s g, (1 - s) g}
    // In place: sigmoid(x), and -softplus(x) = -ln(1 + e^x), whose derivative is -sigmoid(x).
    void (*sigmoid)(T* x, index n);
    void (*log_decay)(T* x, index n);
    void (*l2_normalize)(const T* x, index x_row, T* y, index y_row, T* r, T added, index rows, index n);
    void (*l2_normalize_gradient)(T* d, index d_row, const T* y, index y_row, const T* r, index rows,
                                  index n);
};

}  // namespace heed::inline HEED_ABI::detail

#define HEED_FOREACH <heed/kernel/elementwise/leaves-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

struct blend_two {
    static constexpr int reads = 2, writes = 1;
    template <class V>
    static HEED_INLINE void apply(const V* x, V* y, const element_of<V>* s) {
        y[0] = rounded(x[0] * s[0]) + rounded(x[1] * s[1]);
    }
};
struct blend_gradients {
    static constexpr int reads = 4, writes = 3;
    template <class V>
    static HEED_INLINE void apply(const V* x, V* y, const element_of<V>* s) {
        y[0] = x[0] + rounded(x[1] * (x[2] - x[3]));
        y[1] = x[1] * s[0];
        y[2] = x[1] * s[1];
    }
};

// ln(1 + x) for x in [0, 1]: what 1 + x loses of x, its logarithm loses in the same ratio.
template <class V>
HEED_INLINE V log_of_one_and(V x) {
    const V one = set<V>(1);
    const V sum = x + one;
    const V taken = sum - one;
    const V ratio = log(sum) / choose(taken == set<V>(0), one, taken);
    return choose(taken == set<V>(0), x, x * ratio);
}

struct sigmoid_of {
    template <class V>
    static HEED_INLINE V of(V x) {
        return sigmoid(x);
    }
};
// -softplus(x) = ln sigmoid(-x)
struct log_decay_of {
    template <class V>
    static HEED_INLINE V of(V x) {
        const V zero = set<V>(0);
        const V magnitude = choose(x < zero, -x, x);
        return -(choose(x < zero, zero, x) + log_of_one_and(exp_of_negative(-magnitude)));
    }
};

template <class Operation, class T>
HEED_NOINLINE void apply_to_row(T* x, index n) {
    for (index i = 0; i < n; i += lanes_of<T>)
        store_some(x + i, n - i, Operation::of(load_or<T>(x + i, n - i, T(0))));
}

// <a_l, b_l> of a pack of rows.
template <class T>
HEED_INLINE pack<T> products_of_rows(const T* a, index a_row, const T* b, index b_row, index left, index n) {
    constexpr int w = lanes_of<T>;
    pack<T> sums[w];
    HEED_UNROLL
    for (int l = 0; l < w; ++l) {
        const index row = l < left ? l : left - 1;
        const T* const x = a + row * a_row;
        const T* const y = b + row * b_row;
        pack<T> sum = set<pack<T>>(0);
        for (index i = 0; i < n; i += w)
            sum = load_or(x + i, n - i, T(0)) * load_or(y + i, n - i, T(0)) + sum;
        sums[l] = sum;
    }
    return lane_sums<T>(sums);
}

// The same row where <x, x> overflows: of x 2^-96, or 2^-768 in double, squares neither overflow nor vanish.
template <class T>
HEED_NOINLINE void normalize_long_row(const T* x, T* y, T* r, index n) {
    const T down = constants<T>::overflow_scale;
    T square = 0;
    for (index f = 0; f < n; ++f) square += (x[f] * down) * (x[f] * down);
    T factor[lanes_of<T>];
    store(factor, set<pack<T>>(1) / sqrt(set<pack<T>>(square)));
    for (index f = 0; f < n; ++f) y[f] = x[f] * down * factor[0];
    *r = factor[0] * down;
}
// y = x r, r = 1 / sqrt(<x, x> + added)
template <class T>
HEED_NOINLINE void normalize_rows(const T* x, index x_row, T* y, index y_row, T* r, T added, index rows,
                                  index n) {
    constexpr int w = lanes_of<T>;
    for (index i = 0; i < rows; i += w, x += w * x_row, y += w * y_row) {
        const pack<T> square = products_of_rows(x, x_row, x, x_row, rows - i, n);
        store_some(r + i, rows - i, set<pack<T>>(1) / sqrt(square + set<pack<T>>(added)));
        for (index l = 0; l < w && i + l < rows; ++l) {
            if (r[i + l] == 0) {
                normalize_long_row(x + l * x_row, y + l * y_row, r + i + l, n);
                continue;
            }
            const pack<T> factor = set<pack<T>>(r[i + l]);
            for (index f = 0; f < n; f += w)
                store_some(y + l * y_row + f, n - f, load_or(x + l * x_row + f, n - f, T(0)) * factor);
        }
    }
}
// In place, dx = r (dy - y <y, dy>)
template <class T>
HEED_NOINLINE void normalize_gradient(T* d, index d_row, const T* y, index y_row, const T* r, index rows,
                                      index n) {
    constexpr int w = lanes_of<T>;
    for (index i = 0; i < rows; i += w, d += w * d_row, y += w * y_row) {
        T along[w];
        store(along, products_of_rows<T>(y, y_row, d, d_row, rows - i, n));
        for (index l = 0; l < w && i + l < rows; ++l) {
            const pack<T> back = set<pack<T>>(along[l]);
            const pack<T> factor = set<pack<T>>(r[i + l]);
            T* const row = d + l * d_row;
            for (index f = 0; f < n; f += w)
                store_some(
                    row + f, n - f,
                    (load_or<T>(row + f, n - f, T(0)) - load_or(y + l * y_row + f, n - f, T(0)) * back) *
                        factor);
        }
    }
}

template <class T>
const detail::elementwise_leaves<T>& elementwise_leaves() {
    static constexpr detail::elementwise_leaves<T> table{
        .blend = &elementwise<blend_two, T>,
        .blend_gradients = &elementwise<blend_gradients, T>,
        .sigmoid = &apply_to_row<sigmoid_of, T>,
        .log_decay = &apply_to_row<log_decay_of, T>,
        .l2_normalize = &normalize_rows<T>,
        .l2_normalize_gradient = &normalize_gradient<T>,
    };
    return table;
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
