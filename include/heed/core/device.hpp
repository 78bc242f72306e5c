// SPDX-License-Identifier: MIT
// heed/core/device.hpp: many tasks over the threads of a device
//
// A device is anything with numThreads() and parallelFor(n, cost, f), f(first, last): an
// Eigen::ThreadPoolDevice, or heed::thread_pool. Each thread becomes one lane that takes task after task
// from a common counter, so a lane owns its scratch memory and an uneven load evens out. Which lane runs
// a task never changes its result.
//
// A callable's exception ends the lanes early and reaches the caller. A call from inside the device's own
// threads runs on that thread alone: waiting there for other threads could wait for ever.
#pragma once

#include <atomic>
#include <exception>
#include <mutex>

#include <heed/core/option.hpp>
#include <heed/core/tensor.hpp>

namespace heed::inline HEED_ABI {

template <class D>
concept device = requires(const D& d, void (*range)(index, index)) {
    { d.numThreads() } -> std::convertible_to<index>;
    d.parallelFor(index{1}, Eigen::TensorOpCost(0, 0, 1), range);
};

namespace detail {

// The device of a call, whatever its type: what runs on it is compiled once. By default this thread alone.
class device_ref {
public:
    device_ref() = default;
    template <class D>
    explicit device_ref(const D& d) : device_(&d), lanes_(&lanes_on<D>), run_(&run_on<D>) {}

    // How many lanes a call may use; one from inside the device's own threads.
    index lanes() const { return device_ == nullptr ? 1 : lanes_(device_); }
    // body(), on `lanes` threads at once.
    template <class Body>
    void run(index lanes, const Body& body) const {
        run_(device_, lanes, &body, [](const void* b) { (*static_cast<const Body*>(b))(); });
    }

private:
    using entry = void (*)(const void* body);

    template <class D>
    static index lanes_on(const void* device_) {
        const D& d = *static_cast<const D*>(device_);
        if constexpr (requires { d.currentThreadId(); }) {
            if (d.currentThreadId() >= 0) return 1;
        }
        const index n = static_cast<index>(d.numThreads());
        return n < 1 ? 1 : n;
    }
    // A cost large enough that every device gives each lane a thread of its own.
    template <class D>
    static void run_on(const void* device_, index lanes, const void* body, entry call) {
        static_cast<const D*>(device_)->parallelFor(lanes, Eigen::TensorOpCost(0, 0, 1e9),
                                                    [=](index, index) { call(body); });
    }

    const void* device_ = nullptr;
    index (*lanes_)(const void* device) = nullptr;
    void (*run_)(const void* device, index lanes, const void* body, entry call) = nullptr;
};

// body(lane, task) for every task in [0, tasks), on `lanes` threads of the device.
template <class Body>
void spread_tasks(device_ref d, index lanes, index tasks, const Body& body) {
    std::atomic<index> next{0};
    std::atomic<index> next_lane{0};
#if HEED_EXCEPTIONS
    std::exception_ptr thrown;
    std::mutex guard;
#endif
    d.run(lanes, [&] {
        const index lane = next_lane.fetch_add(1);
        if (lane >= lanes) return;
#if HEED_EXCEPTIONS
        try {
#endif
            for (index task = next.fetch_add(1); task < tasks; task = next.fetch_add(1)) body(lane, task);
#if HEED_EXCEPTIONS
        } catch (...) {
            next.store(tasks);
            const std::lock_guard<std::mutex> lock(guard);
            if (!thrown) thrown = std::current_exception();
        }
#endif
    });
#if HEED_EXCEPTIONS
    if (thrown) std::rethrow_exception(thrown);
#endif
}

// The same on `lanes` threads, or on this one.
template <class Body>
void for_each_task(device_ref d, index lanes, index tasks, const Body& body) {
    if (lanes > tasks) lanes = tasks;
    if (lanes > 1) return spread_tasks(d, lanes, tasks, body);
    for (index task = 0; task < tasks; ++task) body(index{0}, task);
}

struct on_option : option<option_kind::on> {
    device_ref used;
    explicit on_option(device_ref d) : used(d) {}
};

}  // namespace detail

// Run the call on this device's threads; the bits of the result do not depend on how many there are.
template <class D>
auto on(const D& d) {
    static_assert(device<D>,
                  "heed::on: needs an Eigen::ThreadPoolDevice, a heed::thread_pool, or anything with "
                  "numThreads() and parallelFor(n, cost, f)");
    return detail::on_option(detail::device_ref(d));
}
template <class D>
auto on(const D&& d) {
    static_assert(device<D>,
                  "heed::on: needs an Eigen::ThreadPoolDevice, a heed::thread_pool, or anything with "
                  "numThreads() and parallelFor(n, cost, f)");
    static_assert(!device<D>, "heed::on: the device is a temporary and would be gone; give it a name");
    return detail::on_option(detail::device_ref(d));
}

}  // namespace heed::inline HEED_ABI
