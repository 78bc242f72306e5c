// SPDX-License-Identifier: MIT
// heed/kernel/cummax/problem.hpp: what the cummax kernels work on, and the leaves that a target compiles for
// them
//
// Everything here is element by element: a leaf takes some tensors as rows of neighbours, and steps through
// rows and features. What is carried from row to row (the running maximum, a running sum) is a row of
// stride 0, and a reverse scan has negative strides, so one loop serves them all.
#pragma once

#include <algorithm>

#include <heed/core/chain.hpp>
#include <heed/core/strided.hpp>
#include <heed/kernel/elementwise/rows.hpp>
#include <heed/kernel/states.hpp>
#include <heed/math.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
using cummax_rows = element_rows<T>;
template <class T>
using cummax_leaf = element_leaf<T>;

// Positions whose gradients are summed from zero; their sum joins what later positions left over. Fixed, so
// that the bits of a gradient depend on nothing but the call.
inline constexpr index cummax_chunk = 256;

// Rows whose positions are neighbours, for a leaf whose lanes run over positions. Of rows that go backwards
// `from`, `to` and `indices` are the last position, and so is `first`, the number of the first one that is
// read.
template <class T>
struct cummax_lanes {
    const T* from = nullptr;
    index from_stride = 0;  // from row to row
    T* to = nullptr;        // or nowhere: the state moves on
    index to_stride = 0;
    index rows = 0, count = 0;
    bool back = false;
    T* max = nullptr;  // the state of each row
    void* indices = nullptr;
    index index_stride = 0;
    T* argmax = nullptr;  // where the maximum of each row was, an integer in the bits of T
    index first = 0;
};
template <class Int>
inline constexpr bool writes_indices = !std::is_void_v<Int>;

// later(a, b) is the running maximum: b where b >= a or b is NaN, else a.
template <class E>
struct cummax_leaves {
    using T = std::conditional_t<std::is_same_v<E, double>, double, float>;

    void (*widen)(const E* from, index row_stride, index stride, index rows, index n, T* to, index to_stride);
    void (*narrow)(const T* from, index n, E* to, index stride);
    // Positions that are neighbours: to[t][f] = from[f][t], and back.
    void (*transpose_in)(const E* from, index feature_stride, index positions, index features, T* to,
                         index to_stride);
    void (*transpose_out)(const T* from, index from_stride, index positions, index features, E* to,
                          index feature_stride);

    cummax_leaf<T> later;       // {a, b} -> {later(a, b)}
    cummax_leaf<T> scan;        // {state, x} -> {state, e}: both later(state, x)
    cummax_leaf<T> scan_index;  // {state, x, index, now}, step -> {state, e, index, now, index}, as integers
    void (*scan_lanes[3])(const cummax_lanes<T>& rows);  // values; and indices of 32, of 64 bits
    // Indices from rows of scratch, in the bits of T, to integers of 32, of 64 bits.
    void (*write_indices[2])(const T* from, index from_stride, index rows, index n, void* to,
                             index row_stride, index stride);
    cummax_leaf<T> output;     // {p, a1, a2} -> {(p + a1) a2 + a1}
    cummax_leaf<T> attend[4];  // {state, o, a1, a2, p} -> {state, y, p}; p read: + 1, p written: + 2
    // {state, state, o, a1, a2, o, a1, a2, p} -> {state, state, y, y, p}: two heads at once
    cummax_leaf<T> attend_two[4];
    cummax_leaf<T> gradients;  // {g, a1, a2, p} -> {da1, da2, dp}
    // {state, o, g, a1, a2, p} -> {state, who set the maxima, da1, da2, dp, p}; the first head reads no p
    cummax_leaf<T> descend[2];
    cummax_leaf<T> ascend;   // {left, carry, sum, dp, who} -> {left, carry, sum, do}: route, then release
    cummax_leaf<T> route;    // {sum, dp, e, p} -> {sum, de}: de = sum + dp where e is the maximum, else 0
    cummax_leaf<T> collect;  // {sum, open, de, x, e} -> {sum, open}
    cummax_leaf<T> release;  // {sum, carry, de, x, e} -> {sum, carry, dx}
    cummax_leaf<T> pass_on;  // {carry, sum, open} -> {carry}: what earlier positions receive
    cummax_leaf<T> add;      // {a, b} -> {a + b}

