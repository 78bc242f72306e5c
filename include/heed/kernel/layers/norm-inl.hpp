// SPDX-License-Identifier: MIT
// heed/kernel/layers/norm-inl.hpp: rows normalised to mean 0 and variance 1, and the way back
//
// Three passes over a row that stays in the first-level cache: its mean, to within rounding; the sums of
// d = x - mean and of d^2; the result. The mean of d is what the first pass was off by, so
// variance = mean(d^2) - mean(d)^2 loses nothing however large the mean is.

namespace heed {
inline namespace HEED_ABI {
namespace HEED_SIMD {

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
}

template <class T>
HEED_NOINLINE void layer_norm_forward(const T* x, index rows, index n, const T* gain, const T* offset,
                                      T epsilon, T* y, const detail::row_statistics<T>& kept) {
    constexpr int w = lanes_of<T>;
    for (index r = 0; r < rows; ++r, x += n, y += n) {
        statistics_of_row(x, n, epsilon, kept.mean[r], kept.mean_rest[r], kept.inverse[r]);
        const pack<T> mean = set<pack<T>>(kept.mean[r]);
        const pack<T> rest = set<pack<T>>(kept.mean_rest[r]);
        const pack<T> inverse = set<pack<T>>(kept.inverse[r]);
        index f = 0;
        for (; f + w <= n; f += w) {
            const pack<T> normal = ((load(x + f) - mean) - rest) * inverse;
            store(y + f, normal * load(gain + f) + load(offset + f));
        }
        if (f < n) {
            const pack<T> normal = ((load_or(x + f, n - f, T(0)) - mean) - rest) * inverse;
            const pack<T> moved = normal * load_or(gain + f, n - f, T(0)) + load_or(offset + f, n - f, T(0));
            store_some(y + f, n - f, moved);
        }
    }
}

// With g = dy gain and x' the normalised row: dx = (g - mean(g) - x' mean(g x')) / deviation.
template <class T>
HEED_NOINLINE void layer_norm_backward(const T* dy, const T* x, const detail::row_statistics<T>& kept,
                                       index rows, index n, const T* gain, T* dx, T* d_gain, T* d_offset) {
    constexpr int w = lanes_of<T>;
    for (index r = 0; r < rows; ++r, dy += n, x += n, dx += n) {
        const pack<T> mean = set<pack<T>>(kept.mean[r]);
        const pack<T> rest = set<pack<T>>(kept.mean_rest[r]);
        const pack<T> inverse = set<pack<T>>(kept.inverse[r]);
        pack<T> sum = set<pack<T>>(0);
        pack<T> product = sum;
        for (index f = 0; f < n; f += w) {
            const index left = n - f;
            const pack<T> d = load_or(dy + f, left, T(0));
            const pack<T> normal = ((load_or(x + f, left, T(0)) - mean) - rest) * inverse;
            const pack<T> dn = d * normal;
            const pack<T> g = load_or(gain + f, left, T(0));
            store_some(d_offset + f, left, load_or(d_offset + f, left, T(0)) + d);
            store_some(d_gain + f, left, load_or(d_gain + f, left, T(0)) + dn);
            sum = d * g + sum;
            product = dn * g + product;
        }
        const pack<T> m = set<pack<T>>(sum_of_lanes<T>(sum) / static_cast<T>(n));
        const pack<T> slope = set<pack<T>>(sum_of_lanes<T>(product) / static_cast<T>(n));
        for (index f = 0; f < n; f += w) {
            const index left = n - f;
            const pack<T> normal = ((load_or(x + f, left, T(0)) - mean) - rest) * inverse;
            const pack<T> d = load_or(dy + f, left, T(0)) * load_or(gain + f, left, T(0)) - m;
            store_some(dx + f, left, (d - normal * slope) * inverse);
        }
    }
}

template <class T>
HEED_NOINLINE void sum_rows(const T* x, index rows, index stride, index n, T* to) {
    constexpr int w = lanes_of<T>;
    for (index r = 0; r < rows; ++r, x += stride)
        for (index f = 0; f < n; f += w)
            store_some(to + f, n - f, load_or(to + f, n - f, T(0)) + load_or(x + f, n - f, T(0)));
}
template <class T>
detail::sum_rows_leaf<T> sum_rows_of() {
    return &sum_rows<T>;
}

template <class T>
const detail::norm_leaves<T>& norm_leaves() {
    static constexpr detail::norm_leaves<T> table{&layer_norm_forward<T>, &layer_norm_backward<T>};
    return table;
}

}  // namespace HEED_SIMD
}  // namespace HEED_ABI
}  // namespace heed
