// SPDX-License-Identifier: MIT
// examples/language_model/optimizer.hpp: AdamW with a clipped gradient, and its learning rate
//
//     g  = gradient min(1, clip / |gradient|)                 the norm over all tensors together
//     m  = b1 m + (1 - b1) g,    v = b2 v + (1 - b2) g^2
//     w -= lr (m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + epsilon)  +  decay w)
//
// Decay is decoupled from the gradient and acts on matrices alone; vectors (biases, gains) have none.
// Source: Loshchilov and Hutter, arXiv 1711.05101.
//
// Cost: 7 numbers read or written a parameter. Sums run tensor by tensor in an order of their own, so the
// bits do not depend on threads.
#pragma once

#include <cstdint>
#include <vector>

#include <heed/thread_pool.hpp>

#include "parameter_list.hpp"

namespace language_model {

struct adamw_options {
    double b1 = 0.9, b2 = 0.99, epsilon = 1e-8;
    double decay = 0.1;
    double clip = 1;  // 0: none
};

class adamw {
public:
    // The list's addresses are used as long as this lives. The moments begin at zero.
    adamw(parameter_list parameters, const adamw_options& options);

    // One update from the gradients as they stand. Returns the gradient's norm before it was clipped.
    // A norm that is not finite throws error, and nothing is changed.
    double step(double learning_rate, const heed::thread_pool& pool);

    std::uint64_t steps() const { return steps_; }
    void set_steps(std::uint64_t steps) { steps_ = steps; }

    // The moments as named tensors: "mean.NAME" and "square.NAME" in `values`.
    parameter_list moments();

private:
    parameter_list parameters_;
    adamw_options options_;
    std::vector<std::vector<float>> means_, squares_;  // of each tensor
    std::vector<double> norms_;                        // squared, of each tensor
    std::uint64_t steps_ = 0;
};

// Rises in a straight line over `warmup` steps, then falls as half a cosine to a tenth at `steps`.
// `step` counts from 0.
double learning_rate_at(std::uint64_t step, std::uint64_t steps, std::uint64_t warmup, double highest);

}  // namespace language_model
