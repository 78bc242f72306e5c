// SPDX-License-Identifier: MIT
// tests/support/kept_gradient.hpp: the backward over the keys that a selector keeps in each row of scores
//
// By the oracle, and to the bit by the same choice written out as a mask.
#pragma once

#include <heed/sparse.hpp>

#include "attention_gradient_call.hpp"
#include "choice.hpp"

namespace support {

inline void make_causal(reference::problem& p) {
    const long offset = p.keys - p.queries;
    p.visible = [offset](reference::place i) { return i.key <= i.query + offset; };
}
// For keep_only.
inline auto best_share(double fraction) {
    return [fraction](const std::vector<double>& row, reference::place) {
        const long visible = static_cast<long>(row.size()) - std::count(row.begin(), row.end(), -HUGE_VAL);
        return best_of(row, share_of(fraction, visible));
    };
}

inline tensor<bool> written_out(const reference::problem& p) {
    tensor<bool> kept(p.batch, p.heads, p.queries, p.keys);
    for (long b = 0; b < p.batch; ++b)
        for (long h = 0; h < p.heads; ++h)
            for (long i = 0; i < p.queries; ++i)
                for (long j = 0; j < p.keys; ++j) kept(b, h, i, j) = p.visible({b, h, i, j});
    return kept;
}

// p.visible is what the selector keeps. The scores are whole numbers: float and double choose alike.
template <class T, class Selector>
void check_kept(const reference::problem& p, random& r, const Selector& selector) {
    const auto scale = heed::scale(*p.scale);
    const backward_inputs<T> in(p, r, heed::causal, selector, scale);
    const auto truth = truth_of<T>(p);
    const auto got = in.gradients(p, heed::causal, selector, scale);
    check_gradients<T>(p, truth, reference::differentiate(p, truth, in.from), got);
    const tensor<bool> kept = written_out(p);
    INFO(describe(p));
    CHECK(in.gradients(p, heed::causal, scale, heed::mask(kept)) == got);
}

}  // namespace support
