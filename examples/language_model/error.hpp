// SPDX-License-Identifier: MIT
// examples/language_model/error.hpp: what a person has to change, in one sentence
#pragma once

#include <stdexcept>

namespace language_model {

struct error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// A command line that cannot be followed; the program then points to --help.
struct bad_argument : error {
    using error::error;
};

}  // namespace language_model
