// SPDX-License-Identifier: MIT
// examples/12_own_mask.cpp: a mask and a score step of one's own, that skip work as heed's do
//
// Sentences of a document see themselves, and the first word of every sentence: a mask that answers for whole
// blocks of scores, so that blocks nobody looks at are neither read nor multiplied.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

#include <heed/attention.hpp>

struct sentences : heed::mask_base {
    static constexpr int length = 64;  // tokens of a sentence

    bool operator()(heed::at i) const { return (i.query / length == i.key / length) | (i.key % length == 0); }
    heed::cover classify(const heed::tile& t) const {
        const auto first = t.query_begin / length, last = (t.query_end - 1) / length;
        const auto own_begin = first * length, own_end = (last + 1) * length;
        if (first == last && t.key_begin >= own_begin && t.key_end <= own_end) return heed::cover::full;
        const bool holds_own = t.key_begin < own_end && t.key_end > own_begin;
        const bool holds_first_word = (t.key_end - 1) / length * length >= t.key_begin;
        return holds_own || holds_first_word ? heed::cover::mixed : heed::cover::empty;
    }
};
static_assert(heed::concepts::mask<sentences>);

// Nearer words count more; a backward gets the derivative by itself.
struct recency : heed::score_base {
    float per_key = 0.01f;
    template <class S>
    S operator()(S s, heed::at i) const {
        return s - per_key * static_cast<float>(i.query - i.key);
    }
};
static_assert(heed::concepts::score_step<recency>);

int main() {
    using tensor = Eigen::Tensor<float, 4, Eigen::RowMajor>;
    tensor q(1, 4, 512, 32), k(1, 4, 512, 32), v(1, 4, 512, 32);
    for (tensor* x : {&q, &k, &v}) x->setRandom();

    // In a call, joined to others by & | !, and asked in a backward as heed's own.
    const tensor y = heed::attention(q, k, v, heed::causal & sentences(), recency());

    // The same said in a way that asks about every score.
    const auto same = heed::mask_if([](heed::at i) { return sentences()(i); });
    const auto slope = [](auto s, heed::at i) { return recency()(s, i); };
    const tensor z = heed::attention(q, k, v, heed::causal, same, heed::score(slope));
    float worst = 0;
    for (long i = 0; i < y.size(); ++i) worst = std::max(worst, std::abs(y.data()[i] - z.data()[i]));
    std::printf("largest difference %g\n", static_cast<double>(worst));
    return worst == 0 ? 0 : 1;
}
