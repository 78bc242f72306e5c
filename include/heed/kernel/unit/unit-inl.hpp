// SPDX-License-Identifier: MIT
// heed/kernel/unit/unit-inl.hpp: rows of length 1, and their gradient

namespace heed {
inline namespace HEED_ABI {
namespace HEED_SIMD {

template <class T>
HEED_INLINE T product_of_rows(const T* a, const T* b, index n) {
    pack<T> sum = set<pack<T>>(0);
    for (index i = 0; i < n; i += lanes_of<T>)
        sum = load_or(a + i, n - i, T(0)) * load_or(b + i, n - i, T(0)) + sum;
    return lanes_sum<T>(sum);
}

// y = x r, r = 1 / sqrt(<x, x> + least)
template <class T>
HEED_NOINLINE void unit_rows(const T* x, index x_row, T* y, index y_row, T* r, T least, index rows, index n) {
    for (index i = 0; i < rows; ++i, x += x_row, y += y_row) {
        r[i] = 1 / math::sqrt(product_of_rows(x, x, n) + least);
        const pack<T> factor = set<pack<T>>(r[i]);
        for (index f = 0; f < n; f += lanes_of<T>)
            store_some(y + f, n - f, load_or(x + f, n - f, T(0)) * factor);
    }
}
// In place, dx = r (dy - y <y, dy>)
template <class T>
HEED_NOINLINE void unit_gradient(T* d, index d_row, const T* y, index y_row, const T* r, index rows,
                                 index n) {
    for (index i = 0; i < rows; ++i, d += d_row, y += y_row) {
        const pack<T> along = set<pack<T>>(product_of_rows<T>(y, d, n));
        const pack<T> factor = set<pack<T>>(r[i]);
        for (index f = 0; f < n; f += lanes_of<T>)
            store_some(d + f, n - f,
                       (load_or<T>(d + f, n - f, T(0)) - load_or(y + f, n - f, T(0)) * along) * factor);
    }
}

template <class T>
const detail::unit_leaves<T>& unit_leaves() {
    static const detail::unit_leaves<T> leaves{&unit_rows<T>, &unit_gradient<T>};
    return leaves;
}

}  // namespace HEED_SIMD
}  // namespace HEED_ABI
}  // namespace heed
