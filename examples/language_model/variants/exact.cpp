// SPDX-License-Identifier: MIT
// examples/language_model/variants/exact.cpp: softmax over all bytes so far
#include "make.hpp"

namespace language_model {
namespace {

struct exact {
    using heads = heed::exact_heads;
    static constexpr bool rotary = true, sinusoidal = false;
    static auto options(const model_config&) { return std::tuple(heed::causal); }
};

}  // namespace

variant exact_variant() { return {"exact", "softmax over all bytes so far", make<exact>}; }

}  // namespace language_model
