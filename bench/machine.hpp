// SPDX-License-Identifier: MIT
// bench/machine.hpp: what the operating system says of this machine
#pragma once

#include <string>
#include <vector>

namespace heed_bench {

std::string cpu_model();  // "AMD EPYC 9B14", or "unknown processor"
std::string compiler();   // "g++ 12.2.0"
std::vector<int> cpus();  // the processors this program could run on when it started

// Keeps the calling thread, and the threads it starts from now on, on the first `count` of cpus().
// Without an interface for it (macOS) this does nothing.
void pin(int count);

}  // namespace heed_bench
