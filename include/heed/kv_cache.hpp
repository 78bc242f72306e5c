// SPDX-License-Identifier: MIT
// heed/kv_cache.hpp: a cache of keys and values, and attention over it
//
//     heed::kv_cache<float> cache(batch, kv_heads, head_dim);      heed/cache/kv_cache.hpp
//     cache.append(k, v);
//     auto y = heed::attention(q, cache, heed::causal);            heed/cache/attention.hpp
#pragma once

#include <heed/cache/attention.hpp>
#include <heed/cache/kv_cache.hpp>
