// SPDX-License-Identifier: MIT
// heed/recommend.hpp: which attention to use, sizes for a task, and the layer made of both
//
//     heed::recommend(shape)              a variant, its estimated time, and the reason in words
//     heed::config_for(task)              sizes and a variant for text, vision and long sequences
//     heed::make_attention<T>(choice)     a layer whose attention is chosen when the program runs
#pragma once

#include <heed/recommend/attention_layer.hpp>
#include <heed/recommend/choose.hpp>
#include <heed/recommend/cost.hpp>
#include <heed/recommend/task.hpp>
