// SPDX-License-Identifier: MIT
// examples/language_model/variants/list.cpp: the variants by name
#include "list.hpp"

#include <algorithm>

namespace language_model {

const std::vector<variant>& variants() {
    static const std::vector<variant> all = {
        exact_variant(),  cummax_variant(), maxstate_super_variant(), linear_variant(), gated_delta_variant(),
        sparse_variant(), psa_variant(),    hybrid_variant()};
    return all;
}

const variant& variant_named(const std::string& name) {
    return *std::find_if(variants().begin(), variants().end(),
                         [&](const variant& v) { return v.name == name; });
}

}  // namespace language_model
