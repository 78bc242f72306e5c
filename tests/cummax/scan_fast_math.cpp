// SPDX-License-Identifier: MIT
// tests/cummax/scan_fast_math.cpp: scan.cpp once more, compiled with -ffast-math
#include "scan.cpp"
