// SPDX-License-Identifier: MIT
// heed/simd/pack.hpp: the vector type and its functions, once for each target
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include <heed/math.hpp>
#include <heed/simd/target.hpp>

#define HEED_FOREACH <heed/simd/pack-inl.hpp>
#include <heed/simd/foreach_target.hpp>
