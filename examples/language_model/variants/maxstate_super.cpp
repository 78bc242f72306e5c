// SPDX-License-Identifier: MIT
// examples/language_model/variants/maxstate_super.cpp: running maxima and the products of its four streams
#include "make.hpp"

namespace language_model {
namespace {

struct maxstate_super {
    using heads = heed::maxstate_super_heads;
    static constexpr bool rotary = false, sinusoidal = true;
    static auto options(const model_config&) { return std::tuple(); }
};

}  // namespace

variant maxstate_super_variant() {
    return {"maxstate_super", "running maxima, and products of four streams with them", make<maxstate_super>};
}

}  // namespace language_model
