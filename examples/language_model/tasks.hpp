// SPDX-License-Identifier: MIT
// examples/language_model/tasks.hpp: two tasks that need a memory, and show what a variant forgets
//
//     copy_first     q h r d . . x k . m . . . ? q h r d       say the first bytes again, after noise
//     recall         a 3 f 7 k 2 | f 7 a 3 k 2                 say the value that stood behind each key
//
// Only answers are scored: the bytes behind '?', and the values of the second half. Guessing gets one in
// sixteen of either right.
#pragma once

#include "batch.hpp"
#include "random.hpp"

namespace language_model {

inline constexpr int answer_symbols = 16;

// Bytes that copy_first says again, for a length.
std::ptrdiff_t copied_bytes(std::ptrdiff_t length);

// Key-value pairs of recall, for a length: at most as many as there are keys, 52.
std::ptrdiff_t recall_pairs(std::ptrdiff_t length);

// Fill b, whose sizes are set. The length is at least 8.
void draw_copy_first(batch& b, generator& random);
void draw_recall(batch& b, generator& random);

}  // namespace language_model
