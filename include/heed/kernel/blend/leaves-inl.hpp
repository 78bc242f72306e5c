// SPDX-License-Identifier: MIT
// heed/kernel/blend/leaves-inl.hpp: two tensors blended, the gradient of that, and the table of a target

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

template <class T>
const detail::blend_leaves<T>& blend_leaves() {
    static constexpr detail::blend_leaves<T> table{
        .blend = &elementwise<blend_two, T>,
        .gradients = &elementwise<blend_gradients, T>,
    };
    return table;
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
