// SPDX-License-Identifier: MIT
// heed/layers/cross_entropy.hpp: the loss of a classifier or language model, and its gradient
//
//     loss = mean over rows of -ln softmax(logits)[target]
//
//     const double loss = heed::cross_entropy(logits, targets);
//     const double loss = heed::cross_entropy(logits, targets, d_logits);       d_logits = d loss / d logits
//
// logits (…, position, classes) of float or double; targets one whole number for each row, in any contiguous
// range; one below 0 is ignored: its row counts for nothing and its gradient is 0. Without a target that
// counts the loss is 0. In nats. d_logits may be the logits themselves. Options: on(device), use(workspace).
//
// A logit of -inf is a class without probability. The largest logit of a row is taken off first, so that
// nothing overflows. Sums of a row are kept in the logits' type, those over rows in double.
//
// Cost: one exponential a logit. Memory: a number for each row. The same bits for any number of threads.
// Throws heed::error before anything is written.
#pragma once

#include <cmath>

#include <heed/core/numbers.hpp>
#include <heed/kernel/layers/row_blocks.hpp>
#include <heed/layers/projection.hpp>
#include <heed/layers/rows.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

template <class Int>
index counted_targets(std::string_view function, const number_span<Int>& targets, index rows, index classes) {
    if (targets.size != rows)
        fail(function, {"targets has ", targets.size, " numbers, logits has ", rows, " rows"});
    index counted = 0;
    for (index i = 0; i < rows; ++i) {
        if (!targets.within(i, PTRDIFF_MIN, classes - 1))
            fail(function, {"targets[", i, "] is ", text_piece(targets.data[i]), ", needs a class below ",
                            classes, ", or a negative number to ignore the row"});
        counted += targets[i] >= 0;
    }
    return counted;
}

template <class T, class Int, class... Options>
double softmax_loss(std::string_view function, const dense_rows<const T>& logits,
                    const number_span<Int>& targets, T* d, const Options&... options) {
    const index rows = logits.rows();
    const index classes = logits.width;
    const index counted = counted_targets(function, targets, rows, classes);
    if (d != nullptr && counted == 0) clear(d, rows * classes);
    if (counted == 0) return 0;
    workspace own;
    double* const losses = static_cast<double*>(
        workspace_of(own, options...).reserve(static_cast<std::size_t>(rows) * sizeof(double)));
    const auto leaf = softmax_loss_on_target<T>();
    const T share = static_cast<T>(1 / static_cast<double>(counted));
    for_each_row_block(device_of(options...), rows, classes, [&](index first, index count) {
        for (index r = first; r < first + count; ++r) {
            const T* const x = logits.data + r * classes;
            T* const to = d == nullptr ? nullptr : d + r * classes;
            losses[r] = 0;
            if (targets[r] < 0) {
                if (to != nullptr) clear(to, classes);
                continue;
            }
            const double at_target = static_cast<double>(x[targets[r]]);
            T largest, sum;
            leaf(x, classes, targets[r], share, to, largest, sum);
            losses[r] = std::log(static_cast<double>(sum)) + (static_cast<double>(largest) - at_target);
        }
    });
    double total = 0;
    for (index r = 0; r < rows; ++r) total += losses[r];
    return total / static_cast<double>(counted);
}

template <class T>
constexpr bool checked_logit_type() {
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>,
                  "heed::cross_entropy: logits are float or double");
    return true;
}

}  // namespace detail

// The mean loss in nats.
template <class Logits, class Targets, class... Options>
requires(!detail::begins_with_tensor<Options...> && detail::only_resources<Options...>())
double cross_entropy(const Logits& logits, const Targets& targets, const Options&... options) {
    using T = detail::element_of_argument<const Logits>;
    static_assert(detail::checked_logit_type<T>());
    static_assert(detail::integers<Targets>,
                  "heed::cross_entropy: targets are whole numbers in a vector, span or tensor");
    constexpr const char* function = "cross_entropy";
    return detail::softmax_loss<T>(function, detail::rows_of<const T>(function, "logits", logits),
                                   detail::span_of(targets), static_cast<T*>(nullptr), options...);
}
// The same, and d_logits is written.
template <class Logits, class Targets, class D, class... Options>
requires(detail::has_elements<D> && detail::only_resources<Options...>())
double cross_entropy(const Logits& logits, const Targets& targets, D&& d_logits, const Options&... options) {
    using T = detail::element_of_argument<const Logits>;
    static_assert(detail::checked_logit_type<T>());
    static_assert(detail::integers<Targets>,
                  "heed::cross_entropy: targets are whole numbers in a vector, span or tensor");
    constexpr const char* function = "cross_entropy";
    const auto x = detail::rows_of<const T>(function, "logits", logits);
    const auto d = detail::written_rows<T, D>(function, "d_logits", d_logits);
    detail::check_like(function, "d_logits", d, "logits", x, x.width);
    const auto span = detail::span_of(targets);
    detail::call_memory used(function);
    used.reads("logits", x.bytes());
    used.reads("targets", detail::bytes_of(span.data, {1, 1, 1, span.size}, {0, 0, 0, 1}));
    used.replaces("d_logits", d.bytes(), "logits");
    used.validate();
    return detail::softmax_loss<T>(function, x, span, d.data, options...);
}

}  // namespace heed::inline HEED_ABI
