// SPDX-License-Identifier: MIT
// heed/kernel/basics-inl.hpp: what the kernels of every variant are made of

// clang-format off
#include <heed/kernel/lanes-inl.hpp>
#include <heed/kernel/convert-inl.hpp>
#include <heed/kernel/transpose-inl.hpp>
#include <heed/kernel/carry-inl.hpp>
#include <heed/kernel/multiply_add-inl.hpp>
#include <heed/kernel/rounded-inl.hpp>
// clang-format on
