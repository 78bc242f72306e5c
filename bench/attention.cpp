// SPDX-License-Identifier: MIT
// bench/attention.cpp: exact softmax attention and its options
//
// Every option is timed as a user would write it; the rule beside it says the same in double.
// `window` is exact in what it computes and approximate as a stand-in for causal attention.
#include <cmath>

#include "attention_variant.hpp"

namespace heed_bench {
namespace {

constexpr size window_left = 511;  // 512 keys with its own
constexpr double cap = 30;

double window_pairs(const shape& s) { return band_pairs(s, window_left); }

double window_rule(double score, const place& at, const shape& s) {
    return at.key >= at.query + s.shift() - window_left ? causal_rule(score, at, s) : hidden;
}

// The slopes of the ALiBi paper: powers of 2^(-8/n) for the largest power of two n <= heads, then every
// other one of the finer series for the heads that are left.
double alibi_slope(size head, size heads) {
    size whole = 1;
    while (whole * 2 <= heads) whole *= 2;
    if (head < whole) return std::exp2(-8.0 * double(head + 1) / double(whole));
    return std::exp2(-4.0 * double(2 * (head - whole) + 1) / double(whole));
}

double alibi_rule(double score, const place& at, const shape& s) {
    const double distance = double(at.query + s.shift() - at.key);
    return causal_rule(score, at, s) - alibi_slope(at.head, s.heads) * std::abs(distance);
}

double softcap_rule(double score, const place&, const shape&) { return cap * std::tanh(score / cap); }

double distance_rule(double score, const place& at, const shape&) {
    return score - double(0.1f) * double(at.query - at.key);
}

double strided_rule(double score, const place& at, const shape&) {
    return ((at.query - at.key) & 15) != 3 ? score : hidden;
}

double strided_pairs(const shape& s) {
    double pairs = 0;
    for (size query = 0; query < s.queries; ++query) {
        const size first = ((query - 3) % 16 + 16) % 16;  // its first hidden key; then every 16th
        pairs += double(s.keys - (first < s.keys ? (s.keys - first + 15) / 16 : 0));
    }
    return pairs;
}

const registered plain(exact("plain", "", all_pairs, plain_rule));
const registered causal(exact("causal", ", causal", causal_pairs, causal_rule, heed::causal));
const registered window(approximate("causal", "window", ", causal & window(511, 0)", window_pairs,
                                    window_rule, heed::causal& heed::window(window_left, 0)));
const registered alibi(exact("alibi", ", causal, alibi()", causal_pairs, alibi_rule, heed::causal,
                             heed::alibi()));
const registered softcap(exact("softcap", ", softcap(30)", all_pairs, softcap_rule,
                               heed::softcap(float(cap))));
const registered score(exact("score", ", score([](auto s, at i) { return s - 0.1f * (i.query - i.key); })",
                             all_pairs, distance_rule, heed::score([](auto s, heed::at i) {
                                 return s - 0.1f * static_cast<float>(i.query - i.key);
                             })));
const registered tanh_score(exact("score_tanh", ", score([](auto s, at) { return 30 * math::tanh(s / 30); })",
                                  all_pairs, softcap_rule, heed::score([](auto s, heed::at) {
                                      return 30.0f * heed::math::tanh(s * (1.0f / 30.0f));
                                  })));
const registered mask_if(exact("mask_if", ", mask_if([](at i) { return ((i.query - i.key) & 15) != 3; })",
                               strided_pairs, strided_rule,
                               heed::mask_if([](heed::at i) { return ((i.query - i.key) & 15) != 3; })));

}  // namespace
}  // namespace heed_bench
