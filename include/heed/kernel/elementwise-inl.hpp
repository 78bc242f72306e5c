// SPDX-License-Identifier: MIT
// heed/kernel/elementwise-inl.hpp: one loop for kernels that go element by element
//
// An operation says how many tensors it reads and writes and what it does to a pack; the loop walks rows
// and features. Stores of a row come before the loads of the next, so what is carried from row to row is a
// tensor of stride 0. The last features go through the same code, as a pack that is filled in part.

namespace heed {
inline namespace HEED_ABI {
namespace HEED_SIMD {

template <class Operation, class T>
HEED_NOINLINE void elementwise(const detail::element_rows<const T>* from, const detail::element_rows<T>* to,
                               const T* numbers, index rows, index features) {
    constexpr int reads = Operation::reads;
    constexpr int writes = Operation::writes;
    constexpr int w = lanes_of<T>;
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

}  // namespace HEED_SIMD
}  // namespace HEED_ABI
}  // namespace heed
