// SPDX-License-Identifier: MIT
// tests/support/pruning.hpp: the oracle of token_pruner: a place for every token, and the best one looked for
// again and again
#pragma once

#include <cstddef>
#include <vector>

namespace support {

using numbers = std::vector<long>;

// One batch entry: all things there ever were.
struct simulated {
    std::vector<double> importance;
    std::vector<bool> here;

    explicit simulated(long count) : importance(std::size_t(count)), here(std::size_t(count), true) {}

    numbers left() const {
        numbers list;
        for (std::size_t i = 0; i < here.size(); ++i)
            if (here[i]) list.push_back(long(i));
        return list;
    }
    void append(long count) {
        importance.resize(importance.size() + std::size_t(count));
        here.resize(importance.size(), true);
    }
    // Only `count` of the candidates stay.
    void keep(const numbers& candidates, long count) {
        for (long i : candidates) here[std::size_t(i)] = false;
        for (long n = 0; n < count; ++n) {
            long best = -1;
            for (long i : candidates)
                if (!here[std::size_t(i)] &&
                    (best < 0 || importance[std::size_t(i)] > importance[std::size_t(best)]))
                    best = i;
            here[std::size_t(best)] = true;
        }
    }
    void keep(long count) { keep(left(), count); }
    void keep(long sinks, long important, long recent) {
        const numbers list = left();
        if (long(list.size()) > sinks + important + recent)
            keep(numbers(list.begin() + sinks, list.end() - recent), important);
    }
};

}  // namespace support
