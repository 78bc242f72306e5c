// SPDX-License-Identifier: MIT
// heed/kernel/sparse/quantise-inl.hpp: a row of numbers to the nearest multiples of 2^-level
//
// A number of at least 2^(mantissa - level) is such a multiple already. Any other is rounded, ties to even,
// by adding and taking away a number so large that its last place is 1. The compiler must not see that the
// two cancel, or it may fold them (-ffast-math).

#ifndef HEED_KERNEL_SPARSE_QUANTISE_INL
#define HEED_KERNEL_SPARSE_QUANTISE_INL

#include <heed/kernel/lanes-inl.hpp>
#include <heed/kernel/rounded-inl.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
using quantise_leaf = void (*)(const T* x, index n, T* y, T up, T down, T already);

}  // namespace heed::inline HEED_ABI::detail

#define HEED_FOREACH <heed/kernel/sparse/quantise-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

template <class V>
HEED_INLINE V nearest_multiple(V x, V up, V down, V already) {
    using C = constants<element_of<V>>;
    const V whole = already * up;  // 2^mantissa
    const auto sign = bits_of(x) & C::sign_bit;
    const V size = float_of(bits_of(x) ^ sign);
    const auto below = size < already;
    const V scaled = choose(below, size, set<V>(0)) * up;
    const V rounded_ = rounded(scaled + whole) - whole;
    return choose(below, float_of(bits_of(rounded_ * down) | sign), x);
}

// y may be x.
template <class T>
HEED_NOINLINE void quantise_row(const T* x, index n, T* y, T up, T down, T already) {
    using V = pack<T>;
    constexpr int w = lanes_of<T>;
    for (index i = 0; i < n; i += w)
        store_some(y + i, n - i,
                   nearest_multiple(load_or(x + i, n - i, T(0)), set<V>(up), set<V>(down), set<V>(already)));
}

template <class T>
detail::quantise_leaf<T> quantise_leaf() {
    return &quantise_row<T>;
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
