// SPDX-License-Identifier: MIT
// heed/heed.hpp: everything
#pragma once

#include <heed/attention.hpp>
#include <heed/cummax.hpp>
#include <heed/kv_cache.hpp>
#include <heed/layers.hpp>
#include <heed/linear.hpp>
#include <heed/math.hpp>
#include <heed/multi_head.hpp>
#include <heed/recommend.hpp>
#include <heed/rotary.hpp>
#include <heed/sparse.hpp>
#include <heed/state.hpp>
#include <heed/thread_pool.hpp>
#include <heed/version.hpp>
