// SPDX-License-Identifier: MIT
// examples/language_model/compare/process.hpp: another program, with a process of its own to be measured in
#pragma once

#include <string>
#include <vector>

namespace language_model {

// Runs words[0] with the others as its arguments; what it says goes to the file `log`. Returns its exit
// status, 128 and the signal where one ended it. Throws error where it cannot be started.
int run_program(const std::vector<std::string>& words, const std::string& log);

}  // namespace language_model
