// SPDX-License-Identifier: MIT
// heed/kernel/layers/branch-inl.hpp: a branch added to what it left, some of its numbers dropped

#ifndef HEED_KERNEL_LAYERS_BRANCH_INL
#define HEED_KERNEL_LAYERS_BRANCH_INL

#include <heed/kernel/elementwise/loop-inl.hpp>
#include <heed/kernel/layers/leaves.hpp>

#define HEED_FOREACH <heed/kernel/layers/branch-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

struct add_value {
    static constexpr int reads = 2, writes = 1;
    template <class V>
    static HEED_INLINE void apply(const V* x, V* y, const element_of<V>*) {
        y[0] = x[0] + x[1];
    }
};

// One pack of a row: the factor or 0 for each number. A dropped number is 0 whatever it was.
template <class T>
HEED_INLINE pack<T> kept_factors(const detail::dropout_option::kept& keep, T factor, std::int32_t query,
                                 std::int32_t first) {
    constexpr int w = lanes_of<T>;
    T factors[w];
    HEED_KEEP_LOOP
    for (int l = 0; l < w; ++l) factors[l] = keep({0, 0, query, first + l}) ? factor : T(0);
    return load(factors);
}
template <bool Whole, class T>
HEED_INLINE void drop_pack(pack<T> factors, const T* x, const T* branch, index left, T* y) {
    const pack<T> zero = set<pack<T>>(0);
    pack<T> b = load_part<Whole>(branch, left);
    b = choose(factors > zero, b * factors, zero);
    if (x != nullptr) b = b + load_part<Whole>(x, left);
    store_part<Whole>(y, left, b);
}
template <class T>
HEED_NOINLINE void drop_rows(const detail::dropout_option::kept& keep, T factor, index first, const T* x,
                             const T* branch, index rows, index n, T* y) {
    constexpr int w = lanes_of<T>;
    for (index r = 0; r < rows; ++r, branch += n, y += n) {
        const std::int32_t query = static_cast<std::int32_t>(first + r);
        index f = 0;
        for (; f + w <= n; f += w)
            drop_pack<true>(kept_factors(keep, factor, query, static_cast<std::int32_t>(f)),
                            x == nullptr ? x : x + r * n + f, branch + f, w, y + f);
        if (f < n)
            drop_pack<false>(kept_factors(keep, factor, query, static_cast<std::int32_t>(f)),
                             x == nullptr ? x : x + r * n + f, branch + f, n - f, y + f);
    }
}

template <class T>
const detail::branch_leaves<T>& branch_leaves() {
    static constexpr detail::branch_leaves<T> table{
        .add = &elementwise<add_value, T>,
        .drop = &drop_rows<T>,
    };
    return table;
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
