// SPDX-License-Identifier: MIT
// heed/core/error.hpp: the one exception, and how its text is made
//
// A text names the function, the argument, what it got and what it needs:
//     heed::attention: v has 512 positions, k has 640
// Without exceptions the text goes to stderr and the program stops.
#pragma once

#include <concepts>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>

#include <heed/core/index.hpp>

namespace heed {
inline namespace HEED_ABI {

// Thrown when an argument breaks a precondition; nothing was written.
struct error : std::invalid_argument {
    using std::invalid_argument::invalid_argument;
};

namespace detail {

[[noreturn]] inline void fail_text(const std::string& text) {
#if HEED_EXCEPTIONS
    throw error(text);
#else
    std::fprintf(stderr, "%s\n", text.c_str());
    std::abort();
#endif
}

inline std::string piece(std::string_view text) {
    return std::string(text);
}
template <std::integral I>
std::string piece(I number) {
    return std::to_string(number);
}
template <std::floating_point F>
std::string piece(F number) {
    return std::to_string(number);
}

template <class... Pieces>
[[noreturn]] void fail(std::string_view function, const Pieces&... pieces) {
    std::string text = "heed::";
    text += function;
    text += ": ";
    ((text += piece(pieces)), ...);
    fail_text(text);
}

template <class... Pieces>
void require(bool holds, std::string_view function, const Pieces&... pieces) {
    if (!holds) fail(function, pieces...);
}

// a * b for sizes that are not negative; a product that does not fit is an error, never a wrap.
inline index checked_product(std::string_view function, index a, index b) {
    index product = 0;
#if HEED_VECTOR_EXTENSIONS
    const bool overflow = __builtin_mul_overflow(a, b, &product);
#else
    const bool overflow = a != 0 && b > PTRDIFF_MAX / a;
    product = overflow ? 0 : a * b;
#endif
    require(!overflow, function, "a product of extents, ", a, " x ", b, ", does not fit in memory");
    return product;
}

}  // namespace detail
}  // namespace HEED_ABI
}  // namespace heed
