// SPDX-License-Identifier: MIT
// examples/language_model/model.cpp: the sizes of a model
#include "model.hpp"

#include <algorithm>

namespace language_model {

model_config::model_config(const settings& s)
    : width(s.width),
      layers(s.layers),
      heads(s.heads),
      hidden(s.hidden),
      length(s.length),
      positions(std::max(s.length, static_cast<std::int64_t>(s.prompt.size()) + s.generate)),
      seed(static_cast<std::uint64_t>(s.seed)) {
    for (const std::int64_t after : s.decode_lengths())
        positions = std::max<index>(positions, after + decode_steps);
}

}  // namespace language_model
