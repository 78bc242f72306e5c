// SPDX-License-Identifier: MIT
// heed/kernel/carry-inl.hpp: sums of sums, with what their addition rounds off kept

#ifndef HEED_KERNEL_CARRY_INL
#define HEED_KERNEL_CARRY_INL

#include <heed/core/index.hpp>
#include <heed/simd/pack-inl.hpp>

#define HEED_FOREACH <heed/kernel/carry-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

// upper = rescale upper + lower, and lower what that addition rounded off: nothing where it overflows.
template <class T>
HEED_NOINLINE void carry_sums(T* upper, T* lower, index rows, index row_stride, index n, const T* rescale) {
    using V = pack<T>;
    for (index j = 0; j < n; j += lanes_of<T>) {
        const V k = rescale == nullptr ? set<V>(1) : load(rescale + j);
        for (index r = 0; r < rows; ++r) {
            T* const to = upper + r * row_stride + j;
            T* const from = lower + r * row_stride + j;
            const V before = k * load(to);
            const V added = load(from);
            const V sum = before + added;
            const V moved = sum - before;
            const V rest = (before - (sum - moved)) + (added - moved);
            store(to, sum);
            store(from, choose(rest == rest, rest, set<V>(0)));
        }
    }
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
