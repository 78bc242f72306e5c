// SPDX-License-Identifier: MIT
// heed/kernel/linear_all-inl.hpp: the leaves of the linear kernels, in the order they need each other

// clang-format off
#include <heed/kernel/matrix-inl.hpp>
#include <heed/kernel/features-inl.hpp>
#include <heed/kernel/linear_rows-inl.hpp>
#include <heed/kernel/linear-inl.hpp>
// clang-format on
