// SPDX-License-Identifier: MIT
// tests/select/local_plus_top_fast_math.cpp: local_plus_top.cpp once more, compiled with -ffast-math
//
// Linked so, a program reads denormal numbers as 0: no search for a rank may rely on stepping through them.
#include "local_plus_top.cpp"
