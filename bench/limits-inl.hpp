// SPDX-License-Identifier: MIT
// bench/limits-inl.hpp: the loops that run a machine at its limits; included once per target region
//
// Needs, from the region: TARGET (a namespace name) and VECTOR_BYTES. Everything is written with
// vector extensions and explicit accumulators, because a plain -O2 build neither vectorises nor
// unrolls enough to saturate the units, and a peak that is too low flatters every share of it.

namespace heed_bench::TARGET {

template <class T>
using vec [[gnu::vector_size(VECTOR_BYTES)]] = T;

// Multiply-adds per second, in FLOP/s. Twelve independent chains cover latency x ports (4 x 2 or
// 5 x 2) on every x86 core; with the two factors they fit the 16 registers of SSE2.
template <class T>
[[gnu::noinline]] double multiply_add_rate(long rounds) {
    vec<T> a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11;
    a0 = a1 = a2 = a3 = a4 = a5 = a6 = a7 = a8 = a9 = a10 = a11 = vec<T>{} + T(1);
    vec<T> x = vec<T>{} + T(0.999);
    vec<T> y = vec<T>{} + T(1e-4);
    const auto start = std::chrono::steady_clock::now();
    for (long i = 0; i < rounds; ++i) {
        a0 = a0 * x + y;
        a1 = a1 * x + y;
        a2 = a2 * x + y;
        a3 = a3 * x + y;
        a4 = a4 * x + y;
        a5 = a5 * x + y;
        a6 = a6 * x + y;
        a7 = a7 * x + y;
        a8 = a8 * x + y;
        a9 = a9 * x + y;
        a10 = a10 * x + y;
        a11 = a11 * x + y;
        // Opaque to the optimiser, free for the machine: the chains stay chains.
        asm volatile(""
                     : VECTOR_OPERAND(a0), VECTOR_OPERAND(a1), VECTOR_OPERAND(a2), VECTOR_OPERAND(a3),
                       VECTOR_OPERAND(a4), VECTOR_OPERAND(a5), VECTOR_OPERAND(a6), VECTOR_OPERAND(a7));
        asm volatile("" : VECTOR_OPERAND(a8), VECTOR_OPERAND(a9), VECTOR_OPERAND(a10), VECTOR_OPERAND(a11));
    }
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    constexpr int lanes = VECTOR_BYTES / sizeof(T);
    return 12.0 * lanes * 2.0 * double(rounds) / time.count();
}

// Sums `bytes` of memory as `Streams` runs side by side, fetching `Ahead` bytes early (0: leave it to
// the hardware). Which of them is fastest differs from machine to machine, so the caller tries all.
template <int Streams, int Ahead>
[[gnu::noinline]] float read(const char* data, std::size_t bytes) {
    constexpr std::size_t lines = 4;  // cache lines a stream takes per step
    constexpr std::size_t vectors = 64 * lines / VECTOR_BYTES;
    const std::size_t run = bytes / Streams;
    vec<float> s0{}, s1{}, s2{}, s3{};
    for (std::size_t at = 0; at < run; at += 64 * lines)
        for (int stream = 0; stream < Streams; ++stream) {
            const char* p = data + std::size_t(stream) * run + at;
            if constexpr (Ahead > 0)
                for (std::size_t line = 0; line < lines; ++line) __builtin_prefetch(p + Ahead + 64 * line);
            const auto* v = reinterpret_cast<const vec<float>*>(p);
            for (std::size_t i = 0; i < vectors; i += 4) {
                s0 += v[i];
                s1 += v[i + 1];
                s2 += v[i + 2];
                s3 += v[i + 3];
            }
        }
    s0 += s1 + s2 + s3;
    float sum = 0;
    for (unsigned i = 0; i < VECTOR_BYTES / sizeof(float); ++i) sum += s0[i];
    return sum;
}

inline constexpr rates functions{
    &multiply_add_rate<float>,
    &multiply_add_rate<double>,
    {&read<1, 0>, &read<4, 0>, &read<8, 0>, &read<1, 1024>, &read<1, 4096>, &read<4, 512>, &read<4, 2048>},
};

}  // namespace heed_bench::TARGET
