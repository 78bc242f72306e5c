// SPDX-License-Identifier: MIT
// heed/kernel/elementwise.hpp: the loop of kernels that go element by element, compiled for every target
#pragma once

#include <heed/kernel/basics.hpp>
#include <heed/kernel/element_rows.hpp>

#define HEED_FOREACH <heed/kernel/elementwise-inl.hpp>
#include <heed/simd/foreach_target.hpp>
