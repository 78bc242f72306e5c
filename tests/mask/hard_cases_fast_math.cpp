// SPDX-License-Identifier: MIT
// tests/mask/hard_cases_fast_math.cpp: the hard cases in a program built with -ffast-math
//
// The build must add -ffast-math to this file; without it the test would prove nothing.
#if !defined(__FAST_MATH__)
#error "build this test with -ffast-math"
#endif
#include "mask/hard_cases-inl.hpp"
