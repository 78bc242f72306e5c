// SPDX-License-Identifier: MIT
// heed/simd/lane_bits.hpp: comparisons as bits and packs with lanes left out, once for each target
#pragma once

#include <heed/simd/pack.hpp>

#define HEED_FOREACH <heed/simd/lane_bits-inl.hpp>
#include <heed/simd/foreach_target.hpp>