    cummax_leaf<T> weigh;             // {e, max, sum} -> {e^(e - max), sum}
    cummax_leaf<T> normalise;         // {w, sum} -> {w / sum}
    cummax_leaf<T> blend;             // {p, w}, alpha -> {alpha p + (1 - alpha) w}
    cummax_leaf<T> blend_gradients;   // {dalpha, dot, dp, p, w}, alpha -> {dalpha, dot, alpha dp}
    cummax_leaf<T> softmax_gradient;  // {de, dp, w, dot}, alpha -> {de + (1 - alpha) w (dp - dot)}
};

// A scan over positions, cut into chains: (batch, group of heads, block of features). Heads of a group are
// walked together, one position after the other.
struct cummax_plan {
    index batch = 0, heads = 0, positions = 0, features = 0;
    index group = 0;   // heads of a chain: all of them or one
    index block = 0;   // features of a chain
    index pad = 0;     // numbers from one row of scratch to the next
    index blocks = 0;  // of features
    index chains = 0;

    cummax_plan() = default;
    cummax_plan(index batch_, index heads_, index positions_, index features_, bool across, index max_block)
        : batch(batch_),
          heads(heads_),
          positions(positions_),
          features(features_),
          group(across ? heads : 1) {
        block = features < max_block ? features : max_block;
        pad = rounded_up(block, 16);
        blocks = block == 0 ? 0 : (features + block - 1) / block;
        chains = group == 0 ? 0 : batch * (heads / group) * blocks;
    }
    index state_size() const { return group * pad; }
};

// What a chain covers: heads from `head` on, `features` of them from `feature` on.
struct cummax_slice {
    index batch, head, feature, features;

    cummax_slice(const cummax_plan& plan, index chain) {
        feature = chain % plan.blocks * plan.block;
        features = plan.features - feature < plan.block ? plan.features - feature : plan.block;
        const index groups = plan.heads / plan.group;
        head = chain / plan.blocks % groups * plan.group;
        batch = chain / plan.blocks / groups;
    }
};

// Features of a chain at most: 16 where positions are neighbours in a tensor, which are transposed in squares
// of packs, and then only so many runs of memory are open at once; else `otherwise`.
template <class... X>
index features_together(index otherwise, const X&... tensors) {
    const auto is_transposed = [](const auto& x) {
        return x.strides[3] != 1 && (x.strides[2] == 1 || x.strides[2] == -1);
    };
    return (is_transposed(tensors) || ...) ? 16 : otherwise;
}

// Features of a chain whose kernel keeps `rows_each` rows of scratch for every head of the group.
inline index cummax_block(index group) {
    const index fit = group == 0 ? 128 : 1024 / group / 16 * 16;
    return fit < 16 ? 16 : fit > 128 ? 128 : fit;
}

template <class T>
void copy_numbers(const T* from, index from_stride, T* to, index to_stride, index n) {
    if (from_stride == 1 && to_stride == 1)
        std::copy_n(from, n, to);
    else
        for (index i = 0; i < n; ++i) to[i * to_stride] = from[i * from_stride];
}
// The heads of a chain between a state and scratch, from `state` into it or out of it; nothing where the
// state has no memory.
template <class X, class T>
void copy_state(const strided<X>& state, const cummax_plan& plan, const cummax_slice& at, T* scratch) {
    const index stride = state.stride[3];
    for (index h = 0; state.data != nullptr && h < plan.group; ++h, scratch += plan.pad) {
        X* const row = state.row(at.batch, at.head + h, 0) + at.feature * stride;
        if constexpr (std::is_const_v<X>)
            copy_numbers<std::remove_const_t<X>>(row, stride, scratch, 1, at.features);
        else
            copy_numbers<X>(scratch, 1, row, stride, at.features);
    }
}
// The state in scratch, or what stands for none. It stands between the rows, too: join runs over whole
// states.
template <class T>
void read_state(const strided<const T>& from, const cummax_plan& plan, const cummax_slice& at, T otherwise,
                T* to) {
    copy_state(from, plan, at, to);
    const index known = from.data == nullptr ? 0 : at.features;
    for (index h = 0; h < plan.group; ++h)
        std::fill_n(to + h * plan.pad + known, plan.pad - known, otherwise);
}

