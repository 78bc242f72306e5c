// SPDX-License-Identifier: MIT
// heed/layers/function_name.hpp: the name of a layer's method for an error text, put together by the compiler
#pragma once

#include <cstddef>
#include <string_view>

#include <heed/core/config.hpp>

namespace heed::inline HEED_ABI::detail {

// A literal as a template argument.
template <std::size_t N>
struct literal {
    char text[N]{};
    constexpr literal(const char (&from)[N]) {
        for (std::size_t i = 0; i < N; ++i) text[i] = from[i];
    }
};

template <std::size_t N, std::size_t M>
struct two_literals {
    char text[N + M - 1]{};
    constexpr two_literals(const literal<N>& first, const literal<M>& second) {
        for (std::size_t i = 0; i + 1 < N; ++i) text[i] = first.text[i];
        for (std::size_t i = 0; i < M; ++i) text[N - 1 + i] = second.text[i];
    }
};
template <literal Layer, literal Method>
inline constexpr two_literals method_name{Layer, Method};

// "encoder_layer" and "::forward" as one.
template <literal Layer, literal Method>
constexpr std::string_view function_name() {
    return {method_name<Layer, Method>.text, sizeof(method_name<Layer, Method>.text) - 1};
}

}  // namespace heed::inline HEED_ABI::detail
