// SPDX-License-Identifier: MIT
// examples/language_model/variants/gated_delta.cpp: a state that forgets and corrects itself
#include "make.hpp"

namespace language_model {
namespace {

struct gated_delta {
    using heads = heed::gated_delta_heads;
    static constexpr bool rotary = false, sinusoidal = true;
    static auto options(const model_config&) { return std::tuple(); }
};

}  // namespace

variant gated_delta_variant() {
    return {"gated_delta", "a state that forgets, and writes what it does not answer yet", make<gated_delta>};
}

}  // namespace language_model
