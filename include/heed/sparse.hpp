// SPDX-License-Identifier: MIT
// heed/sparse.hpp: attention that pays only for the keys that count
//
// Patterns are masks like all others (heed/mask.hpp), and what they hide tile by tile costs nothing.
// Selectors are options of heed::attention that choose keys from the data (select/concept.hpp); one of them
// stands beside any masks of a call.
#pragma once

#include <heed/attention.hpp>
#include <heed/mask/block_bits.hpp>
#include <heed/mask/block_window.hpp>
#include <heed/mask/blocks.hpp>
#include <heed/mask/dilated.hpp>
#include <heed/mask/fixed.hpp>
#include <heed/mask/global.hpp>
#include <heed/mask/patterns.hpp>
#include <heed/mask/random_blocks.hpp>
#include <heed/mask/strided.hpp>
#include <heed/select/certified.hpp>
#include <heed/select/concept.hpp>
#include <heed/select/entropy_budget.hpp>
#include <heed/select/local_plus_top.hpp>
#include <heed/select/lsh.hpp>
#include <heed/select/page_bounds.hpp>
#include <heed/select/psa.hpp>
#include <heed/select/psa_backward.hpp>
#include <heed/select/quest.hpp>
#include <heed/select/select_top_k.hpp>
#include <heed/select/top_k.hpp>
#include <heed/select/vertical_slash.hpp>
#include <heed/sparse/compressed_keys.hpp>
#include <heed/sparse/linformer.hpp>
#include <heed/sparse/native.hpp>
#include <heed/sparse/native_backward.hpp>
#include <heed/sparse/polynomial_softmax.hpp>
#include <heed/sparse/progressive_precision.hpp>
#include <heed/sparse/quantise.hpp>
#include <heed/sparse/schedule.hpp>
#include <heed/sparse/token_pruner.hpp>
