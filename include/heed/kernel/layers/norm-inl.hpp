// SPDX-License-Identifier: MIT
// heed/kernel/layers/norm-inl.hpp: rows normalised to mean 0 and variance 1, and the way back
//
// Three passes over a row that stays in the first-level cache: its mean, to within rounding; the sums of
// d = x - mean and of d^2; the result. The mean of d is what the first pass was off by, so
// variance = mean(d^2) - mean(d)^2 loses nothing however large the mean is. A row whose sums are beyond what
// T holds is measured once more, made smaller by a power of two.

#ifndef HEED_KERNEL_LAYERS_NORM_INL
#define HEED_KERNEL_LAYERS_NORM_INL

#include <heed/kernel/lanes-inl.hpp>
#include <heed/kernel/layers/leaves.hpp>

#define HEED_FOREACH <heed/kernel/layers/norm-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

// Four running sums, so that an addition need not wait for the one before.
template <class T>
struct row_sum {
    pack<T> part[4];
    HEED_INLINE row_sum() {
        HEED_UNROLL
        for (int k = 0; k < 4; ++k) part[k] = set<pack<T>>(0);
    }
    HEED_INLINE T total() const { return sum_of_lanes<T>((part[0] + part[1]) + (part[2] + part[3])); }
};

template <class T>
HEED_INLINE T mean_of_row(const T* x, index n) {
    constexpr int w = lanes_of<T>;
    row_sum<T> sum;
    index f = 0;
    for (; f + 4 * w <= n; f += 4 * w) {
        HEED_UNROLL
        for (int k = 0; k < 4; ++k) sum.part[k] = sum.part[k] + load(x + f + k * w);
    }
    for (; f < n; f += w) sum.part[0] = sum.part[0] + load_or(x + f, n - f, T(0));
    return sum.total() / static_cast<T>(n);
}

template <class T>
HEED_NOINLINE void statistics_of_large_row(const T* x, index n, T epsilon, T& mean, T& rest, T& inverse) {
    const T most = -constants<T>::lowest;
    const T down = constants<T>::overflow_scale;
    const T up = T(1) / down;
    T sum = 0;
    for (index f = 0; f < n; ++f) sum += x[f] * down;
    mean = sum / static_cast<T>(n) * up;
    if (mean > most) mean = most;  // rounded up
    if (mean < -most) mean = -most;
    sum = 0;
    T squares = 0;
    for (index f = 0; f < n; ++f) {
        const T d = (x[f] - mean) * down;
        sum += d;
        squares += d * d;
    }
    const T off = sum / static_cast<T>(n);
    rest = off * up;
    const T scaled = detail::scalar::larger(T(0), squares / static_cast<T>(n) - off * off);
    const T variance = scaled * up * up;
    inverse = variance <= most ? T(1) / detail::scalar::sqrt(variance + epsilon)
                               : down / detail::scalar::sqrt(scaled);
}

template <class T>
HEED_INLINE void statistics_of_row(const T* x, index n, T epsilon, T& mean, T& rest, T& inverse) {
    constexpr int w = lanes_of<T>;
    mean = mean_of_row(x, n);
    const pack<T> m = set<pack<T>>(mean);
    row_sum<T> sum;
    row_sum<T> squares;
    index f = 0;
    for (; f + 4 * w <= n; f += 4 * w) {
        HEED_UNROLL
        for (int k = 0; k < 4; ++k) {
            const pack<T> d = load(x + f + k * w) - m;
            sum.part[k] = sum.part[k] + d;
            squares.part[k] = d * d + squares.part[k];
        }
    }
    for (; f < n; f += w) {
        const pack<T> d = load_or(x + f, n - f, mean) - m;
        sum.part[0] = sum.part[0] + d;
        squares.part[0] = d * d + squares.part[0];
    }
    rest = sum.total() / static_cast<T>(n);
    const T variance = detail::scalar::larger(T(0), squares.total() / static_cast<T>(n) - rest * rest);
    inverse = T(1) / detail::scalar::sqrt(variance + epsilon);
    if (!(variance <= -constants<T>::lowest)) statistics_of_large_row(x, n, epsilon, mean, rest, inverse);
}

// A row's mean and 1 / deviation, to normalise packs of it.
template <class T>
struct row_normaliser {
    pack<T> mean, rest, inverse;
    HEED_INLINE row_normaliser(const detail::row_statistics<T>& statistics, index r)
        : mean(set<pack<T>>(statistics.mean[r])),
          rest(set<pack<T>>(statistics.mean_rest[r])),
          inverse(set<pack<T>>(statistics.inverse[r])) {}
    HEED_INLINE pack<T> operator()(pack<T> x) const { return ((x - mean) - rest) * inverse; }
};

