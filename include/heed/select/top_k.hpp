// SPDX-License-Identifier: MIT
// heed/select/top_k.hpp: each query keeps its best keys
//
//     auto y = heed::attention(q, k, v, heed::causal, heed::top_k(64));              the 64 best
//     auto y = heed::attention(q, k, v, heed::causal, heed::top_fraction(0.25));     the best quarter
//     auto y = heed::attention(q, k, v, heed::causal, heed::hard_attention());       the best one, weight 1
//
// Of the keys that are visible to a query, those with the largest scores stay, and the softmax is over
// them: as if a mask hid the others. Scores are compared as they enter the softmax, after scale, softcap,
// score functions and biases. Of equal scores the lowest keys stay, +0 and -0 being equal; NaN counts as
// largest, so that it reaches the row. A row that sees fewer keys than are asked for keeps all of them.
//
// Cost: all scores, 2 queries keys features flops; 1 ns for four of them to choose; and the values of the
// kept keys alone. Scratch: kernel/rows/run.hpp.
//
// Backward: heed::attention_backward with the same options chooses once more, to the bit, and takes the
// choice for constant. It costs the scores and the choice again, and the backward under a mask of single
// pairs: a tile of 64 x 64 pairs is left out where none of them is kept. Memory: a bit for each score, keys
// / 8 bytes a query and head (8 MiB a head for 8192 queries and keys), from workspace::part::selection.
#pragma once

#include <heed/core/numbers.hpp>
#include <heed/kernel/rows/key_bits.hpp>
#include <heed/kernel/select/threshold.hpp>
#include <heed/select/concept.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

// The k best of a row.
template <class T>
index keep_best(score_row<T>& row, index k) {
    const threshold<T> t = find_threshold(row.leaf, row.scores, row.count, k, row.visible, row.scratch);
    return emit_chosen(row.leaf, t, row.scores, 0, row.count, static_cast<std::int32_t>(row.first), row.keys,
                       row.scores, row.count + select_slack);
}

// ceil(fraction * visible), at least one. A product that only rounding lifts over a whole number stays.
inline index share_of(double fraction, index visible) {
    const double product = fraction * static_cast<double>(visible);
    const index k = static_cast<index>(std::ceil(product - product * 0x1p-48));
    return k < 1 ? 1 : k < visible ? k : visible;
}

inline void check_fraction(std::string_view function, std::string_view selector, double fraction) {
    if (!(fraction > 0 && fraction <= 1))
        fail(function, {selector, " is given the fraction ", fraction, ", needs one above 0 and up to 1"});
}

// What selectors by rows of scores have in common: Self chooses in a row.
template <class Self>
struct row_selector : selector_base {
    template <class E, class M>
    void run(const exact_problem<E>& p, const M&, device_ref device, workspace& memory) const {
        run_rows(p, self(), softmax_weights{}, device, memory);
    }
    template <class E>
    key_bits keep(const exact_problem<E>& p, device_ref device, workspace& memory) const {
        return key_bits_of(p, self(), device, memory);
    }

private:
    const Self& self() const { return static_cast<const Self&>(*this); }
};

struct top_k_option : row_selector<top_k_option> {
    index k;
    explicit top_k_option(index n) : k(n) {}
    auto content() const { return std::tie(k); }
    template <class E>
    void validate(std::string_view function, const exact_inputs<E>&) const {
        if (k < 1) fail(function, {"top_k is given ", k, " keys, needs at least 1"});
    }
    template <class T>
    index choose(score_row<T>& row) const {
        return keep_best(row, k);
    }
};

struct top_fraction_option : row_selector<top_fraction_option> {
    double fraction;
    explicit top_fraction_option(double share) : fraction(share) {}
    auto content() const { return std::tie(fraction); }
    template <class E>
    void validate(std::string_view function, const exact_inputs<E>&) const {
        check_fraction(function, "top_fraction", fraction);
    }
    template <class T>
    index choose(score_row<T>& row) const {
        return keep_best(row, share_of(fraction, row.visible));
    }
};

}  // namespace detail

// The k best of the keys a query sees; k >= 1.
template <class K>
auto top_k(const K& k) {
    static_assert(detail::whole_number<K>,
                  "heed::top_k: needs a whole number of keys; a share of them is heed::top_fraction(0.25)");
    if constexpr (detail::whole_number<K>) return detail::top_k_option(detail::index_of(k));
}

// The best share of the keys a query sees: max(1, ceil(fraction * visible)); 0 < fraction <= 1.
template <class F>
auto top_fraction(const F& fraction) {
    static_assert(std::is_arithmetic_v<F>,
                  "heed::top_fraction: needs a number above 0 and up to 1, the share of keys that stays");
    if constexpr (std::is_arithmetic_v<F>) return detail::top_fraction_option(static_cast<double>(fraction));
}

// The best key alone: its value is the output.
inline auto hard_attention() { return detail::top_k_option(1); }

}  // namespace heed::inline HEED_ABI
