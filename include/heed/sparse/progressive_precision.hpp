// SPDX-License-Identifier: MIT
// heed/sparse/progressive_precision.hpp: scores of few bits, and of more where attention is flat
//
//     heed::precision_report report;
//     y = heed::attention(q, k, v, heed::causal, heed::progressive_precision(0.1, report));
//
// Queries and keys become integers, row by row: x = step * n, step = max |x| / 119, n = 16 high + low, high
// of four bits and low of four. Scores are first made of the keys' high bits,
//
//     s = scale step_q step_k sum n_q 16 high_k
//
// and a row whose largest probability is then below the threshold, a flat one, is made again with the low
// bits added: there small differences decide, where one key dominates they do not. The query, read once for
// all keys, is in its eight bits both times. A threshold of 0 keeps every row at the high bits, 1 makes every
// row again whose largest probability is not 1 to the last bit. `report` says how many rows there were and
// how many were made again.
//
// Values stay as they are. Masks, score steps, logsumexp, weights, scores, sinks, dropout and devices work as
// in every call; what is written is of the last pass over a row, and a score function may be called twice for
// a score. The probability counts the sink, not the dropout. A query or a visible key with a NaN or an
// infinity has no step: rows that see it are NaN, no others.
//
// Accuracy: a key feature is wrong by at most step / 2 with all bits (0.0042 of the key's largest), 8.5 steps
// with the high ones (0.071).
//
// Cost: one row at a time; scores from one byte of a key a feature, two for rows made again; the keys are
// split once per call, into (batch, kv_head, key) rows of two bytes a feature and a step, in the workspace;
// scratch of 2 keys numbers a thread. It shows what few bits do to a result, and saves traffic where bytes
// are what counts. On a processor with wide float units it saves no time: at a threshold of 0.1, 512 queries
// and keys of 64 features take 3.7 times as long as exact attention, 2048 take 9 times (AVX-512).
//
// Source: SpAtten (arXiv 2012.09852), progressive quantisation; the range of 119 is TurboAttention's (arXiv
// 2412.08585).
#pragma once

#include <heed/attention.hpp>
#include <heed/kernel/sparse/precision_run.hpp>
#include <heed/select/concept.hpp>

namespace heed::inline HEED_ABI {

// What a call with progressive_precision did; each call writes it anew.
struct precision_report {
    index rows = 0;        // (batch, head, query)
    index recomputed = 0;  // of those, made again with all bits
    double share() const {
        return rows == 0 ? 0 : static_cast<double>(recomputed) / static_cast<double>(rows);
    }
};

namespace detail {

struct precision_option : selector_base {
    double threshold;
    precision_report* report;

    precision_option(double threshold_, precision_report* report_) : threshold(threshold_), report(report_) {}
    auto content() const { return std::tie(threshold); }

    template <class E>
    void validate(std::string_view function, const exact_inputs<E>&) const {
        if (!(threshold >= 0 && threshold <= 1))
            fail(function, {"progressive_precision has a threshold of ", threshold,
                            ", needs a probability from 0 to 1"});
    }
    template <class E, class M>
    void run(const exact_problem<E>& p, const M&, device_ref device, workspace& memory) const {
        const index again = run_precision(p, threshold, device, memory);
        if (report != nullptr) *report = {p.batch * p.heads * p.queries, again};
    }
};

}  // namespace detail

// Rows whose largest probability is below the threshold are made again with all bits.
inline detail::precision_option progressive_precision(double threshold) { return {threshold, nullptr}; }

// The same, and says how many they were.
template <class R>
auto progressive_precision(double threshold, R&& report) {
    static_assert(
        std::is_convertible_v<R, precision_report&>,
        "heed::progressive_precision: needs a heed::precision_report with a name that is not const; "
        "it is written");
    return detail::precision_option(threshold, &static_cast<precision_report&>(report));
}

}  // namespace heed::inline HEED_ABI
