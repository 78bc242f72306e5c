// SPDX-License-Identifier: MIT
// heed/kernel/sparse/rows-inl.hpp: a row by the pack; its last numbers as a pack that is filled up

namespace heed {
inline namespace HEED_ABI {
namespace HEED_SIMD {

// A pack, filled up with `rest` where fewer than a pack's numbers are left.
template <class T>
HEED_INLINE pack<T> load_or(const T* p, index left, T rest) {
    if (left >= lanes_of<T>) return load(p);
    T t[lanes_of<T>];
    for (int l = 0; l < lanes_of<T>; ++l) t[l] = l < left ? p[l] : rest;
    return load(t);
}
template <class T>
HEED_INLINE void store_some(T* p, index left, pack<T> x) {
    if (left >= lanes_of<T>) return store(p, x);
    T t[lanes_of<T>];
    store(t, x);
    for (index l = 0; l < left; ++l) p[l] = t[l];
}
template <class T>
HEED_INLINE T lanes_sum(pack<T> x) {
    T t[lanes_of<T>];
    store(t, x);
    T sum = t[0];
    for (int l = 1; l < lanes_of<T>; ++l) sum += t[l];
    return sum;
}

template <class E>
detail::row_conversions<E> row_conversions() {
    using T = typename detail::row_conversions<E>::T;
    return {&widen_rows<E, T>, &narrow_row<T, E>};
}

}  // namespace HEED_SIMD
}  // namespace HEED_ABI
}  // namespace heed
