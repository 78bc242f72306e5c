// SPDX-License-Identifier: MIT
// tests/support/refused.hpp: calls that have to be refused before anything is written
#pragma once

#include <string>
#include <vector>

#include <heed/layers/parameters.hpp>

#include "support/catch.hpp"
#include "support/compare.hpp"

namespace support {

// The numbers of tensors and of structs of parameters, one behind the other.
template <class... P>
std::vector<double> numbers_in(const P&... all) {
    std::vector<double> numbers;
    [[maybe_unused]] const auto add = [&](const std::string&, const auto& t) {
        numbers.insert(numbers.end(), t.data(), t.data() + t.size());
    };
    (heed::for_each_parameter(add, all), ...);
    return numbers;
}

// Throws with these words, and leaves all else as it is: results, gradients, running statistics.
template <class Call, class... P>
void check_refused(const Call& call, const std::string& words, const P&... kept) {
    const std::vector<double> before = numbers_in(kept...);
    CHECK_THROWS_WITH(call(), heed_test::contains(words));
    CHECK(same_bits(before, numbers_in(kept...)));
}

}  // namespace support
