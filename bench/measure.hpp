// SPDX-License-Identifier: MIT
// bench/measure.hpp: timing that a busy machine disturbs least
//
// The best of several runs estimates the undisturbed time: noise only ever adds. Things that are
// compared run in turn, round after round, so that a slow second of the machine hits all of them.
#pragma once

#include <time.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <limits>
#include <vector>

namespace heed_bench {

inline double now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// How much of a processor the calling thread had since it asked: 1 alone, 0.5 when another program took
// every other slice. Best-of hides that for short calls, not for calls longer than a slice.
class processor_share {
public:
    double value() const { return std::min(1.0, (thread_time() - thread_) / std::max(now() - wall_, 1e-9)); }

private:
    static double thread_time() {
        timespec t{};
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
        return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
    }

    double thread_ = thread_time(), wall_ = now();
};

// Below this share a time is called disturbed.
inline constexpr double undisturbed = 0.95;

struct patience {
    double seconds = 0.4;  // per callable; the first round does not count
    int least_rounds = 3;
    int most_rounds = 200;
};

// Best seconds of one call of each callable. Calls shorter than 50 us are timed several at once, to
// drown the clock's own cost. The first call of each warms up: page faults, a workspace that grows.
inline std::vector<double> best_in_turn(const std::vector<std::function<void()>>& calls, patience how = {}) {
    std::vector<double> best(calls.size(), std::numeric_limits<double>::infinity());
    std::vector<int> at_once(calls.size(), 1);
    for (std::size_t i = 0; i < calls.size(); ++i) {
        calls[i]();
        const double start = now();
        calls[i]();
        best[i] = now() - start;
        at_once[i] = std::clamp(int(50e-6 / std::max(best[i], 1e-8)), 1, 1000);
    }
    const double stop = now() + how.seconds * double(calls.size());
    for (int round = 0; round < how.most_rounds && (round < how.least_rounds || now() < stop); ++round)
        for (std::size_t i = 0; i < calls.size(); ++i) {
            const double start = now();
            for (int repeat = 0; repeat < at_once[i]; ++repeat) calls[i]();
            best[i] = std::min(best[i], (now() - start) / at_once[i]);
        }
    return best;
}

inline double best_time(const std::function<void()>& call, patience how = {}) {
    return best_in_turn({call}, how)[0];
}

}  // namespace heed_bench
