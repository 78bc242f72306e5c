// SPDX-License-Identifier: MIT
// bench/progress.hpp: says on stderr what is being measured, so that a long run is not a silent one
//
// On a terminal one line that overwrites itself; elsewhere (a log) a line now and then.
#pragma once

#include <unistd.h>

#include <iostream>
#include <string>

#include "measure.hpp"

namespace heed_bench {

class progress {
public:
    explicit progress(std::size_t steps) : steps_(steps) {}
    ~progress() { clear(); }
    progress(const progress&) = delete;
    progress& operator=(const progress&) = delete;

    void next(const std::string& what) {
        ++step_;
        const std::string line = "[" + std::to_string(step_) + "/" + std::to_string(steps_) + "] " + what;
        if (terminal_) {
            std::cerr << "\r\033[K" << line << std::flush;
        } else if (now() - last_ > 10) {
            std::cerr << line << '\n';
            last_ = now();
        }
    }

    void clear() const {
        if (terminal_) std::cerr << "\r\033[K" << std::flush;
    }

private:
    std::size_t steps_, step_ = 0;
    bool terminal_ = isatty(STDERR_FILENO) != 0;
    double last_ = now();
};

}  // namespace heed_bench
