// SPDX-License-Identifier: MIT
// tests/support/side_by_side.hpp: a device whose lanes are all running before the first one begins
//
// A pool may run a short range on the caller alone; what goes wrong between two lanes then stays unseen.
// Plain std::threads, which the thread sanitizer understands.
#pragma once

#include <atomic>
#include <thread>
#include <vector>

#include <Eigen/Core>

namespace support {

struct side_by_side {
    int threads;
    int numThreads() const { return threads; }
    template <class Cost, class F>
    void parallelFor(Eigen::Index n, const Cost&, const F& f) const {
        std::atomic<Eigen::Index> waiting{n};
        std::vector<std::thread> lanes;
        for (Eigen::Index i = 0; i < n; ++i)
            lanes.emplace_back([&, i] {
                for (waiting.fetch_sub(1); waiting.load() > 0;) std::this_thread::yield();
                f(i, i + 1);
            });
        for (std::thread& lane : lanes) lane.join();
    }
};

}  // namespace support
