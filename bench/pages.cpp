// SPDX-License-Identifier: MIT
// bench/pages.cpp: decoding with pages of keys chosen by their bounds, which are carried from call to call
//
// The truth is exact attention: the error is what a selection loses. quest keeps a budget of keys;
// certified keeps 0.99 of the mass of every row, and how many keys that takes is the input's affair.
#include <heed/sparse.hpp>

#include "attention_variant.hpp"

namespace heed_bench {
namespace {

constexpr size page = 32, budget = 2048;
constexpr double share = 0.99;

double pages(const shape& s) { return double((s.keys + page - 1) / page); }
double kept(const shape& s) { return double(std::min(s.keys, std::max(budget, 3 * page))); }

// A bound is the score of two keys.
double bound_flops(const shape& s) { return 4.0 * double(s.batch * s.heads * s.head_dim) * pages(s); }
// Queries, outputs and bounds; `keys` keys and values.
double bytes_with(const shape& s, double keys) {
    return 4.0 * double(s.batch * s.head_dim) *
           (double(2 * s.heads * s.queries) + double(2 * s.kv_heads) * (pages(s) + keys));
}

template <class Option>
variant decode(std::string name, std::string call, Option option) {
    variant v;
    v.family = "sparse";
    v.name = std::move(name);
    v.formula = "heed::attention(q, k, v, " + std::move(call) + ")";
    v.takes = [](const shape& s) { return s.queries == 1; };
    v.bind = [option](const problem& p, tensor& y, const heed::thread_pool& pool) {
        const shape& s = p.extent;
        auto workspace = std::make_shared<heed::workspace>();
        auto bounds = std::make_shared<heed::page_bounds<float>>(s.batch, s.kv_heads, s.head_dim, page);
        bounds->append(p.k);
        return bound_call{[=, &p, &y, &pool] {
                              heed::attention_into(y, p.q, p.k, p.v, option(*bounds), heed::on(pool),
                                                   heed::use(*workspace));
                          },
                          [=] {
                              return workspace->bytes() +
                                     std::size_t(8.0 * double(s.batch * s.kv_heads * s.head_dim) * pages(s));
                          }};
    };
    v.reference = [](const problem& p, size batch, size head, size query) {
        return softmax_row(p, batch, head, query, [](double score, const place&) { return score; });
    };
    return v;
}

variant quest() {
    variant v = decode("quest_decode", "quest(bounds, 2048)",
                       [](const auto& bounds) { return heed::quest(bounds, budget); });
    v.flops = [](const shape& s) {
        return bound_flops(s) + 4.0 * double(s.batch * s.heads * s.head_dim) * kept(s);
    };
    v.bytes = [](const shape& s) { return bytes_with(s, kept(s)); };
    return v;
}

// Counted is what it does on every input: the bounds. What it visits comes on top.
variant certified() {
    variant v = decode("certified_decode", "certified(0.99, bounds)",
                       [](const auto& bounds) { return heed::certified(share, bounds); });
    v.flops = bound_flops;
    v.bytes = [](const shape& s) { return bytes_with(s, 0); };
    return v;
}

// Whole prompts, for the table of errors; bounds are made in the call.
template <class Option>
variant prompt(std::string name, std::string call, pairs_of pairs, Option option) {
    variant v = approximate("causal", std::move(name), ", causal, " + std::move(call), pairs, chosen_by_data,
                            heed::causal, option);
    v.family = "sparse";
    v.takes = [](const shape& s) { return s.queries == s.keys && s.keys >= 1024 && s.keys <= 8192; };
    return v;
}
constexpr size prompt_budget = 512;
double quest_pairs(const shape& s) { return double(s.queries) * pages(s) + band_pairs(s, prompt_budget - 1); }

const registered quest_prompt(prompt("quest", "quest(32, 512)", quest_pairs,
                                     heed::quest(page, prompt_budget)));
const registered certified_prompt(prompt("certified", "certified(0.99)", causal_pairs,
                                         heed::certified(share)));
const registered quest_decode(quest());
const registered certified_decode(certified());

}  // namespace
}  // namespace heed_bench
