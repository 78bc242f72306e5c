// SPDX-License-Identifier: MIT
// heed/simd/compile_here.hpp: behind it, a unit with HEED_COMPILE_ONCE compiles what it includes
// (simd/compile_once.hpp)
#pragma once

#include <heed/simd/compile_once.hpp>

#undef HEED_ONCE_KEYWORD
#define HEED_ONCE_KEYWORD
