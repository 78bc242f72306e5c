// SPDX-License-Identifier: MIT
// tests/support/pair_sums.hpp: the gradient of what many scores share, by the oracle
#pragma once

#include <functional>
#include <utility>

#include "attention_gradient.hpp"

namespace support {

// The sums of a pair's gradients that share an element, and their size.
struct pair_sums {
    std::vector<double> sum, size;
    pair_sums(const reference::problem& p, const reference::gradients& d, long count,
              const std::function<std::pair<long, double>(reference::place)>& to)
        : sum(static_cast<std::size_t>(count)), size(sum.size()) {
        std::size_t pair = 0;
        for (long b = 0; b < p.batch; ++b)
            for (long h = 0; h < p.heads; ++h)
                for (long i = 0; i < p.queries; ++i)
                    for (long j = 0; j < p.keys; ++j, ++pair) {
                        const auto [element, factor] = to({b, h, i, j});
                        sum[static_cast<std::size_t>(element)] += factor * d.scores[pair];
                        size[static_cast<std::size_t>(element)] += std::fabs(factor * d.scores_size[pair]);
                    }
    }
};

}  // namespace support
