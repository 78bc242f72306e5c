// SPDX-License-Identifier: MIT
// heed/kernel/linear/all-inl.hpp: the leaves of the linear kernels, in the order they need each other

// clang-format off
#include <heed/kernel/linear/features-inl.hpp>
#include <heed/kernel/linear/rows-inl.hpp>
#include <heed/kernel/linear/decays-inl.hpp>
#include <heed/kernel/linear/exponents-inl.hpp>
#include <heed/kernel/linear/walk-inl.hpp>
#include <heed/kernel/linear/table-inl.hpp>
// clang-format on
