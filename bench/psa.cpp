// SPDX-License-Identifier: MIT
// bench/psa.cpp: progressive sparse attention: readings, gradients, and progressive precision
//
// The truth of a row makes its own choice from scores in double. Where two scores around the last kept one
// differ by less than float holds, the two choices may differ, and the error shows one key's weight.
#include <algorithm>
#include <cmath>
#include <limits>

#include <heed/sparse.hpp>

#include "attention_variant.hpp"

namespace heed_bench {
namespace {

constexpr double fraction = 0.25;

double kept(const shape& s) { return std::ceil(fraction * double(s.keys)); }

// The cubic of e^x on [-4, 0].
double cubic(double x) {
    return ((0.03015549958949233 * x + 0.27412961708598566) * x + 0.859451565189882) * x + 0.9857434355925262;
}

// A softmax of logarithms gives any weights.
true_row reference(const problem& p, heed::psa_reading reading, size b, size h, size query) {
    std::vector<double> scores(std::size_t(p.extent.keys));
    softmax_row(p, b, h, query,
                [&](double score, const place& at) { return scores[std::size_t(at.key)] = score; });
    auto order = scores;
    const auto rank = order.begin() + std::ptrdiff_t(kept(p.extent)) - 1;
    std::nth_element(order.begin(), rank, order.end(), std::greater<>());
    const double least = reading == heed::psa_reading::literal ? hidden : *rank;
    const double most = *std::max_element(scores.begin(), scores.end());
    return softmax_row(p, b, h, query, [&](double, const place& at) {
        const double s = scores[std::size_t(at.key)];
        if (s < least) return hidden;
        if (reading != heed::psa_reading::intended) return cubic(std::clamp(s, -4.0, 4.0));
        return s - most < -4 ? hidden : std::log(cubic(s - most));
    });
}

template <class Option>
variant forward(std::string name, std::string option, pairs_of pairs, const Option& given) {
    variant v = approximate("plain", std::move(name), ", " + std::move(option), pairs, chosen_by_data, given);
    v.family = "psa";
    v.overtakes = "plain";
    return v;
}

variant psa(std::string name, std::string option, heed::psa_reading reading) {
    // Scores of all pairs, values of the kept: half a pair's work each.
    const auto pairs = [reading](const shape& s) {
        const double values = reading == heed::psa_reading::literal ? double(s.keys) : kept(s);
        return double(s.queries) * (double(s.keys) + values) / 2;
    };
    variant v = forward(std::move(name), std::move(option), pairs,
                        heed::psa({.fraction = fraction, .reading = reading}));
    v.reference = [reading](const problem& p, size b, size h, size query) {
        return reference(p, reading, b, h, query);
    };
    return v;
}

variant precision() {
    variant v =
        forward("psa_precision", "progressive_precision(0.1)", all_pairs, heed::progressive_precision(0.1));
    v.reference = [](const problem& p, size b, size h, size query) {
        return softmax_row(p, b, h, query, [](double score, const place&) { return score; });
    };
    return v;
}

variant backward() {
    variant v;
    v.family = "psa";
    v.name = "psa_backward";
    v.formula = "heed::psa_backward(dy, q, k, v, psa(0.25))";
    v.flops = [](const shape& s) {
        return 2.0 * double(s.batch * s.heads * s.head_dim * s.queries) * (double(s.keys) + 4 * kept(s));
    };
    v.bytes = [](const shape& s) { return 2 * qkv_bytes(s); };
    v.bind = [](const problem& p, tensor&, const heed::thread_pool& pool) {
        auto workspace = std::make_shared<heed::workspace>();
        auto dq = std::make_shared<tensor>(p.q.dimensions());
        auto dk = std::make_shared<tensor>(p.k.dimensions());
        auto dv = std::make_shared<tensor>(p.v.dimensions());
        return bound_call{[=, &p, &pool] {
                              heed::psa_backward_into(*dq, *dk, *dv, p.q, p.q, p.k, p.v, heed::psa(fraction),
                                                      heed::on(pool), heed::use(*workspace));
                          },
                          [workspace] { return workspace->bytes(); }};
    };
    return v;
}

const registered intended(psa("psa", "psa(0.25)", heed::psa_reading::intended));
const registered literal(psa("psa_literal", "psa({.fraction = 0.25, .reading = psa_reading::literal})",
                             heed::psa_reading::literal));
const registered of_few_bits(precision());
const registered gradients(backward());

}  // namespace
}  // namespace heed_bench
