// SPDX-License-Identifier: MIT
// heed/kernel/exact_all-inl.hpp: the leaves of the exact kernels, in the order they need each other

// clang-format off
#include <heed/kernel/product-inl.hpp>
#include <heed/kernel/panel-inl.hpp>
#include <heed/kernel/row-inl.hpp>
#include <heed/kernel/exact-inl.hpp>
// clang-format on
