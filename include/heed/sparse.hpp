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
#include <heed/select/local_plus_top.hpp>
#include <heed/select/psa.hpp>
#include <heed/select/psa_backward.hpp>
#include <heed/select/select_top_k.hpp>
#include <heed/select/top_k.hpp>
#include <heed/sparse/polynomial_softmax.hpp>
#include <heed/sparse/progressive_precision.hpp>
#include <heed/sparse/quantise.hpp>
#include <heed/sparse/schedule.hpp>
