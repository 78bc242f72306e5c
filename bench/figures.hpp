// SPDX-License-Identifier: MIT
// bench/figures.hpp: the figures heed promises, measured again on this machine
#pragma once

#include <iosfwd>

#include "run.hpp"

namespace heed_bench {

// Prints each figure as it is measured: what it is, what it needs, what was found, "ok" or "MISS". True
// when none was missed. One thread on the calling thread's processor, but for the two-thread figure.
bool print_figures(std::ostream& out, runner& run);

}  // namespace heed_bench
