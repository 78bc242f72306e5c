// SPDX-License-Identifier: MIT
// heed/kernel/dense/all-inl.hpp: the leaves of the dense product, in the order they need each other

// clang-format off
#include <heed/kernel/dense/pack-inl.hpp>
#include <heed/kernel/dense/product-inl.hpp>
#include <heed/kernel/dense/few-inl.hpp>
#include <heed/kernel/dense/table-inl.hpp>
// clang-format on
