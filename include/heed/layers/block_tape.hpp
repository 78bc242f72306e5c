// SPDX-License-Identifier: MIT
// heed/layers/block_tape.hpp: what encoder and decoder layers keep for a backward and carry in a stream
#pragma once

#include <heed/layers/feed_forward.hpp>
#include <heed/layers/multi_head_parameters.hpp>
#include <heed/layers/residual_sequence.hpp>

namespace heed::inline HEED_ABI::detail {

// What only a layer with a memory has.
struct no_cross {};

template <class T, class Heads, class Cross>
struct block_tape {
    multi_head_tape<T, Heads> attention;
    multi_head_tape<T, Cross> cross_attention;
    feed_forward_tape<T> feed_forward;
    residual_sequence_tape<T, 3> blocks;
    option_marks forward_options;
};
template <class T, class Heads>
struct block_tape<T, Heads, no_cross> {
    multi_head_tape<T, Heads> attention;
    feed_forward_tape<T> feed_forward;
    residual_sequence_tape<T, 2> blocks;
    option_marks forward_options;
};
// What is carried from call to call of extend(): the positions so far, and the memory.
template <class T, class Heads, class Cross>
struct block_stream {
    multi_head_stream<T, Heads> attention;
    multi_head_stream<T, Cross> cross_attention;
    block_tape<T, Heads, Cross> rows;  // of the current call
};
template <class T, class Heads>
struct block_stream<T, Heads, no_cross> {
    multi_head_stream<T, Heads> attention;
    block_tape<T, Heads, no_cross> rows;
};

}  // namespace heed::inline HEED_ABI::detail
