// SPDX-License-Identifier: MIT
// tests/support/leaves_attention.cpp: the leaves and walks of exact attention, compiled once for all test
// programs (heed/simd/compile_once.hpp); leaves_linear.cpp and leaves_others.cpp have the rest
#define HEED_COMPILE_HERE
#include <heed/attention.hpp>
