// SPDX-License-Identifier: MIT
// heed/multi_head.hpp: multi-head attention with any of the variants inside
#pragma once

#include <heed/layers/multi_head.hpp>
