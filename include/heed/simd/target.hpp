// SPDX-License-Identifier: MIT
// heed/simd/target.hpp: the instruction sets heed is compiled for, and the choice among them at run time
//
//     avx512     x86-64 with AVX-512 F, BW, DQ, VL          avx2    x86-64 with AVX2, FMA, F16C
//     baseline   SSE2 on x86-64, NEON on AArch64            portable   plain loops, any compiler
//
// Every kernel is compiled once for each; the best one the processor has is taken. HEED_TARGET in the
// environment caps the choice (HEED_TARGET=avx2); unset or empty means the best. Defining
// HEED_STATIC_TARGET (=avx2, say) compiles that one alone, for build time; the program then needs it.
#pragma once

#include <cstdlib>
#include <string_view>

#include <heed/core/error.hpp>

// Levels, so that a target named by a macro can be compared by the preprocessor.
#define HEED_LEVEL_portable 1
#define HEED_LEVEL_baseline 2
#define HEED_LEVEL_avx2 3
#define HEED_LEVEL_avx512 4

#if HEED_VECTOR_EXTENSIONS && (defined(__x86_64__) || defined(__aarch64__))
#define HEED_HAS_BASELINE 1
#else
#define HEED_HAS_BASELINE 0
#endif
#if HEED_VECTOR_EXTENSIONS && defined(__x86_64__)
#define HEED_HAS_X86 1
#else
#define HEED_HAS_X86 0
#endif

#ifdef HEED_STATIC_TARGET
#define HEED_STATIC_LEVEL HEED_JOIN(HEED_LEVEL_, HEED_STATIC_TARGET)
#define HEED_COMPILES(level) (HEED_STATIC_LEVEL == (level))
#else
#define HEED_COMPILES(level) 1
#endif

#define HEED_COMPILES_PORTABLE HEED_COMPILES(HEED_LEVEL_portable)
#define HEED_COMPILES_BASELINE (HEED_HAS_BASELINE && HEED_COMPILES(HEED_LEVEL_baseline))
#define HEED_COMPILES_AVX2 (HEED_HAS_X86 && HEED_COMPILES(HEED_LEVEL_avx2))
#define HEED_COMPILES_AVX512 (HEED_HAS_X86 && HEED_COMPILES(HEED_LEVEL_avx512))

// The best of those that are compiled.
#if HEED_COMPILES_AVX512
#define HEED_BEST_LEVEL HEED_LEVEL_avx512
#elif HEED_COMPILES_AVX2
#define HEED_BEST_LEVEL HEED_LEVEL_avx2
#elif HEED_COMPILES_BASELINE
#define HEED_BEST_LEVEL HEED_LEVEL_baseline
#else
#define HEED_BEST_LEVEL HEED_LEVEL_portable
#endif

#if HEED_HAS_X86
#include <cpuid.h>
#endif

namespace heed::inline HEED_ABI {

enum class target { portable = 1, baseline = 2, avx2 = 3, avx512 = 4 };

inline std::string_view name(target t) {
    switch (t) {
        case target::avx512:
            return "avx512";
        case target::avx2:
            return "avx2";
        case target::baseline:
            return "baseline";
        default:
            return "portable";
    }
}

namespace detail {

// What the processor and the operating system allow. CPUID is read here because the compilers'
// __builtin_cpu_supports know different names.
inline target best_target() {
#if HEED_HAS_X86
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;
    if (!__get_cpuid_count(1, 0, &a, &b, &c, &d)) return target::baseline;
    const unsigned fma = 1u << 12;
    const unsigned osxsave = 1u << 27;
    const unsigned f16c = 1u << 29;
    if ((c & fma) == 0 || (c & osxsave) == 0 || (c & f16c) == 0) return target::baseline;
    unsigned low = 0;
    unsigned high = 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    if ((low & 0x06) != 0x06) return target::baseline;  // the system keeps the ymm registers
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return target::baseline;
    if ((b & (1u << 5)) == 0) return target::baseline;
    const unsigned avx512 = (1u << 16) | (1u << 17) | (1u << 30) | (1u << 31);  // F, DQ, BW, VL
    const bool zmm = (low & 0xe6) == 0xe6;
    return zmm && (b & avx512) == avx512 ? target::avx512 : target::avx2;
#elif HEED_HAS_BASELINE
    return target::baseline;
#else
    return target::portable;
#endif
}

inline target capped_target() {
#ifdef HEED_STATIC_TARGET
    const auto only = static_cast<target>(HEED_STATIC_LEVEL);
    if (only > best_target())
        fail("active_target", {"this program was compiled for ", name(only), " alone, the processor has ",
                               name(best_target())});
    return only;
#else
    const target best = best_target();
    const char* const variable = std::getenv("HEED_TARGET");
    const std::string_view wanted = variable == nullptr ? std::string_view() : std::string_view(variable);
    if (wanted.empty()) return best;
    for (const target t : {target::portable, target::baseline, target::avx2, target::avx512})
        if (wanted == name(t)) return t < best ? t : best;
    fail("active_target", {"HEED_TARGET is '", wanted, "', needs one of avx512, avx2, baseline, portable"});
#endif
}

}  // namespace detail

// The target that calls of this program run on, fixed at the first one. Throws heed::error when
// HEED_TARGET names none.
inline target active_target() {
    static const target chosen = detail::capped_target();
    return chosen;
}

}  // namespace heed::inline HEED_ABI
