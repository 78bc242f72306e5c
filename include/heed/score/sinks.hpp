// SPDX-License-Identifier: MIT
// heed/score/sinks.hpp: one logit per head that joins the denominator only
//
//     l = sum_k e^(s_k - m) + e^(sink - m)
//
// A row that sees no key has output 0 and log-sum-exp = the sink. Source: gpt-oss (attention sinks).
#pragma once

#include <heed/core/broadcast.hpp>
#include <heed/core/option.hpp>
#include <heed/core/overlap.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

template <class S>
struct sinks_option : option<option_kind::sinks> {
    table<const S> logits;
    explicit sinks_option(const table<const S>& t) : logits(t) {}
    auto content() const { return std::tie(logits); }
    const char* overlapped(const byte_span& output) const {
        return overlap(output, bytes_of(logits.data, logits.extents, logits.strides)) ? "sinks" : nullptr;
    }
    void validate(std::string_view function, const problem_shape& shape) const {
        if (logits.extents != std::array<index, 4>{1, 1, 1, shape.heads})
            fail(function, {"sinks has ", logits.extents[3], " numbers, needs one for each of the ",
                            shape.heads, " heads"});
    }
    double operator[](index head) const { return static_cast<double>(logits.data[head * logits.strides[3]]); }
};

}  // namespace detail

// One number per head: a tensor or vector, or a contiguous range. Keeps a reference to it.
template <class X>
auto sinks(X&& logits) {
    auto t = detail::number_table("sinks", std::forward<X>(logits));
    return detail::sinks_option<detail::element_t<decltype(t)>>(t);
}

}  // namespace heed::inline HEED_ABI
