// SPDX-License-Identifier: MIT
// heed/kernel/native/choose.hpp: which blocks of keys a query selects
//
// Of blocks 0 … own, the first, the query's own and the one before; of the others those of the greatest
// weight, the lowest of equals. Cost: a comparison a block, and log(count) for each that is taken in.
#pragma once

#include <algorithm>

#include <heed/core/index.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
struct weighed_block {
    T weight;
    std::int32_t block;
    // The heavier; of equals the lower. Blocks differ, so this is a strict order.
    bool operator<(const weighed_block& other) const {
        return weight > other.weight || (!(weight < other.weight) && block < other.block);
    }
};

// The blocks of a query, ascending.
struct chosen_blocks {
    const std::int32_t* blocks;
    index count;
};

// take(begin, end) for the keys of blocks of `block` keys, up to `tile` at a time, in order; neighbouring
// blocks together, keys from `keys` on left out.
template <class Take>
void for_chosen_keys(const chosen_blocks& x, index block, index keys, index tile, const Take& take) {
    for (index i = 0; i < x.count;) {
        index key = x.blocks[i] * block;
        index end = key;
        for (; i < x.count && x.blocks[i] * block == end; ++i) end += block;
        if (end > keys) end = keys;
        for (; key < end; key += tile) take(key, key + tile < end ? key + tile : end);
    }
}

// Writes the chosen blocks in ascending order and gives their number, at most `count`. Block j weighs
// weights[j * stride]; `heap` has room for `count` entries.
template <class T>
index choose_blocks(const T* weights, index stride, index own, index count, weighed_block<T>* heap,
                    std::int32_t* chosen) {
    if (own < count) {
        for (index j = 0; j <= own; ++j) chosen[j] = static_cast<std::int32_t>(j);
        return own + 1;
    }
    // The front of the heap is the least of those kept. Blocks come in ascending order, so that an equal one
    // that comes later never replaces it.
    const index free = count - 3;
    index held = 0;
    for (index j = 1; j < own - 1; ++j) {
        const T weight = weights[j * stride];
        if (held < free) {
            heap[held++] = {weight, static_cast<std::int32_t>(j)};
            std::push_heap(heap, heap + held);
        } else if (held > 0 && weight > heap[0].weight) {
            std::pop_heap(heap, heap + held);
            heap[held - 1] = {weight, static_cast<std::int32_t>(j)};
            std::push_heap(heap, heap + held);
        }
    }
    chosen[0] = 0;
    for (index i = 0; i < held; ++i) chosen[1 + i] = heap[i].block;
    std::sort(chosen + 1, chosen + 1 + held);
    chosen[held + 1] = static_cast<std::int32_t>(own - 1);
    chosen[held + 2] = static_cast<std::int32_t>(own);
    return held + 3;
}

}  // namespace heed::inline HEED_ABI::detail
