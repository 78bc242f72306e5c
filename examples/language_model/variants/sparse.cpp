// SPDX-License-Identifier: MIT
// examples/language_model/variants/sparse.cpp: softmax over the last bytes and the first few
#include <heed/sparse.hpp>

#include "make.hpp"

namespace language_model {
namespace {

struct sparse {
    using heads = heed::exact_heads;
    static constexpr bool rotary = true, sinusoidal = false;
    static auto options(const model_config& c) {
        return std::tuple(heed::causal & (heed::window(c.length / 4 - 1, 0) | heed::global_first(4)));
    }
};

}  // namespace

variant sparse_variant() {
    return {"sparse", "softmax over the last quarter of a training sequence and its first four bytes",
            make<sparse>};
}

}  // namespace language_model
