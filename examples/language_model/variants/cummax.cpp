// SPDX-License-Identifier: MIT
// examples/language_model/variants/cummax.cpp: the largest value so far of every channel
#include "make.hpp"

namespace language_model {
namespace {

struct cummax {
    using heads = heed::cummax_heads;
    static constexpr bool rotary = false, sinusoidal = true;
    static auto options(const model_config&) { return std::tuple(); }
};

}  // namespace

variant cummax_variant() {
    return {"cummax", "running maxima, over positions and then over heads", make<cummax>};
}

}  // namespace language_model
