// SPDX-License-Identifier: MIT
// examples/language_model/parameter_list.hpp: all tensors a model learns, whatever struct they stand in
//
// An optimiser and a checkpoint need names, shapes and numbers, not types: heed::visit goes through the
// structs of weights and of gradients once, and what it finds is written down here. The addresses hold as
// long as the model does; its tensors never change their sizes.
#pragma once

#include <string>
#include <vector>

#include <heed/layers/parameters.hpp>

namespace language_model {

using heed::index;

struct parameter {
    std::string name;  // "layers.0.attention.in.weight"
    std::vector<index> shape;
    float* values;
    float* gradient;
    index size;
};
using parameter_list = std::vector<parameter>;

// The tensors of `weights` and of the struct `gradients` of the same type, behind those listed already.
template <class P>
void append(parameter_list& list, const std::string& name, P& weights, P& gradients) {
    const auto add = [&](const std::string& full_name, auto& w, auto& g) {
        if (w.size() == 0) return;
        std::vector<index> shape;
        for (index extent : w.dimensions()) shape.push_back(extent);
        list.push_back({full_name, shape, w.data(), g.data(), static_cast<index>(w.size())});
    };
    heed::visit(name, add, weights, gradients);
}

inline index count(const parameter_list& list) {
    index total = 0;
    for (const parameter& p : list) total += p.size;
    return total;
}

}  // namespace language_model
