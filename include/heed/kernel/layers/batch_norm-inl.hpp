// SPDX-License-Identifier: MIT
// heed/kernel/layers/batch_norm-inl.hpp: what batch norm does to a row, its statistics being rows of stride 0

#ifndef HEED_KERNEL_LAYERS_BATCH_NORM_INL
#define HEED_KERNEL_LAYERS_BATCH_NORM_INL

#include <heed/kernel/elementwise/loop-inl.hpp>
#include <heed/kernel/layers/leaves.hpp>

#define HEED_FOREACH <heed/kernel/layers/batch_norm-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

struct batch_moments {
    static constexpr int reads = 4, writes = 2;
    template <class V>
    static HEED_INLINE void apply(const V* in, V* out, const element_of<V>*) {
        const V d = in[0] - in[1];
        out[0] = in[2] + d;
        out[1] = d * d + in[3];
    }
};
template <bool Blend>
struct batch_output {
    static constexpr int reads = Blend ? 6 : 5, writes = 1;
    template <class V>
    static HEED_INLINE void apply(const V* in, V* out, const element_of<V>* numbers) {
        const V moved = in[0] * numbers[0] + in[4];
        const V y = ((in[0] - in[1]) - in[2]) * in[3] + moved;
        if constexpr (Blend)
            out[0] = (in[5] - y) * numbers[1] + y;
        else
            out[0] = y;
    }
};
struct batch_sums {
    static constexpr int reads = 7, writes = 2;
    template <class V>
    static HEED_INLINE void apply(const V* in, V* out, const element_of<V>*) {
        const V normal = ((in[1] - in[2]) - in[3]) * in[4];
        out[0] = in[5] + in[0];
        out[1] = in[0] * normal + in[6];
    }
};
template <bool Add>
struct batch_gradient {
    static constexpr int reads = Add ? 9 : 8, writes = 1;
    template <class V>
    static HEED_INLINE void apply(const V* in, V* out, const element_of<V>* numbers) {
        const V normal = ((in[1] - in[2]) - in[3]) * in[4];
        const V through = (in[0] - in[6]) - normal * in[7];
        V d = in[5] * through;
        d = in[0] * numbers[0] + d;
        if constexpr (Add) d = d + in[8];
        out[0] = d;
    }
};

template <class T>
const detail::batch_norm_leaves<T>& batch_norm_leaves() {
    static constexpr detail::batch_norm_leaves<T> table{
        .moments = &elementwise<batch_moments, T>,
        .output = {&elementwise<batch_output<false>, T>, &elementwise<batch_output<true>, T>},
        .sums = &elementwise<batch_sums, T>,
        .gradient = {&elementwise<batch_gradient<false>, T>, &elementwise<batch_gradient<true>, T>},
    };
    return table;
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
