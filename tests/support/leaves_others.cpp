// SPDX-License-Identifier: MIT
// tests/support/leaves_others.cpp: all other leaves and walks, compiled once
#define HEED_COMPILE_ONCE
#include <heed/attention.hpp>
#include <heed/cummax.hpp>
#include <heed/linear.hpp>
#include <heed/simd/compile_here.hpp>

#include <heed/heed.hpp>
