// SPDX-License-Identifier: MIT
// examples/language_model/variants/linear.cpp: a sum of keys and values, elu + 1 features
#include "make.hpp"

namespace language_model {
namespace {

struct linear {
    using heads = heed::linear_heads;
    static constexpr bool rotary = false, sinusoidal = true;
    static auto options(const model_config&) { return std::tuple(heed::causal); }
};

}  // namespace

variant linear_variant() {
    return {"linear", "a sum of keys and values, features elu + 1, normalised", make<linear>};
}

}  // namespace language_model
