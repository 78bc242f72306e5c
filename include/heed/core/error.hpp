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
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

#include <heed/core/index.hpp>

namespace heed::inline HEED_ABI {

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

// A part of an error text: words or a number. Untyped, so that the text is put together in one place and
// a check costs its caller little code.
class text_piece {
public:
    text_piece(const char* text) : words_(text) {}
    text_piece(std::string_view text) : words_(text) {}
    template <std::integral Int>
    text_piece(Int number)
        : whole_(static_cast<long long>(number)), kind_(std::is_signed_v<Int> ? whole : natural) {}
    template <std::floating_point F>
    text_piece(F number) : real_(static_cast<double>(number)), kind_(real) {}

    void append_to(std::string& text) const {
        char digits[40];
        if (kind_ == words) {
            text += words_;
            return;
        }
        if (kind_ == whole)
            std::snprintf(digits, sizeof digits, "%lld", whole_);
        else if (kind_ == natural)
            std::snprintf(digits, sizeof digits, "%llu", static_cast<unsigned long long>(whole_));
        else
            std::snprintf(digits, sizeof digits, "%g", real_);
        text += digits;
    }

private:
    enum kind { words, whole, natural, real };
    std::string_view words_;
    long long whole_ = 0;
    double real_ = 0;
    kind kind_ = words;
};

// Throws "heed::function: pieces". Not a template: a check costs its caller a branch and a list.
[[noreturn]] HEED_NOINLINE inline void fail(std::string_view function,
                                            std::initializer_list<text_piece> pieces) {
    std::string text = "heed::";
    text += function;
    text += ": ";
    for (const text_piece& piece : pieces) piece.append_to(text);
    fail_text(text);
}

// product = a * b, b not negative; false where that does not fit.
inline bool fitting_product(index a, index b, index& product) {
#if HEED_VECTOR_EXTENSIONS
    return !__builtin_mul_overflow(a, b, &product);
#else
    const bool fits = a == 0 || b == 0 || (a <= PTRDIFF_MAX / b && a >= -(PTRDIFF_MAX / b));
    product = fits ? a * b : 0;
    return fits;
#endif
}

// a * b for sizes that are not negative; a product that does not fit is an error, never a wrap. What fits
// leaves room for elements of 16 bytes.
inline index checked_product(std::string_view function, index a, index b) {
    index product = 0;
    if (!fitting_product(a, b, product) || product > PTRDIFF_MAX / 16)
        fail(function, {"a product of extents, ", a, " x ", b, ", does not fit in memory"});
    return product;
}
// The same of any number; an empty tensor fits, however long its other axes are.
inline index checked_product(std::string_view function, std::initializer_list<index> extents) {
    index product = 1;
    for (const index extent : extents)
        if (extent == 0) return 0;
    for (const index extent : extents) product = checked_product(function, product, extent);
    return product;
}
// A value of an enumeration of so many, counted from 0.
template <class E>
void check_enumerator(std::string_view function, std::string_view argument, E value, int count) {
    const auto number = static_cast<long long>(value);
    if (!(number >= 0 && number < count))
        fail(function, {argument, " is ", number, ", needs one of its ", count, " enumerators"});
}

}  // namespace detail
}  // namespace heed::inline HEED_ABI
