// SPDX-License-Identifier: MIT
// heed/sparse.hpp: attention that pays only for the keys that count
//
// Patterns are masks like all others (heed/mask.hpp), and what they hide tile by tile costs nothing.
// Selectors are options of heed::attention that choose keys from the data (select/concept.hpp); one of them
// stands beside any masks of a call.
#pragma once

#include <heed/attention.hpp>
#include <heed/mask/block_bits.hpp>
#include <heed/select/concept.hpp>
#include <heed/sparse/compressed_keys.hpp>
#include <heed/sparse/native.hpp>
#include <heed/sparse/native_backward.hpp>
