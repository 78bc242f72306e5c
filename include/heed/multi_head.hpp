// SPDX-License-Identifier: MIT
// heed/multi_head.hpp: multi-head attention with any of the variants inside
#pragma once

#include <heed/layers/heads/blend.hpp>
#include <heed/layers/heads/cummax.hpp>
#include <heed/layers/heads/exact.hpp>
#include <heed/layers/heads/gated_delta.hpp>
#include <heed/layers/heads/linear.hpp>
#include <heed/layers/heads/maxstate.hpp>
#include <heed/layers/heads/maxstate_super.hpp>
#include <heed/layers/heads/native.hpp>
#include <heed/layers/heads/psa.hpp>
#include <heed/layers/multi_head.hpp>
