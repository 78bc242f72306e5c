// SPDX-License-Identifier: MIT
// examples/language_model/variants/list.hpp: all variants; each is compiled in a file of its own
#pragma once

#include "../model.hpp"

namespace language_model {

variant exact_variant();
variant cummax_variant();
variant maxstate_super_variant();
variant linear_variant();
variant gated_delta_variant();
variant sparse_variant();
variant psa_variant();
variant hybrid_variant();

}  // namespace language_model
