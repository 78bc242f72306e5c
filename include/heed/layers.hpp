// SPDX-License-Identifier: MIT
// heed/layers.hpp: the layers around attention that a transformer is made of, forward and backward
#pragma once

#include <heed/layers/cross_entropy.hpp>
#include <heed/layers/decoder_layer.hpp>
#include <heed/layers/encoder_layer.hpp>
#include <heed/layers/feed_forward.hpp>
#include <heed/layers/layer_norm.hpp>
#include <heed/layers/parameters.hpp>
#include <heed/layers/projection.hpp>
#include <heed/layers/rep_batch_norm.hpp>
#include <heed/layers/sam_out_layer.hpp>
#include <heed/layers/sinusoidal_positions.hpp>
#include <heed/layers/stack.hpp>
#include <heed/multi_head.hpp>
