// SPDX-License-Identifier: MIT
// tests/mask/hard_cases.cpp: the hard cases, compiled as everything else is
#include "mask/hard_cases-inl.hpp"
