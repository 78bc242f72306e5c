// SPDX-License-Identifier: MIT
// heed/simd/compile_once.hpp: for programs of many units, code that only one of them compiles
//
// A unit compiles the leaves it uses for every target and the walks that call them, and that is a good part
// of its time. With -DHEED_COMPILE_ONCE it only names them, and one unit more of the program, with the same
// flags,
//
//     #define HEED_COMPILE_HERE
//     #include <heed/heed.hpp>
//
// compiles them, for all element types. Several can share that work: what a unit includes in front of
// simd/compile_here.hpp it names, what is new behind it, it compiles (tests/support/leaves_others.cpp).
// Neither depends on a call's options, so the code is the same. A unit whose flags differ has other names
// (core/config.hpp) and would not link: it compiles its own.
#pragma once

#if defined(HEED_COMPILE_HERE)
#define HEED_ONCE_KEYWORD
#else
#define HEED_ONCE_KEYWORD extern
#endif
#if defined(HEED_COMPILE_HERE) || defined(HEED_COMPILE_ONCE)
#define HEED_ONCE(...) HEED_ONCE_KEYWORD template __VA_ARGS__
#else
#define HEED_ONCE(...) static_assert(true)
#endif

// f<E> gives leaves, or runs a call, whose arguments follow from E: for every type that sums are kept in, or
// that elements are stored in (core/element.hpp).
#define HEED_ONCE_FOR_SUMS(f)               \
    HEED_ONCE(decltype(f<float>) f<float>); \
    HEED_ONCE(decltype(f<double>) f<double>)
#define HEED_ONCE_FOR_ELEMENTS(f)                   \
    HEED_ONCE_FOR_SUMS(f);                          \
    HEED_ONCE(decltype(f<half_bits>) f<half_bits>); \
    HEED_ONCE(decltype(f<bfloat16_bits>) f<bfloat16_bits>)