template <bool Whole, class T>
HEED_INLINE void write_normal(const row_normaliser<T>& normal, const T* x, const T* gain, const T* offset,
                              index left, T* y) {
    const pack<T> g = load_part<Whole>(gain, left);
    store_part<Whole>(y, left, normal(load_part<Whole>(x, left)) * g + load_part<Whole>(offset, left));
}
template <class T>
HEED_NOINLINE void layer_norm_forward(const T* x, index rows, index n, const T* gain, const T* offset,
                                      T epsilon, T* y, const detail::row_statistics<T>& statistics) {
    constexpr int w = lanes_of<T>;
    for (index r = 0; r < rows; ++r, x += n, y += n) {
        statistics_of_row(x, n, epsilon, statistics.mean[r], statistics.mean_rest[r], statistics.inverse[r]);
        const row_normaliser<T> normal(statistics, r);
        index f = 0;
        for (; f + w <= n; f += w) write_normal<true>(normal, x + f, gain + f, offset + f, w, y + f);
        if (f < n) write_normal<false>(normal, x + f, gain + f, offset + f, n - f, y + f);
    }
}

// With g = dy gain and x' the normalised row: dx = (g - mean(g) - x' mean(g x')) / deviation.
template <class T>
struct layer_norm_sums {
    pack<T> g, product;
    template <bool Whole>
    HEED_INLINE void add(const row_normaliser<T>& normal, const T* dy, const T* x, const T* gain, index left,
                         T* d_gain, T* d_offset) {
        const pack<T> d = load_part<Whole>(dy, left);
        const pack<T> dn = d * normal(load_part<Whole>(x, left));
        const pack<T> by = load_part<Whole>(gain, left);
        store_part<Whole>(d_offset, left, load_part<Whole>(d_offset, left) + d);
        store_part<Whole>(d_gain, left, load_part<Whole>(d_gain, left) + dn);
        g = d * by + g;
        product = dn * by + product;
    }
    // Once they are means: those of g and of g x'.
    template <bool Whole>
    HEED_INLINE void write(const row_normaliser<T>& normal, const T* dy, const T* x, const T* gain,
                           index left, T* dx) const {
        const pack<T> d = load_part<Whole>(dy, left) * load_part<Whole>(gain, left) - g;
        store_part<Whole>(dx, left, (d - normal(load_part<Whole>(x, left)) * product) * normal.inverse);
    }
};
template <class T>
HEED_NOINLINE void layer_norm_backward(const T* dy, const T* x, const detail::row_statistics<T>& statistics,
                                       index rows, index n, const T* gain, T* dx, T* d_gain, T* d_offset) {
    constexpr int w = lanes_of<T>;
    const pack<T> zero = set<pack<T>>(0);
    const T share = T(1) / static_cast<T>(n);
    for (index r = 0; r < rows; ++r, dy += n, x += n, dx += n) {
        const row_normaliser<T> normal(statistics, r);
        layer_norm_sums<T> even{zero, zero};
        layer_norm_sums<T> odd{zero, zero};
        index f = 0;
        for (; f + 2 * w <= n; f += 2 * w) {
            const index o = f + w;
            even.template add<true>(normal, dy + f, x + f, gain + f, w, d_gain + f, d_offset + f);
            odd.template add<true>(normal, dy + o, x + o, gain + o, w, d_gain + o, d_offset + o);
        }
        for (; f < n; f += w)
            even.template add<false>(normal, dy + f, x + f, gain + f, n - f, d_gain + f, d_offset + f);
        even.g = set<pack<T>>(sum_of_lanes<T>(even.g + odd.g) * share);
        even.product = set<pack<T>>(sum_of_lanes<T>(even.product + odd.product) * share);
        for (f = 0; f + w <= n; f += w) even.template write<true>(normal, dy + f, x + f, gain + f, w, dx + f);
        if (f < n) even.template write<false>(normal, dy + f, x + f, gain + f, n - f, dx + f);
    }
}

template <class T>
HEED_NOINLINE void sum_rows(const T* x, index rows, index stride, index n, T* to) {
    constexpr int w = lanes_of<T>;
    for (index r = 0; r < rows; ++r, x += stride) {
        index f = 0;
        for (; f + w <= n; f += w) store(to + f, load(to + f) + load(x + f));
        for (; f < n; ++f) to[f] += x[f];
    }
}
template <class T>
detail::sum_rows_leaf<T> sum_rows_of() {
    return &sum_rows<T>;
}

template <class T>
const detail::norm_leaves<T>& norm_leaves() {
    static constexpr detail::norm_leaves<T> table{
        .forward = &layer_norm_forward<T>,
        .backward = &layer_norm_backward<T>,
    };
    return table;
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
