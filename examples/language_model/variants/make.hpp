// SPDX-License-Identifier: MIT
// examples/language_model/variants/make.hpp: a model from a variant's type, which transformer.hpp describes
#pragma once

#include "../transformer.hpp"
#include "list.hpp"

namespace language_model {

template <class Variant>
std::unique_ptr<model> make(const model_config& config, const heed::thread_pool& pool) {
    return std::make_unique<transformer<Variant>>(config, pool);
}

}  // namespace language_model