// Tensors as rows of numbers: where they stand, or converted into a buffer of scratch.
template <class E>
struct cummax_io {
    using T = typename cummax_leaves<E>::T;
    const cummax_leaves<E>* leaf = nullptr;
    index pad = 0;

    template <class X>
    static bool in_place(const strided<X>& x) {
        return std::is_same_v<E, T> && x.stride[3] == 1;
    }
    template <class X>
    static bool is_transposed(const strided<X>& x) {
        return x.stride[3] != 1 && (x.stride[2] == 1 || x.stride[2] == -1);
    }
    cummax_rows<const T> read(const strided<const E>& x, const cummax_slice& at, index head, index position,
                              index rows, T* buffer) const {
        if (!in_place(x)) return copy(x, at, head, position, rows, buffer);
        return {reinterpret_cast<const T*>(x.row(at.batch, at.head + head, position) + at.feature),
                x.stride[2]};
    }
    // Rows in the buffer, even of a tensor that could be read where it stands.
    cummax_rows<T> copy(const strided<const E>& x, const cummax_slice& at, index head, index position,
                        index rows, T* buffer) const {
        const E* const from = x.row(at.batch, at.head + head, position) + at.feature * x.stride[3];
        if (!is_transposed(x))
            leaf->widen(from, x.stride[2], x.stride[3], rows, at.features, buffer, pad);
        else if (x.stride[2] == 1)
            leaf->transpose_in(from, x.stride[3], rows, at.features, buffer, pad);
        else
            leaf->transpose_in(from - (rows - 1), x.stride[3], rows, at.features, buffer + (rows - 1) * pad,
                               -pad);
        return {buffer, pad};
    }
    // The same of gradients that come in, which may be kept as sums are.
    cummax_rows<const T> read(const stored_or_sum<const E, const T>& x, const cummax_slice& at, index head,
                              index position, index rows, T* buffer) const {
        if (x.sums.data == nullptr) return read(x.stored, at, head, position, rows, buffer);
        if (x.sums.stride[3] != 1) return copy(x, at, head, position, rows, buffer);
        return {x.sums.row(at.batch, at.head + head, position) + at.feature, x.sums.stride[2]};
    }
    cummax_rows<T> copy(const stored_or_sum<const E, const T>& x, const cummax_slice& at, index head,
                        index position, index rows, T* buffer) const {
        if (x.sums.data == nullptr) return copy(x.stored, at, head, position, rows, buffer);
        for (index r = 0; r < rows; ++r) {
            const T* const from = x.sums.row(at.batch, at.head + head, position + r);
            for (index f = 0; f < at.features; ++f)
                buffer[r * pad + f] = from[(at.feature + f) * x.sums.stride[3]];
        }
        return {buffer, pad};
    }
    // Rows to write to; finish() then stores them.
    cummax_rows<T> write(const strided<E>& y, const cummax_slice& at, index head, index position,
                         T* buffer) const {
        if (!in_place(y)) return {buffer, pad};
        E* const to = y.row(at.batch, at.head + head, position) + at.feature;
        return {reinterpret_cast<T*>(to), y.stride[2]};
    }
    void finish(const strided<E>& y, const cummax_slice& at, index head, index position, index rows,
                const T* buffer) const {
        if (!in_place(y)) store(y, at, head, position, rows, buffer);
    }
    void store(const strided<E>& y, const cummax_slice& at, index head, index position, index rows,
               const T* buffer) const {
        E* to = y.row(at.batch, at.head + head, position) + at.feature * y.stride[3];
        if (is_transposed(y)) {
            if (y.stride[2] == 1)
                leaf->transpose_out(buffer, pad, rows, at.features, to, y.stride[3]);
            else
                leaf->transpose_out(buffer + (rows - 1) * pad, -pad, rows, at.features, to - (rows - 1),
                                    y.stride[3]);
            return;
        }
        for (index r = 0; r < rows; ++r, to += y.stride[2], buffer += pad)
            leaf->narrow(buffer, at.features, to, y.stride[3]);
    }
};

}  // namespace heed::inline HEED_ABI::detail
