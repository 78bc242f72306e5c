// SPDX-License-Identifier: MIT
// heed/core/strided.hpp: tensors as kernels see them, without Eigen types
#pragma once

#include <heed/core/view.hpp>

namespace heed {
inline namespace HEED_ABI {
namespace detail {

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

}  // namespace detail
}  // namespace HEED_ABI
}  // namespace heed
