// SPDX-License-Identifier: MIT
// examples/language_model/variants/psa.cpp: polynomial weights of the best quarter of the bytes so far
#include <heed/sparse.hpp>

#include "make.hpp"

namespace language_model {
namespace {

struct psa {
    using heads = heed::psa_heads;
    static constexpr bool rotary = true, sinusoidal = false;
    static auto options(const model_config&) { return std::tuple(heed::causal, heed::psa(0.25)); }
};

}  // namespace

variant psa_variant() {
    return {"psa", "polynomial weights of the best quarter of all bytes so far", make<psa>};
}

}  // namespace language_model
