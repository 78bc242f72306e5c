// SPDX-License-Identifier: MIT
// tests/support/leaves_linear.cpp: the leaves and walks of linear and cummax attention, compiled once
#define HEED_COMPILE_ONCE
#include <heed/attention.hpp>
#include <heed/simd/compile_here.hpp>

#include <heed/cummax.hpp>
#include <heed/linear.hpp>
