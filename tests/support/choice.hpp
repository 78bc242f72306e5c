// SPDX-License-Identifier: MIT
// tests/support/choice.hpp: the keys a selector keeps, by sorting the oracle's scores
//
// The problems here have whole numbers for scores, so that float and double agree about every one of them
// and the choice is the same in both; and so that there are ties.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <vector>

#include "problems.hpp"
#include "reference.hpp"

namespace support {

// The positions of the k largest of a row, ties to the lowest, what is -inf left out; in ascending order.
// NaN is the largest.
template <class T>
std::vector<long> best_of(const std::vector<T>& row, long k) {
    std::vector<long> order;
    for (std::size_t i = 0; i < row.size(); ++i)
        if (!(row[i] == -std::numeric_limits<T>::infinity())) order.push_back(static_cast<long>(i));
    std::stable_sort(order.begin(), order.end(), [&](long a, long b) {
        const T x = row[static_cast<std::size_t>(a)], y = row[static_cast<std::size_t>(b)];
        return std::isnan(x) != std::isnan(y) ? std::isnan(x) : x > y;
    });
    if (k < static_cast<long>(order.size())) order.resize(static_cast<std::size_t>(k));
    std::sort(order.begin(), order.end());
    return order;
}

// A share of a number, rounded up, at least one.
inline long share_of(double fraction, long visible) {
    return std::max(1L, static_cast<long>(std::ceil(fraction * double(visible) * (1 - 1e-12))));
}

// Hides all keys but those that choose(row of scores, place of the query) gives.
inline void keep_only(
    reference::problem& p,
    const std::function<std::vector<long>(const std::vector<double>&, reference::place)>& choose) {
    const auto a = reference::solve<double>(p);
    auto kept = std::make_shared<std::vector<bool>>(p.pairs(), false);
    const std::size_t keys = static_cast<std::size_t>(p.keys);
    for (std::size_t row = 0; row < p.rows(); ++row) {
        const long r = static_cast<long>(row);
        const std::vector<double> scores(a.biased.begin() + r * p.keys, a.biased.begin() + (r + 1) * p.keys);
        const reference::place at{r / p.queries / p.heads, r / p.queries % p.heads, r % p.queries, 0};
        for (const long key : choose(scores, at)) (*kept)[row * keys + static_cast<std::size_t>(key)] = true;
    }
    const long heads = p.heads, queries = p.queries, all = p.keys;
    p.visible = [=, before = p.visible](reference::place i) {
        const long row = (i.batch * heads + i.head) * queries + i.query;
        return (*kept)[static_cast<std::size_t>(row * all + i.key)] && (!before || before(i));
    };
}

// Queries and keys of small whole numbers, and a scale that keeps their products whole.
inline void make_whole(reference::problem& p, random& r, long most = 3) {
    for (auto* x : {&p.q, &p.k})
        for (double& value : *x) value = static_cast<double>(r.between(-most, most));
    p.scale = r.chance(0.5) ? 1 : 0.25;
}

}  // namespace support
