// SPDX-License-Identifier: MIT
// heed/thread_pool.hpp: a plain std::thread executor, for programs that have no Eigen::ThreadPoolDevice
//
//     heed::thread_pool pool(4);
//     heed::attention_into(y, q, k, v, heed::on(pool));
//
// Any number of threads may call into one pool; a call from inside the pool runs on the calling thread.
// The caller works too: a pool of n has n - 1 threads of its own. Needs the platform's thread library.
//
// A process that forks has the pool, but none of its threads, in the child: there a call runs on the calling
// thread, and the end of the pool waits for nobody (what it holds is left to the end of the process).
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#define HEED_HAS_FORK 1
#include <unistd.h>
#else
#define HEED_HAS_FORK 0
#endif

#include <heed/core/error.hpp>

namespace heed::inline HEED_ABI {

class thread_pool {
public:
    // threads >= 1, the caller included, or 0 where their number is not known: one. Throws heed::error for
    // a negative number, std::system_error when none can start.
    explicit thread_pool(int threads = static_cast<int>(std::thread::hardware_concurrency()))
        : shared_(std::make_unique<shared>()) {
        if (threads == 0) threads = 1;  // hardware_concurrency() may not know
        if (threads <= 0) detail::fail("thread_pool", {"got ", threads, " threads, needs at least 1"});
        shared_->threads.reserve(static_cast<std::size_t>(threads - 1));
#if HEED_EXCEPTIONS
        try {
#endif
            for (int id = 1; id < threads; ++id)
                shared_->threads.emplace_back([all = shared_.get()] { all->serve(); });
#if HEED_EXCEPTIONS
        } catch (...) {
            shared_->stop();
            throw;
        }
#endif
    }
    thread_pool(const thread_pool&) = delete;
    thread_pool& operator=(const thread_pool&) = delete;
    ~thread_pool() {
        if (has_threads())
            shared_->stop();
        else  // a mutex that a lost thread may hold, conditions that wait for it: not even destroyed
            static_cast<void>(shared_.release());
    }

    int numThreads() const noexcept {
        return has_threads() ? static_cast<int>(shared_->threads.size()) + 1 : 1;
    }

    // The pool thread this is called from, 1 …, or -1 outside the pool.
    int currentThreadId() const noexcept {
        const std::vector<std::thread>& threads = shared_->threads;
        for (std::size_t i = 0; i < threads.size(); ++i)
            if (threads[i].get_id() == std::this_thread::get_id()) return static_cast<int>(i) + 1;
        return -1;
    }

    // f(i, i + 1) for every i in [0, n), in any order, each once; returns when all are done. f must not
    // throw. The cost is taken for Eigen's signature and not used: every i is a task of its own.
    template <class Cost, class F>
    void parallelFor(std::ptrdiff_t n, const Cost&, const F& f) const {
        if (n <= 0) return;
        if (n == 1 || shared_->threads.empty() || currentThreadId() >= 0 || !has_threads()) {
            for (std::ptrdiff_t i = 0; i < n; ++i) f(i, i + 1);
            return;
        }
        job work{[](const void* g, std::ptrdiff_t i) { (*static_cast<const F*>(g))(i, i + 1); }, &f, n};
        shared_->run(work);
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

    // What the threads work with; stands apart from the pool so that a forked child can leave it alone.
    struct shared {
        void run(job& work) {
            std::unique_lock<std::mutex> lock(mutex);
            work.following = jobs;
            jobs = &work;
            wake.notify_all();
            while (work.next < work.count) step(work, lock);
            done.wait(lock, [&] { return work.finished == work.count; });
        }

        // Takes one task of a job, runs it unlocked, counts it.
        void step(job& work, std::unique_lock<std::mutex>& lock) {
            const std::ptrdiff_t task = work.next++;
            if (work.next == work.count) unlink(work);
            lock.unlock();
            work.call(work.body, task);
            lock.lock();
            if (++work.finished == work.count) done.notify_all();
        }

        void unlink(const job& work) {
            job** link = &jobs;
            while (*link != &work) link = &(*link)->following;
            *link = work.following;
        }

        void serve() {
            std::unique_lock<std::mutex> lock(mutex);
            for (;;) {
                wake.wait(lock, [&] { return stopping || jobs != nullptr; });
                if (jobs == nullptr) return;
                step(*jobs, lock);
            }
        }

        void stop() noexcept {
            {
                const std::lock_guard<std::mutex> lock(mutex);
                stopping = true;
            }
            wake.notify_all();
            for (std::thread& thread : threads) thread.join();
            threads.clear();
        }

        std::vector<std::thread> threads;
        std::mutex mutex;
        std::condition_variable wake;
        std::condition_variable done;
        job* jobs = nullptr;
        bool stopping = false;
    };

    // Is this the process that started the threads?
#if HEED_HAS_FORK
    bool has_threads() const noexcept { return shared_->threads.empty() || ::getpid() == owner_; }
    const ::pid_t owner_ = ::getpid();
#else
    bool has_threads() const noexcept { return true; }
#endif
    std::unique_ptr<shared> shared_;
};

}  // namespace heed::inline HEED_ABI
