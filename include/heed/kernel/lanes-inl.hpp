// SPDX-License-Identifier: MIT
// heed/kernel/lanes-inl.hpp: packs that are filled in part, and the sum of a pack's lanes

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

// Halves are added to each other until one lane is left.
template <class T>
HEED_INLINE T sum_of_lanes(pack<T> x) {
    T t[lanes_of<T>];
    store(t, x);
    HEED_UNROLL
    for (int half = lanes_of<T> / 2; half > 0; half /= 2) {
        HEED_UNROLL
        for (int l = 0; l < half; ++l) t[l] += t[l + half];
    }
    return t[0];
}

}  // namespace HEED_SIMD
}  // namespace HEED_ABI
}  // namespace heed
