// SPDX-License-Identifier: MIT
// bench/attention_variant.hpp: options of heed::attention as variants, a line each
//
//     const registered causal(exact("causal", ", causal", causal_pairs, causal_rule, heed::causal));
//     const registered window(approximate("causal", "window", ", causal & window(511, 0)", window_pairs,
//                                         window_rule, heed::causal & heed::window(511, 0)));
//
// An exact variant computes what it says; an approximate one stands in for another, and heed_compare shows
// beside its time how far its rows are off and how much of their weight it keeps. `pairs` counts the
// (query, key) pairs of one head whose products the mathematics asks for. The rule says the same options in
// double; where the data choose the keys there is none, and `chosen_by_data` stands in its place. Options
// that write no weights are stands_in_for("causal", exact(…)), without a figure of what they keep.
//
// Options that hold tensors of the problem's shape are made when the call is bound:
//
//     approximate(…, from_problem([](const problem& p) { return my_lists(p); }))
//
// my_lists owns what its options() refer to, and gives them as a tuple.
#pragma once

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

#include <heed/attention.hpp>

#include "variant.hpp"

namespace heed_bench {

inline constexpr double hidden = -std::numeric_limits<double>::infinity();

using pairs_of = std::function<double(const shape&)>;

inline double all_pairs(const shape& s) { return double(s.queries) * double(s.keys); }

// Each query sees its own position and `left` before it.
inline double band_pairs(const shape& s, size left) {
    double pairs = 0;
    for (size query = 0; query < s.queries; ++query) {
        const size last = std::min(query + s.shift(), s.keys - 1);
        const size first = std::max<size>(0, query + s.shift() - left);
        pairs += double(std::max<size>(0, last - first + 1));
    }
    return pairs;
}

inline double causal_pairs(const shape& s) { return band_pairs(s, s.keys); }

inline double plain_rule(double score, const place&, const shape&) { return score; }

inline double causal_rule(double score, const place& at, const shape& s) {
    return at.key <= at.query + s.shift() ? score : hidden;
}

struct by_data {};
inline constexpr by_data chosen_by_data;

template <class Make>
struct from_problem {
    explicit from_problem(Make m) : make(std::move(m)) {}
    Make make;
};

namespace options_made {  // for the functions below

template <class... Options>
auto by(const Options&... given) {
    return [given = std::tuple(given...)](const problem&) { return given; };
}
template <class Make>
auto by(const from_problem<Make>& given) {
    return given.make;
}

template <class... Options>
const std::tuple<Options...>& in(const std::tuple<Options...>& made) {
    return made;
}
template <class Made>
auto in(const Made& made) {
    return made.options();
}

}  // namespace options_made

template <class Rule, class... Options>
variant exact(std::string name, std::string options, pairs_of pairs, Rule rule, Options... given) {
    variant v;
    v.family = "attention";
    v.name = std::move(name);
    v.formula = "heed::attention(q, k, v" + std::move(options) + ")";
    v.flops = [pairs](const shape& s) { return 4.0 * double(s.batch * s.heads * s.head_dim) * pairs(s); };
    v.bytes = qkv_bytes;
    v.bind = [make = options_made::by(given...)](const problem& p, tensor& y, const heed::thread_pool& pool) {
        auto workspace = std::make_shared<heed::workspace>();
        auto made = std::make_shared<decltype(make(p))>(make(p));
        bound_call call;
        call.run = [&p, &y, &pool, made, workspace] {
            std::apply(
                [&](const auto&... option) {
                    heed::attention_into(y, p.q, p.k, p.v, option..., heed::on(pool), heed::use(*workspace));
                },
                options_made::in(*made));
        };
        call.extra_bytes = [workspace] { return workspace->bytes(); };
        return call;
    };
    if constexpr (!std::is_same_v<Rule, by_data>)
        v.reference = [rule](const problem& p, size batch, size head, size query) {
            return softmax_row(p, batch, head, query,
                               [&](double score, const place& at) { return rule(score, at, p.extent); });
        };
    return v;
}

// A variant of these options of heed::attention, beside the exact one that it stands in for.
template <class... Options>
variant approximating(std::string of, variant v, Options... given) {
    v = stands_in_for(std::move(of), std::move(v));
    v.weigh = [make = options_made::by(given...)](const problem& p, tensor& weights) {
        const auto made = make(p);
        tensor y(p.q.dimensions());
        std::apply(
            [&](const auto&... option) {
                heed::attention_into(y, p.q, p.k, p.v, option..., heed::weights(weights));
            },
            options_made::in(made));
    };
    return v;
}

template <class Rule, class... Options>
variant approximate(std::string of, std::string name, std::string options, pairs_of pairs, Rule rule,
                    Options... given) {
    return approximating(std::move(of), exact(std::move(name), std::move(options), pairs, rule, given...),
                         given...);
}

}  // namespace heed_bench
