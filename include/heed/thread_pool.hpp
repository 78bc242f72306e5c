// SPDX-License-Identifier: MIT
// heed/thread_pool.hpp: a plain std::thread executor, for programs that have no Eigen::ThreadPoolDevice
//
//     heed::thread_pool pool(4);
//     heed::attention_into(y, q, k, v, heed::on(pool));
//
// Any number of threads may call into one pool; a call from inside the pool runs on the calling thread.
// The caller works too: a pool of n has n - 1 threads of its own. Needs the platform's thread library.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

#include <heed/core/error.hpp>

namespace heed {
inline namespace HEED_ABI {

class thread_pool {
public:
    // threads >= 1, the caller included, or 0 where their number is not known: one. Throws heed::error for
    // a negative number, std::system_error when none can start.
    explicit thread_pool(int threads = static_cast<int>(std::thread::hardware_concurrency())) {
        if (threads == 0) threads = 1;  // hardware_concurrency() may not know
        if (threads <= 0) detail::fail("thread_pool", {"got ", threads, " threads, needs at least 1"});
        threads_.reserve(static_cast<std::size_t>(threads - 1));
#if HEED_EXCEPTIONS
        try {
#endif
            for (int id = 1; id < threads; ++id) threads_.emplace_back([this, id] { serve(id); });
#if HEED_EXCEPTIONS
        } catch (...) {
            stop();
            throw;
        }
#endif
    }
    thread_pool(const thread_pool&) = delete;
    thread_pool& operator=(const thread_pool&) = delete;
    ~thread_pool() { stop(); }

    int numThreads() const noexcept { return static_cast<int>(threads_.size()) + 1; }

    // The pool thread this is called from, 1 …, or -1 outside the pool.
    int currentThreadId() const noexcept {
        for (std::size_t i = 0; i < threads_.size(); ++i)
            if (threads_[i].get_id() == std::this_thread::get_id()) return static_cast<int>(i) + 1;
        return -1;
    }

    // f(i, i + 1) for every i in [0, n), in any order, each once; returns when all are done. f must not
    // throw. The cost is taken for Eigen's signature and not used: every i is a task of its own.
    template <class Cost, class F>
    void parallelFor(std::ptrdiff_t n, const Cost&, const F& f) const {
        if (n <= 0) return;
        if (n == 1 || threads_.empty() || currentThreadId() >= 0) {
            for (std::ptrdiff_t i = 0; i < n; ++i) f(i, i + 1);
            return;
        }
        job work{[](const void* g, std::ptrdiff_t i) { (*static_cast<const F*>(g))(i, i + 1); }, &f, n};
        run(work);
    }

private:
    // A call in progress; lives on the caller's stack, linked into the pool's list while it has tasks.
    struct job {
        void (*call)(const void*, std::ptrdiff_t);
        const void* body;
        std::ptrdiff_t count;
        std::ptrdiff_t next = 0;
        std::ptrdiff_t finished = 0;
        job* following = nullptr;
    };

    void run(job& work) const {
        std::unique_lock<std::mutex> lock(mutex_);
        work.following = jobs_;
        jobs_ = &work;
        wake_.notify_all();
        while (work.next < work.count) step(work, lock);
        done_.wait(lock, [&] { return work.finished == work.count; });
    }

    // Takes one task of a job, runs it unlocked, counts it.
    void step(job& work, std::unique_lock<std::mutex>& lock) const {
        const std::ptrdiff_t task = work.next++;
        if (work.next == work.count) unlink(work);
        lock.unlock();
        work.call(work.body, task);
        lock.lock();
        if (++work.finished == work.count) done_.notify_all();
    }

    void unlink(const job& work) const {
        job** link = &jobs_;
        while (*link != &work) link = &(*link)->following;
        *link = work.following;
    }

    void serve(int) const {
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            wake_.wait(lock, [&] { return stopping_ || jobs_ != nullptr; });
            if (jobs_ == nullptr) return;
            step(*jobs_, lock);
        }
    }

    void stop() noexcept {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            stopping_ = true;
        }
        wake_.notify_all();
        for (std::thread& thread : threads_) thread.join();
        threads_.clear();
    }

    std::vector<std::thread> threads_;
    mutable std::mutex mutex_;
    mutable std::condition_variable wake_;
    mutable std::condition_variable done_;
    mutable job* jobs_ = nullptr;
    bool stopping_ = false;
};

}  // namespace HEED_ABI
}  // namespace heed
