// SPDX-License-Identifier: MIT
// bench/limits.cpp: chooses the widest loops of limits-inl.hpp and runs them
#include "limits.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <thread>
#include <vector>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace heed_bench {
namespace {

constexpr int ways = 7;  // to read memory

struct rates {
    double (*float_rate)(long rounds);
    double (*double_rate)(long rounds);
    float (*read[ways])(const char* data, std::size_t bytes);
};

}  // namespace
}  // namespace heed_bench

#if defined(__x86_64__)

#define VECTOR_OPERAND(a) "+v"(a)

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512vl,avx512bw"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512vl,avx512bw")
#endif
#define TARGET avx512
#define VECTOR_BYTES 64
#include "limits-inl.hpp"
#undef TARGET
#undef VECTOR_BYTES
#ifdef __clang__
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
#define TARGET avx2
#define VECTOR_BYTES 32
#include "limits-inl.hpp"
#undef TARGET
#undef VECTOR_BYTES
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#define TARGET baseline
#define VECTOR_BYTES 16
#include "limits-inl.hpp"

#else

#define VECTOR_OPERAND(a) "+w"(a)
#define TARGET baseline
#define VECTOR_BYTES 16
#include "limits-inl.hpp"

#endif

namespace heed_bench {
namespace {

struct choice {
    const char* name;
    const rates* functions;
};

choice widest() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
        return {"avx512", &avx512::functions};
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return {"avx2", &avx2::functions};
    return {"sse2", &baseline::functions};
#else
    return {"neon", &baseline::functions};
#endif
}

double seconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Calls part(i) on `threads` threads at once and waits for all.
template <class Part>
void together(int threads, Part part) {
    std::vector<std::thread> others;
    for (int i = 1; i < threads; ++i) others.emplace_back(part, i);
    part(0);
    for (auto& other : others) other.join();
}

double peak(double (*rate)(long), int threads) {
    std::vector<double> best(std::size_t(threads), 0.0);
    constexpr long rounds = 200'000;  // 1-3 ms: short enough to fall between two interruptions
    together(threads, [&](int thread) {
        for (int repeat = 0; repeat < 6; ++repeat)
            best[std::size_t(thread)] = std::max(best[std::size_t(thread)], rate(rounds));
    });
    double sum = 0;
    for (double one : best) sum += one;
    return sum;
}

}  // namespace

std::string limits_target() { return widest().name; }
double float_peak(int threads) { return peak(widest().functions->float_rate, threads); }
double double_peak(int threads) { return peak(widest().functions->double_rate, threads); }

struct read_bandwidth::buffer {
    static constexpr std::size_t bytes = std::size_t(512) << 20;
    static constexpr std::size_t beyond = 4096;  // prefetches may point past the end, harmlessly
    char* data;

    explicit buffer(pages kind)
        : data(static_cast<char*>(std::aligned_alloc(std::size_t(2) << 20, bytes + (std::size_t(2) << 20)))) {
        if (data == nullptr) throw std::bad_alloc();
#ifdef __linux__
        if (kind == pages::large) madvise(data, bytes, MADV_HUGEPAGE);
#else
        (void)kind;
#endif
        std::fill(data, data + bytes + beyond, char(1));
    }
    ~buffer() { std::free(data); }
};

read_bandwidth::read_bandwidth(pages kind) : buffer_(std::make_unique<buffer>(kind)) {}
read_bandwidth::~read_bandwidth() = default;

double read_bandwidth::measure(int threads) {
    const rates& functions = *widest().functions;
    // Whole steps of every way: 8 streams of 4 cache lines.
    const std::size_t share = buffer::bytes / std::size_t(threads) / 8192 * 8192;
    const auto once = [&](int way) {
        std::vector<float> sums(std::size_t(threads), 0.0f);
        const auto start = std::chrono::steady_clock::now();
        together(threads, [&](int thread) {
            sums[std::size_t(thread)] =
                functions.read[way](buffer_->data + std::size_t(thread) * share, share);
        });
        const double time = seconds_since(start);
        volatile float sink = sums[0];  // the reads must happen
        (void)sink;
        return double(share) * threads / time;
    };
    double best = 0;
    const auto better = [&](int way) {
        const double rate = once(way);
        if (rate > best) {
            best = rate;
            best_way_ = way;
        }
    };
    if (best_way_ < 0)
        for (int repeat = 0; repeat < 2; ++repeat)
            for (int way = 0; way < ways; ++way) better(way);
    const int way = best_way_;
    for (int repeat = 0; repeat < 4; ++repeat) better(way);
    return best;
}

}  // namespace heed_bench
