// SPDX-License-Identifier: MIT
// examples/language_model/tasks.hpp: two tasks that need a memory, and show what a variant forgets
//
//     copy_first     q h r d . . x k . m . . . ? q h r d       say the first bytes again, after noise
//     recall         [a3] [f7] [k2] . . . . f a k              say the value that was stored with each key
//
// Only answers are scored: the bytes behind '?', and the byte behind each key, '0' + its value. A stored pair
// is one byte, 128 + 8 key + value; were it two, a variant would first have to learn to look one byte back,
// which takes far longer than the recall itself. Guessing gets one in sixteen right, and one in eight.
#pragma once

#include "batch.hpp"
#include "random.hpp"

namespace language_model {

inline constexpr int copied_symbols = 16;
inline constexpr int recall_keys = 16, recall_values = 8;

// Bytes that copy_first says again, for a length.
std::ptrdiff_t copied_bytes(std::ptrdiff_t length);

// Pairs that recall stores, for a length: as many as fit with their questions, each key at most once.
std::ptrdiff_t recall_pairs(std::ptrdiff_t length);

// Fill b, whose sizes are set. The length is at least 8.
void draw_copy_first(batch& b, generator& random);
void draw_recall(batch& b, generator& random);

}  // namespace language_model
