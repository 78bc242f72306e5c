// SPDX-License-Identifier: MIT
// examples/language_model/generate.hpp: what a trained model says, and how long it takes to say one byte more
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "model.hpp"
#include "random.hpp"

namespace language_model {

// A byte drawn from softmax(logits / temperature); temperature 0: the likeliest.
std::uint8_t choose(const float* logits, double temperature, generator& random);

// Reads the prompt and says `bytes` more, each as soon as it is known. Throws error for an empty prompt.
void generate(model& m, const std::string& prompt, std::int64_t bytes, double temperature, generator random,
              const std::function<void(char)>& say);

// Seconds for one more byte of a stream that has read `length` bytes: the median of several.
double decode_seconds(model& m, index length);

}  // namespace language_model
