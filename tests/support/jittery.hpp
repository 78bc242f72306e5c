// SPDX-License-Identifier: MIT
// tests/support/jittery.hpp: a device that runs its range in random order on `threads` threads, with random
// pauses: a result that depends on timing would not survive it
#pragma once

#include <chrono>
#include <numeric>
#include <thread>
#include <vector>

#include <Eigen/Core>

#include "random.hpp"

namespace support {

struct jittery {
    int threads;
    mutable random r;
    int numThreads() const { return threads; }
    template <class Cost, class F>
    void parallelFor(Eigen::Index n, const Cost&, const F& f) const {
        std::vector<Eigen::Index> order(static_cast<std::size_t>(n));
        std::iota(order.begin(), order.end(), 0);
        for (std::size_t i = order.size(); i > 1; --i)
            std::swap(order[i - 1], order[static_cast<std::size_t>(r.between(0, long(i) - 1))]);
        std::vector<std::thread> pool;
        const std::uint64_t seed = r.bits();
        for (int t = 0; t < threads; ++t)
            pool.emplace_back([&, t] {
                random pause(seed + static_cast<std::uint64_t>(t));
                for (std::size_t i = static_cast<std::size_t>(t); i < order.size();
                     i += static_cast<std::size_t>(threads)) {
                    if (pause.chance(0.3)) std::this_thread::yield();
                    if (pause.chance(0.1))
                        std::this_thread::sleep_for(std::chrono::microseconds(pause.between(1, 60)));
                    f(order[i], order[i] + 1);
                }
            });
        for (auto& thread : pool) thread.join();
    }
};

}  // namespace support
