// SPDX-License-Identifier: MIT
// heed/kernel/layers/loss-inl.hpp: the softmax of a row of logits, less one at the target

#ifndef HEED_KERNEL_LAYERS_LOSS_INL
#define HEED_KERNEL_LAYERS_LOSS_INL

#include <heed/kernel/layers/norm-inl.hpp>

#define HEED_FOREACH <heed/kernel/layers/loss-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

template <class T>
HEED_INLINE T largest_of(const T* x, index n) {
    constexpr int w = lanes_of<T>;
    const T none = detail::minus_infinity<T>();
    pack<T> most[4];
    HEED_UNROLL
    for (int k = 0; k < 4; ++k) most[k] = set<pack<T>>(none);
    index f = 0;
    for (; f + 4 * w <= n; f += 4 * w) {
        HEED_UNROLL
        for (int k = 0; k < 4; ++k) most[k] = larger(load(x + f + k * w), most[k]);
    }
    for (; f < n; f += w) most[0] = larger(load_or(x + f, n - f, none), most[0]);
    T lane[lanes_of<T>];
    store(lane, larger(larger(most[0], most[1]), larger(most[2], most[3])));
    T largest = lane[0];
    for (int l = 1; l < w; ++l) largest = detail::scalar::larger(lane[l], largest);
    return largest;
}

template <bool Writes, class T>
HEED_INLINE T exponentials_of_row(const T* x, index n, T largest, T* e) {
    constexpr int w = lanes_of<T>;
    const pack<T> most = set<pack<T>>(largest);
    row_sum<T> sum;
    index f = 0;
    for (; f + 4 * w <= n; f += 4 * w) {
        HEED_UNROLL
        for (int k = 0; k < 4; ++k) {
            const pack<T> y = exp_of_negative(load(x + f + k * w) - most);
            sum.part[k] = sum.part[k] + y;
            if (Writes) store(e + f + k * w, y);
        }
    }
    for (; f < n; f += w) {
        const pack<T> y = exp_of_negative(load_or(x + f, n - f, detail::minus_infinity<T>()) - most);
        sum.part[0] = sum.part[0] + y;
        if (Writes) store_some(e + f, n - f, y);
    }
    return sum.total();
}

template <class T>
HEED_NOINLINE void softmax_loss(const T* x, index n, index target, T share, T* d, T& largest, T& sum) {
    constexpr int w = lanes_of<T>;
    largest = largest_of(x, n);
    if (d == nullptr) {
        sum = exponentials_of_row<false>(x, n, largest, d);
        return;
    }
    sum = exponentials_of_row<true>(x, n, largest, d);
    // At the target the softmax less one is what all others have, which the difference would lose where the
    // target has nearly all.
    d[target] = 0;
    const pack<T> factor = set<pack<T>>(share / sum);
    row_sum<T> others;
    index f = 0;
    for (; f + 4 * w <= n; f += 4 * w) {
        HEED_UNROLL
        for (int k = 0; k < 4; ++k) {
            const pack<T> y = load(d + f + k * w) * factor;
            store(d + f + k * w, y);
            others.part[k] = others.part[k] + y;
        }
    }
    for (; f < n; f += w) {
        const pack<T> y = load_or(d + f, n - f, T(0)) * factor;
        store_some(d + f, n - f, y);
        others.part[0] = others.part[0] + y;
    }
    d[target] = T(0) - others.total();
}

template <class T>
detail::softmax_loss_leaf<T> softmax_loss_of() {
    return &softmax_loss<T>;
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
