// SPDX-License-Identifier: MIT
// tests/support/selected.hpp: what every selector that makes a mask from q and k has to pass
#pragma once

#include <tuple>

#include <heed/sparse.hpp>
#include <heed/thread_pool.hpp>

#include "allocation.hpp"
#include "check.hpp"
#include "selector_reference.hpp"

namespace support {

// heed keeps exactly these pairs (where the choice was clear) and computes the softmax over them, both when
// it writes the weights and when it may skip tiles.
template <class T, class... Options>
void check_selected(const reference::problem& given, const reference::kept_pairs& right,
                    const Options&... options) {
    if (!right.clear) return;
    auto meant = given;
    const inputs<T> in(given);
    tensor<T> y(given.batch, given.heads, given.queries, given.d_v);
    tensor<sum_type<T>> weights(given.batch, given.heads, given.queries, given.keys);
    tensor<sum_type<T>, 3> lse(given.batch, given.heads, given.queries);
    meant.visible = [&](reference::place i) {
        return right.kept[reference::pair_of(given, i.batch, i.head, i.query, i.key)] != 0;
    };
    const auto truth = truth_of<T>(meant);
    heed::attention_into(y, in.q, in.k, in.v, options..., heed::weights(weights), heed::logsumexp(lse));
    long wrong = 0;
    for (std::size_t i = 0; i < right.kept.size(); ++i)
        wrong += (weights.data()[i] > 0) != (right.kept[i] != 0);
    INFO(describe(given) << ", " << wrong << " pairs are kept and should not be, or the other way round");
    CHECK(wrong == 0);
    check<T>(meant, truth, y, &lse);
    y.setConstant(static_cast<T>(-77.0f));
    heed::attention_into(y, in.q, in.k, in.v, options..., heed::logsumexp(lse));
    check<T>(meant, truth, y, &lse);
}

// One batch entry of a problem's tensors.
template <class T>
tensor<T> entry_of(const tensor<T>& x, long b) {
    return x.slice(Eigen::array<long, 4>{b, 0, 0, 0},
                   Eigen::array<long, 4>{1, x.dimension(1), x.dimension(2), x.dimension(3)});
}

// The same bits for a whole batch on threads and for each entry alone; nothing is allocated once a
// workspace has grown; other seeds and entries before it do not matter.
template <class Selector>
void check_bits(const reference::problem& p, const Selector& selector) {
    const inputs<float> in(p);
    const heed::thread_pool pool(3);
    tensor<float> y(p.batch, p.heads, p.queries, p.d_v), threaded(y.dimensions());
    heed::workspace one, three;
    const auto with_one = heed::use(one), with_three = heed::use(three);
    const auto on_pool = heed::on(pool);
    const auto alone = [&] { heed::attention_into(y, in.q, in.k, in.v, heed::causal, selector, with_one); };
    const auto together = [&] {
        heed::attention_into(threaded, in.q, in.k, in.v, heed::causal, selector, with_three, on_pool);
    };
    alone(), together();
    CHECK(same_bits(elements(y), elements(threaded)));
    for (long b = 0; b < p.batch; ++b) {
        const tensor<float> q = entry_of(in.q, b), k = entry_of(in.k, b), v = entry_of(in.v, b);
        const tensor<float> part = heed::attention(q, k, v, heed::causal, selector);
        CHECK(same_bits(elements(part), elements(entry_of(y, b))));
    }
    long counted = 0, counted_together = 0;
    {
        const allocation_watch watch;
        for (int i = 0; i < 3; ++i) alone();
        counted = watch.count();
    }
    {
        const allocation_watch watch;
        for (int i = 0; i < 3; ++i) together();
        counted_together = watch.count();
    }
    CHECK(counted == 0);
    CHECK(counted_together == 0);
}

// What key_lengths hides may be NaN, infinite or zero: not a bit changes, nor with other lengths' keys.
template <class Selector>
void check_poison(reference::problem p, const std::vector<long>& lengths, const Selector& selector) {
    std::vector<tensor<float>> results;
    for (const double poison : {0.0, double(NAN), double(INFINITY)}) {
        for (long b = 0; b < p.batch; ++b)
            for (long h = 0; h < p.kv_heads; ++h)
                for (long j = lengths[std::size_t(b)]; j < p.keys; ++j) {
                    const std::size_t row = std::size_t((b * p.kv_heads + h) * p.keys + j);
                    for (std::size_t f = 0; f < std::size_t(p.d_k); ++f)
                        p.k[row * std::size_t(p.d_k) + f] = f % 2 == 0 ? poison : -poison;
                    for (std::size_t f = 0; f < std::size_t(p.d_v); ++f)
                        p.v[row * std::size_t(p.d_v) + f] = poison;
                }
        const inputs<float> in(p);
        results.push_back(
            heed::attention(in.q, in.k, in.v, heed::causal, heed::key_lengths(lengths), selector));
        CHECK(same_bits(elements(results.front()), elements(results.back())));
    }
    for (const double x : values(results.front())) REQUIRE(std::isfinite(x));
}

// Without queries, keys or heads there is nothing to choose from, and y is 0.
template <class Selector>
void check_nothing_to_see(const Selector& selector) {
    for (const auto& [heads, queries, keys] :
         {std::tuple{1L, 0L, 5L}, {1L, 5L, 0L}, {1L, 0L, 0L}, {0L, 5L, 5L}, {1L, 2L, 0L}}) {
        tensor<float> q(1, heads, queries, 4), k(1, heads, keys, 4), y(1, heads, queries, 4);
        q.setZero(), k.setZero(), y.setConstant(7);
        heed::attention_into(y, q, k, k, heed::causal, selector);
        CHECK(positive_zero(y.data(), std::size_t(y.size())));
    }
}

#if defined(__cpp_exceptions)
// A call with this selector throws, its text has these words, and y was not written.
template <class Selector>
void check_refused(const Selector& selector, const std::vector<std::string>& words) {
    tensor<float> q(1, 2, 5, 4), k(1, 1, 7, 4), v(1, 1, 7, 4), y(1, 2, 5, 4);
    q.setZero(), k.setZero(), v.setZero(), y.setConstant(77);
    std::string text = "no error";
    try {
        heed::attention_into(y, q, k, v, heed::causal, selector);
    } catch (const heed::error& e) {
        text = e.what();
    }
    INFO(text);
    CHECK(text.find("heed::attention_into: ") == 0);
    for (const std::string& word : words) CHECK(text.find(word) != std::string::npos);
    for (long i = 0; i < y.size(); ++i) REQUIRE(y.data()[i] == 77);
}
#endif

}  // namespace support
