// SPDX-License-Identifier: MIT
// heed/core/strided.hpp: tensors as kernels see them, without Eigen types
#pragma once

#include <heed/core/view.hpp>

namespace heed::inline HEED_ABI::detail {

inline index rounded_up(index n, index to) { return (n + to - 1) / to * to; }

// A strided tensor as kernels see it: storage elements, no Eigen type.
template <class E>
struct strided {
    E* data = nullptr;
    index stride[4] = {0, 0, 0, 0};
    E* row(index b, index h, index p) const { return data + b * stride[0] + h * stride[1] + p * stride[2]; }
};

template <class Storage, class T>
auto strided_of(const view<T>& v) {
    using S = std::conditional_t<std::is_const_v<T>, const Storage, Storage>;
    return strided<S>{reinterpret_cast<S*>(v.data), {v.strides[0], v.strides[1], v.strides[2], v.strides[3]}};
}

// A tensor of storage elements, or of the type sums are kept in: one of the two has memory.
template <class E, class T>
struct stored_or_sum {
    strided<E> stored;
    strided<T> sums;
};

// x as one of T's storage elements or of the type T's sums are kept in; const where X is.
template <class T, class X>
auto stored_or_sum_of(const view<X>& x) {
    using E = storage_t<T>;
    using S = sum_t<T>;
    constexpr bool read = std::is_const_v<X>;
    stored_or_sum<std::conditional_t<read, const E, E>, std::conditional_t<read, const S, S>> t;
    if constexpr (std::is_same_v<std::remove_const_t<X>, T>)
        t.stored = strided_of<E>(x);
    else
        t.sums = strided_of<S>(x);
    return t;
}

// `count` rows of such a tensor in the type sums are kept in; widen is the leaf that converts stored ones.
template <class E, class T, class Widen>
void read_rows(const stored_or_sum<const E, const T>& x, const Widen& widen, index b, index h, index first,
               index count, index n, T* to, index to_row) {
    if (x.sums.data == nullptr)
        return widen(x.stored.row(b, h, first), x.stored.stride[2], x.stored.stride[3], count, n, to, to_row);
    for (index i = 0; i < count; ++i) {
        const T* const from = x.sums.row(b, h, first + i);
        for (index f = 0; f < n; ++f) to[i * to_row + f] = from[f * x.sums.stride[3]];
    }
}

}  // namespace heed::inline HEED_ABI::detail
