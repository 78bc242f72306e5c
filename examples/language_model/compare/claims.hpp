// SPDX-License-Identifier: MIT
// examples/language_model/compare/claims.hpp: what was claimed of cummax against softmax, beside what these
// runs measured
#pragma once

#include <string>
#include <vector>

#include "results.hpp"

namespace language_model {

struct claim {
    std::string words;     // "18,500 against 13,200 tokens/s"
    std::string measured;  // what was measured in its place
    std::string cummax, exact;
    std::string verdict;  // "held", "held in part: 12 % of 40 %", "did not hold: 3 % the other way"
};

// Empty unless both were run.
std::vector<claim> claims(const comparison& c);

}  // namespace language_model
