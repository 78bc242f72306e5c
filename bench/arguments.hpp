// SPDX-License-Identifier: MIT
// bench/arguments.hpp: the command line of heed_compare
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "problem.hpp"

namespace heed_bench {

struct bad_argument : std::runtime_error {
    using runtime_error::runtime_error;
};

struct arguments {
    std::string text;  // the default is the text that ships in bench/data
    std::string json, html;
    std::vector<size> lengths;          // of the sweep
    std::vector<size> quality_lengths;  // where approximate variants stand beside the exact ones
    bool models = true;                 // also the shapes of real models
    bool quick = false;
    bool figures = false;
    bool help = false;
    int threads = 1;

    static const char* const usage;
    static arguments parse(int count, char** values);  // throws bad_argument
};

}  // namespace heed_bench
