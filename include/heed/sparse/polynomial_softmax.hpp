// SPDX-License-Identifier: MIT
// heed/sparse/polynomial_softmax.hpp: softmax with a polynomial in the place of the exponential
//
//     y_i = w(x_i - m) / sum_j w(x_j - m),    m = max x, over the last axis
//
//     auto p = heed::polynomial_softmax(x);                              the cubic of e^t on [-4, 0]
//     auto p = heed::polynomial_softmax(x, heed::table_exponential{});   table x cubic, cut at 6
//     heed::polynomial_softmax_into(p, x, heed::cubic_exponential{.clamp = 4});
//     auto dx = heed::polynomial_softmax_backward(dp, x);
//
// x is any tensor of attention (heed/core/tensor.hpp), rows along its last axis: scores (batch, head, query,
// key). p has its extents and may be x itself. Options: cubic_exponential, table_exponential
// (heed/sparse/exponential.hpp), on(device), use(workspace).
//
// A score of -inf gets +0; a row of nothing else is all +0. Weights of scores further below the largest than
// the clamp (the cut) are exactly 0: the result is sparse. NaN or +inf in a row makes that row NaN.
//
// Against softmax: a weight is wrong by at most d = max(E, e^-clamp), E the error of the polynomial (0.0143
// for the cubic, 0.0002 for the table). So y_i is wrong by at most (d + p_i D) / Z, where p is the softmax, Z
// the sum of the polynomial weights and D the sum of all weights' errors, at most d times the row's length:
// long flat rows lose most. What is lost below the clamp is e^-4 = 0.018 of the largest weight for each score
// there, e^-6 = 0.0025 with the table. Measured over rows of 64 normal scores of deviation 0.25 to 3: y_i is
// wrong by up to 0.098, with the table by up to 0.017.
//
// The backward takes the gradient through the maximum too (a rising maximum lowers every t), as the weights
// do not cancel it the way exponentials do: of equal largest scores the first gets it. Gradients of a row add
// up to 0, those of weights that are 0 are 0.
//
// Cost: two passes over a row forward, three backward, about a dozen (table: 30) operations an element; a row
// of scratch a thread. Sources: SAS of TurboAttention (arXiv 2412.08585) for clamp and table. Throws
// heed::error before anything is written; std::bad_alloc.
#pragma once

#include <heed/core/call.hpp>
#include <heed/kernel/sparse/polynomial.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

template <class T, class... Options>
exponential_numbers<T> exponential_of(std::string_view function, const Options&... options) {
    const auto& given = pick<option_kind::exponential>(options...);
    if constexpr (is_absent<decltype(given)>)
        return numbers_of_exponential<T>(function, cubic_exponential{});
    else
        return numbers_of_exponential<T>(function, given);
}

struct polynomial_call : call_base {
    HEED_CALL("polynomial_softmax", "y", "x", "", "it takes an exponential, on and use");
    static constexpr const char* replaces = "";
    static constexpr bool takes(option_kind kind) {
        return is_among(kind, {option_kind::exponential, option_kind::on, option_kind::use});
    }
    template <class T, class... Options>
    static void run(std::string_view function, call_memory& used, const view<T>& y, const view<const T>& x,
                    const Options&... options) {
        using E = storage_t<T>;
        using S = sum_t<T>;
        used.validate();
        const auto e = exponential_of<S>(function, options...);
        const auto leaf = polynomial_leaves_on_target<S>().forward[e.cut > 0];
        const row_conversions<E> convert = row_conversions_on_target<E>();
        const auto from = strided_of<E>(x);
        const auto to = strided_of<E>(y);
        const index n = x.features();
        for_each_row<S>(
            x.extents, 1,
            [&](index b, index h, index p, S* scratch) {
                const S* const row = read_row(convert, from, b, h, p, n, scratch);
                leaf(row, n, row_to_write(to, b, h, p, scratch), e);
                put_row(convert, to, b, h, p, n, scratch);
            },
            options...);
    }
};

struct polynomial_backward_call : polynomial_call {
    HEED_CALL("polynomial_softmax_backward", "dx", "x", "dy", "it takes an exponential, on and use");
    static constexpr const char* replaces = "dy";
    template <class T, class DY, class... Options>
    static void run(std::string_view function, call_memory& used, const view<T>& dx, const view<const T>& x,
                    const view<DY>& dy, const Options&... options) {
        using E = storage_t<T>;
        using S = sum_t<T>;
        used.validate();
        const auto e = exponential_of<S>(function, options...);
        const auto leaf = polynomial_leaves_on_target<S>().backward[e.cut > 0];
        const row_conversions<E> convert = row_conversions_on_target<E>();
        const auto from = strided_of<E>(x);
        const stored_or_sum<const E, const S> gradient = stored_or_sum_of<T>(dy);
        const auto to = strided_of<E>(dx);
        const index n = x.features();
        const index row = rounded_up(n, 64 / static_cast<index>(sizeof(S)));
        for_each_row<S>(
            x.extents, 3,
            [&](index b, index h, index p, S* scratch) {
                const S* const scores = read_row(convert, from, b, h, p, n, scratch);
                const S* const g = read_row(convert, gradient, b, h, p, n, scratch + row);
                leaf(g, scores, n, row_to_write(to, b, h, p, scratch + row), scratch + 2 * row, e);
                put_row(convert, to, b, h, p, n, scratch + row);
            },
            options...);
    }
};

}  // namespace detail

// Writes y, which may be x itself.
template <class Y, class X, class... Options>
void polynomial_softmax_into(Y&& y, const X& x, const Options&... options) {
    detail::write_result(detail::polynomial_call{}, detail::tensors(std::forward<Y>(y)), detail::tensors(x),
                         options...);
}

// A new tensor of x's kind.
template <class X, class... Options>
auto polynomial_softmax(const X& x, const Options&... options) {
    return detail::make_result(detail::polynomial_call{}, detail::tensors(x), options...);
}

// Writes the gradient of x; dy is that of the weights, of x's type or, where that is half or bfloat16, float.
// dx may be dy itself.
template <class DX, class DY, class X, class... Options>
void polynomial_softmax_backward_into(DX&& dx, const DY& dy, const X& x, const Options&... options) {
    detail::write_result(detail::polynomial_backward_call{}, detail::tensors(std::forward<DX>(dx)),
                         detail::tensors(x, dy), options...);
}

// A new tensor of x's kind.
template <class DY, class X, class... Options>
auto polynomial_softmax_backward(const DY& dy, const X& x, const Options&... options) {
    return detail::make_result(detail::polynomial_backward_call{}, detail::tensors(x, dy), options...);
}

}  // namespace heed::inline HEED_ABI
