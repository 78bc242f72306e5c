// SPDX-License-Identifier: MIT
// heed/kernel/exact/all-inl.hpp: the leaves of the exact kernels, in the order they need each other

// clang-format off
#include <heed/kernel/exact/product-inl.hpp>
#include <heed/kernel/exact/panel-inl.hpp>
#include <heed/kernel/exact/row-inl.hpp>
#include <heed/kernel/exact/table-inl.hpp>
// clang-format on
