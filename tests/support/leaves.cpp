// SPDX-License-Identifier: MIT
// tests/support/leaves.cpp: all leaves, compiled once for all test programs (heed/simd/compile_once.hpp)
#define HEED_COMPILE_HERE
#include <heed/heed.hpp>
