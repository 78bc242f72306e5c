// SPDX-License-Identifier: MIT
// bench/select.cpp: attention over the best keys, and the selection by itself beside std::nth_element
//
// The selections alone read k as rows of `keys` numbers, head_dim rows for a head. Both work on a copy of a
// row, whose time counts for both: std::nth_element reorders what it is given.
#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include <heed/sparse.hpp>

#include "attention_variant.hpp"

namespace heed_bench {
namespace {

constexpr double quarter = 0.25;
constexpr size few = 64;
constexpr size window = 512;

// Keys that stay of those visible to a query.
using kept_of = double (*)(size visible);
double kept_quarter(size visible) { return std::max(1.0, std::ceil(quarter * double(visible))); }
double kept_few(size visible) { return double(std::min(few, visible)); }
double kept_one(size visible) { return double(std::min<size>(1, visible)); }
double kept_local(size visible) {
    const size rest = std::max<size>(0, visible - window);
    return double(visible - rest) + (rest > 0 ? kept_quarter(rest) : 0);
}

size visible_to(const shape& s, size query, bool causal) {
    return causal ? std::clamp<size>(query + s.shift() + 1, 0, s.keys) : s.keys;
}

// The row in double: its scores, the score that the last kept key has, and the softmax from there up.
true_row best_row(const problem& p, size b, size h, size query, bool causal, size local, kept_of kept) {
    const size seen = visible_to(p.extent, query, causal);
    std::vector<double> scores, rest;
    softmax_row(p, b, h, query, [&](double score, const place&) {
        scores.push_back(score);
        return score;
    });
    const size first = std::max<size>(0, seen - local);  // of the keys that stay whatever they score
    rest.assign(scores.begin(), scores.begin() + first);
    const size chosen = std::min<size>(first, size(kept(seen)) - (seen - first));
    double least = std::numeric_limits<double>::infinity();
    if (chosen > 0) {
        std::nth_element(rest.begin(), rest.begin() + (chosen - 1), rest.end(), std::greater<double>());
        least = rest[std::size_t(chosen - 1)];
    }
    // Of equal scores the first stay.
    size ties =
        chosen - std::count_if(scores.begin(), scores.begin() + first, [&](double s) { return s > least; });
    return softmax_row(p, b, h, query, [&](double score, const place& at) {
        if (at.key >= seen) return hidden;
        if (at.key >= first) return score;
        if (score == least && ties > 0) return --ties, score;
        return score > least ? score : hidden;
    });
}

template <class... Options>
variant best(std::string name, std::string options, bool causal, size local, kept_of kept, Options... given) {
    const auto pairs = [causal, kept](const shape& s) {
        // Scores of all that are visible, values of the kept: half a pair's work each.
        double counted = 0;
        for (size query = 0; query < s.queries; ++query) {
            const size seen = visible_to(s, query, causal);
            counted += (double(seen) + kept(seen)) / 2;
        }
        return counted;
    };
    variant v = approximate(causal ? "causal" : "plain", std::move(name), std::move(options), pairs,
                            chosen_by_data, given...);
    v.family = "select";
    v.reference = [=](const problem& p, size b, size h, size query) {
        return best_row(p, b, h, query, causal, local, kept);
    };
    return v;
}

// f(row, k, indices) for rows of numbers, each a copy.
template <class F>
variant selection(std::string name, std::string formula, F f) {
    variant v;
    v.family = "select";
    v.name = std::move(name);
    v.formula = std::move(formula);
    v.flops = [](const shape& s) { return double(s.batch * s.kv_heads * s.keys * s.head_dim); };
    v.bytes = [](const shape& s) { return 4.0 * double(s.batch * s.kv_heads * s.keys * s.head_dim); };
    v.bind = [f](const problem& p, tensor&, const heed::thread_pool&) {
        struct memory {
            std::vector<float> row;
            std::vector<int> indices;
            heed::workspace own;
        };
        auto m = std::make_shared<memory>();
        const size n = p.extent.keys;
        m->row.resize(std::size_t(n));
        m->indices.resize(std::size_t(n + 16));
        bound_call call;
        call.run = [&p, f, m, n] {
            for (size i = 0; i + n <= p.k.size(); i += n) {
                std::copy_n(p.k.data() + i, n, m->row.begin());
                f(m->row, std::max<size>(1, n / 4), m->indices, m->own);
            }
        };
        call.extra_bytes = [m] { return m->own.bytes(); };
        return call;
    };
    v.takes = [](const shape& s) { return s.keys > 0 && s.queries == s.keys; };
    return v;
}

const registered top_fraction(best("top_fraction", ", top_fraction(0.25)", false, 0, kept_quarter,
                                   heed::top_fraction(quarter)));
const registered top_fraction_causal(best("top_fraction_causal", ", causal, top_fraction(0.25)", true, 0,
                                          kept_quarter, heed::causal, heed::top_fraction(quarter)));
const registered top_k(best("top_k", ", top_k(64)", false, 0, kept_few, heed::top_k(few)));
const registered hard(best("hard", ", hard_attention()", false, 0, kept_one, heed::hard_attention()));
const registered local(best("local_plus_top", ", causal, local_plus_top(512, 0.25)", true, window, kept_local,
                            heed::causal, heed::local_plus_top(window, quarter)));

const registered select_quarter(selection("select_top_k", "heed::select_top_k(row, n / 4, indices)",
                                          [](const auto& row, size k, auto& indices, auto& own) {
                                              (void)heed::select_top_k(row, k, indices, own);
                                          }));
const registered nth(selection("nth_element", "std::nth_element of a quarter",
                               [](auto& row, size k, auto&, auto&) {
                                   std::nth_element(row.begin(), row.begin() + k, row.end(),
                                                    std::greater<float>());
                               }));

}  // namespace
}  // namespace heed_bench
