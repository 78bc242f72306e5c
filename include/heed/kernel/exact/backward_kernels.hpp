// SPDX-License-Identifier: MIT
// heed/kernel/exact/backward_kernels.hpp: the backward's leaves and derivatives, compiled for every target
#pragma once

#include <heed/kernel/exact/backward-inl.hpp>
#include <heed/kernel/exact/backward_problem.hpp>
#include <heed/kernel/exact/backward_program-inl.hpp>
#include <heed/simd/dispatch.hpp>

namespace heed::inline HEED_ABI::detail {

template <class E>
const gradient_leaves<E>& gradient_leaves_on_target() {
    HEED_RETURN_ON_TARGET(gradient_leaves<E>());
}
HEED_ONCE_FOR_ELEMENTS(gradient_leaves_on_target);

template <class Derivative, class T>
derivative_function<T> derivative_on_target() {
    HEED_RETURN_ON_TARGET(compile_derivative<Derivative, T>());
}

template <class Program, class T>
probability_function<T> probability_gradient_on_target() {
    HEED_RETURN_ON_TARGET(compile_probability_gradient<Program, T>());
}

}  // namespace heed::inline HEED_ABI::detail
