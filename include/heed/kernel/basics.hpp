// SPDX-License-Identifier: MIT
// heed/kernel/basics.hpp: conversions and transposition, compiled for every target
#pragma once

#include <heed/core/strided.hpp>
#include <heed/simd/dispatch.hpp>
#include <heed/simd/pack.hpp>

#define HEED_FOREACH <heed/kernel/basics-inl.hpp>
#include <heed/simd/foreach_target.hpp>
