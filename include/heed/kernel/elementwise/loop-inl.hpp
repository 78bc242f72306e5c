// SPDX-License-Identifier: MIT
// heed/kernel/elementwise/loop-inl.hpp: one loop for kernels that go element by element
//
// An operation says how many tensors it reads and writes and what it does to a pack; the loop walks rows
// and features. Stores of a row come before the loads of the next, so what is carried from row to row is a
// tensor of stride 0. The last features go through the same code, as a pack that is filled in part.
//
// An operation may say which tensors it carries, `carried`, bit i for the i-th that it reads and writes. Rows
// of few packs then keep those in registers: through memory each row would wait for the store of the one
// before (measured, a running maximum of rows of 8 floats: 15 times the time).

#ifndef HEED_KERNEL_ELEMENTWISE_LOOP_INL
#define HEED_KERNEL_ELEMENTWISE_LOOP_INL

#include <heed/kernel/elementwise/rows.hpp>
#include <heed/kernel/lanes-inl.hpp>

#define HEED_FOREACH <heed/kernel/elementwise/loop-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

template <class Operation>
inline constexpr unsigned carried_by = 0;
template <class Operation>
requires(Operation::carried != 0)
inline constexpr unsigned carried_by<Operation> = Operation::carried;

// Some packs of all rows.
template <class Operation, int Packs, bool Whole, class T>
HEED_INLINE void carried_rows(const detail::element_rows<const T>* from, const detail::element_rows<T>* to,
                              const T* numbers, index rows, index f, index left) {
    constexpr int reads = Operation::reads;
    constexpr int writes = Operation::writes;
    constexpr int w = lanes_of<T>;
    constexpr unsigned carried = carried_by<Operation>;
    const T* in[reads];
    T* out[writes];
    pack<T> x[Packs][reads];
    pack<T> y[Packs][writes];
    HEED_UNROLL
    for (int i = 0; i < reads; ++i) in[i] = from[i].data + f;
    HEED_UNROLL
    for (int i = 0; i < writes; ++i) out[i] = to[i].data + f;
    HEED_UNROLL
    for (int i = 0; i < reads; ++i) {
        HEED_UNROLL
        for (int k = 0; k < Packs; ++k)
            if ((carried >> i & 1) != 0) x[k][i] = load_part<Whole>(in[i] + k * w, left);
    }
    for (index r = 0; r < rows; ++r) {
        HEED_UNROLL
        for (int i = 0; i < reads; ++i) {
            HEED_UNROLL
            for (int k = 0; k < Packs; ++k)
                if ((carried >> i & 1) == 0) x[k][i] = load_part<Whole>(in[i] + k * w, left);
        }
        HEED_UNROLL
        for (int k = 0; k < Packs; ++k) Operation::template apply<pack<T>>(x[k], y[k], numbers);
        HEED_UNROLL
        for (int i = 0; i < writes; ++i) {
            HEED_UNROLL
            for (int k = 0; k < Packs; ++k)
                if ((carried >> i & 1) != 0)
                    x[k][i] = y[k][i];
                else
                    store_part<Whole>(out[i] + k * w, left, y[k][i]);
        }
        HEED_UNROLL
        for (int i = 0; i < reads; ++i) in[i] += from[i].stride;
        HEED_UNROLL
        for (int i = 0; i < writes; ++i) out[i] += to[i].stride;
    }
    HEED_UNROLL
    for (int i = 0; i < writes; ++i) {
        HEED_UNROLL
        for (int k = 0; k < Packs; ++k)
            if ((carried >> i & 1) != 0) store_part<Whole>(out[i] + k * w, left, x[k][i]);
    }
}
template <class Operation, class T>
HEED_INLINE bool carries(const detail::element_rows<const T>* from, const detail::element_rows<T>* to) {
    constexpr unsigned carried = carried_by<Operation>;
    bool all = true;
    HEED_UNROLL
    for (int i = 0; i < Operation::writes; ++i)
        if ((carried >> i & 1) != 0)
            all = all && from[i].data == to[i].data && from[i].stride == 0 && to[i].stride == 0;
    return all;
}

template <class Operation, class T>
HEED_NOINLINE void elementwise(const detail::element_rows<const T>* from, const detail::element_rows<T>* to,
                               const T* numbers, index rows, index features) {
    constexpr int reads = Operation::reads;
    constexpr int writes = Operation::writes;
    constexpr int w = lanes_of<T>;
    if constexpr (carried_by<Operation> != 0) {
        if (features < 8 * w && carries<Operation>(from, to)) {
            index f = 0;
            constexpr int packs = HEED_SIMD_REGISTERS == 32 ? 4 : 2;
            for (; f + packs * w <= features; f += packs * w)
                carried_rows<Operation, packs, true>(from, to, numbers, rows, f, packs * w);
            for (; f + w <= features; f += w) carried_rows<Operation, 1, true>(from, to, numbers, rows, f, w);
            if (f < features) carried_rows<Operation, 1, false>(from, to, numbers, rows, f, features - f);
            return;
        }
    }
    const T* in[reads];
    T* out[writes];
    pack<T> x[reads];
    pack<T> y[writes];
    HEED_UNROLL
    for (int i = 0; i < reads; ++i) in[i] = from[i].data;
    HEED_UNROLL
    for (int i = 0; i < writes; ++i) out[i] = to[i].data;
    for (index r = 0; r < rows; ++r) {
        index f = 0;
#if HEED_SIMD_REGISTERS == 32
        // Four packs of a tensor after each other: whole runs of lines, not one of each in turn.
        for (; f + 4 * w <= features; f += 4 * w) {
            pack<T> a[4][reads];
            pack<T> b[4][writes];
            HEED_UNROLL
            for (int i = 0; i < reads; ++i) {
                HEED_UNROLL
                for (int k = 0; k < 4; ++k) a[k][i] = load(in[i] + f + k * w);
            }
            HEED_UNROLL
            for (int k = 0; k < 4; ++k) Operation::template apply<pack<T>>(a[k], b[k], numbers);
            HEED_UNROLL
            for (int i = 0; i < writes; ++i) {
                HEED_UNROLL
                for (int k = 0; k < 4; ++k) store(out[i] + f + k * w, b[k][i]);
            }
        }
#endif
        for (; f + w <= features; f += w) {
            HEED_UNROLL
            for (int i = 0; i < reads; ++i) x[i] = load(in[i] + f);
            Operation::template apply<pack<T>>(x, y, numbers);
            HEED_UNROLL
            for (int i = 0; i < writes; ++i) store(out[i] + f, y[i]);
        }
        if (f < features) {
            HEED_UNROLL
            for (int i = 0; i < reads; ++i) x[i] = load_or(in[i] + f, features - f, T(0));
            Operation::template apply<pack<T>>(x, y, numbers);
            HEED_UNROLL
            for (int i = 0; i < writes; ++i) store_some(out[i] + f, features - f, y[i]);
        }
        HEED_UNROLL
        for (int i = 0; i < reads; ++i) in[i] += from[i].stride;
        HEED_UNROLL
        for (int i = 0; i < writes; ++i) out[i] += to[i].stride;
    }
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
