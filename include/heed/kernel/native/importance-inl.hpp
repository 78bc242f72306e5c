// SPDX-License-Identifier: MIT
// heed/kernel/native/importance-inl.hpp: from weights of compressed keys to weights of selection blocks
//
// Rows are keys or blocks, lanes are queries, as in the panels of the exact kernel.

#ifndef HEED_KERNEL_NATIVE_IMPORTANCE_INL
#define HEED_KERNEL_NATIVE_IMPORTANCE_INL

#include <heed/kernel/exact/product-inl.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
struct native_leaves {
    // For one, two and three packs of lanes.
    void (*pool_weights[3])(const T* e, index first, index end, index chunks, index select_chunks,
                            index block_begin, index block_end, T* to);
    void (*add_weights)(const T* from, index rows, int packs, const T* factor, T* to);
};

}  // namespace heed::inline HEED_ABI::detail

#define HEED_FOREACH <heed/kernel/native/importance-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

// to[j] = sum over the compressed keys i in [first, end) of e[i - first] * (chunks that i and block j share),
// for blocks j in [block_begin, block_end).
template <int Packs, class T>
HEED_NOINLINE void pool_weights(const T* e, index first, index end, index chunks, index select_chunks,
                                index block_begin, index block_end, T* to) {
    using V = pack<T>;
    constexpr int w = lanes_of<T>;
    for (index j = block_begin; j < block_end; ++j, to += panel_lanes<T>) {
        const index begin = j * select_chunks;
        const index stop = begin + select_chunks;
        index i = begin - chunks + 1;
        i = i < first ? first : i;
        V sums[1][Packs];
        clear(sums);
        for (const index last = stop < end ? stop : end; i < last; ++i) {
            const index shared_end = i + chunks < stop ? i + chunks : stop;
            const T shared = static_cast<T>(shared_end - (i > begin ? i : begin));
            add_products<T>(&shared, index{0}, e + (i - first) * panel_lanes<T>, sums);
        }
        HEED_UNROLL
        for (int p = 0; p < Packs; ++p) store(to + p * w, sums[0][p]);
    }
}

// to[j] += from[j] * factor, lane by lane.
template <class T>
HEED_NOINLINE void add_weights(const T* from, index rows, int packs, const T* factor, T* to) {
    for (index x = 0; x < packs * lanes_of<T>; x += lanes_of<T>) {
        const pack<T> f = load(factor + x);
        for (index j = x; j < rows * panel_lanes<T>; j += panel_lanes<T>)
            store(to + j, load(from + j) * f + load(to + j));
    }
}

template <class T>
const detail::native_leaves<T>& native_leaves() {
    static constexpr detail::native_leaves<T> table{
        .pool_weights = {&pool_weights<1, T>, &pool_weights<2, T>, &pool_weights<3, T>},
        .add_weights = &add_weights<T>,
    };
    return table;
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
