// SPDX-License-Identifier: MIT
// examples/language_model/compare/request.hpp: what is compared, as the command line asks for it
#pragma once

#include <string>
#include <vector>

#include "../settings.hpp"

namespace language_model {

struct request {
    std::vector<std::string> attentions;  // in the order of the table
    std::string folder = "train-compare";
    std::int64_t task_steps = 600;
    std::vector<std::string> passed;  // for the runs on the text, checked
    settings text;                    // what they come to
    std::string command;              // as it was typed
    bool help = false;

    static request parse(int count, const char* const* arguments);  // throws bad_argument
    static std::string usage();
};

}  // namespace language_model
