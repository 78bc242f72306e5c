// SPDX-License-Identifier: MIT
// heed/kernel/basics.hpp: conversions, transposition, the innermost step of products, compiled for every
// target
#pragma once

#include <heed/core/fetch.hpp>
#include <heed/core/strided.hpp>
#include <heed/simd/dispatch.hpp>
#include <heed/simd/pack.hpp>

#define HEED_FOREACH <heed/kernel/basics-inl.hpp>
#include <heed/simd/foreach_target.hpp>
