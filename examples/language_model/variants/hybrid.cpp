// SPDX-License-Identifier: MIT
// examples/language_model/variants/hybrid.cpp: a learned blend of cummax and softmax
#include "make.hpp"

namespace language_model {
namespace {

struct hybrid {
    using heads = heed::blend_heads<heed::cummax_heads, heed::exact_heads>;
    static constexpr bool rotary = true, sinusoidal = true;
    static auto options(const model_config&) { return std::tuple(heed::causal); }
};

}  // namespace

variant hybrid_variant() {
    return {"hybrid", "cummax and softmax side by side, blended by a learned weight per head", make<hybrid>};
}

}  // namespace language_model
