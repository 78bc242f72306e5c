// SPDX-License-Identifier: MIT
// heed/state.hpp: variants as states that take in a part, join with other states, and finish
#pragma once

#include <heed/state/cummax.hpp>
#include <heed/state/linear.hpp>
#include <heed/state/merge.hpp>
#include <heed/state/softmax.hpp>
