// SPDX-License-Identifier: MIT
// tests/support/selector_reference.hpp: which pairs the selectors of keys keep, by their definitions
//
// Like reference.hpp it includes no heed header: sums over all pairs, full sorts, one query at a time, in
// double. A choice between two numbers that are almost equal depends on their rounding; `clear` says that
// no choice was: the kept set then has to be met exactly.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>

#include "reference.hpp"

namespace reference {

struct kept_pairs {
    std::vector<char> kept;  // (batch, head, query, key)
    bool clear = true;
};

inline bool sees(const problem& p, long b, long h, long i, long j) {
    return !p.visible || p.visible({b, h, i, j});
}
inline std::size_t pair_of(const problem& p, long b, long h, long i, long j) {
    return static_cast<std::size_t>(((b * p.heads + h) * p.queries + i) * p.keys + j);
}
inline double scaled_product(const problem& p, long b, long h, long i, long j) {
    const long kv = b * p.kv_heads + h / (p.heads / p.kv_heads);
    double sum = 0;
    for (long f = 0; f < p.d_k; ++f)
        sum += p.q[static_cast<std::size_t>(((b * p.heads + h) * p.queries + i) * p.d_k + f)] *
               p.k[static_cast<std::size_t>((kv * p.keys + j) * p.d_k + f)];
    return sum * (p.scale ? *p.scale : 1 / std::sqrt(static_cast<double>(p.d_k)));
}

// Marks `count` largest of the positive values, the first of equal ones; false where the last that is
// marked and the first that is not differ by less than a share of 1e-4, but are not equal.
inline bool mark_largest(const std::vector<double>& value, long count, std::vector<char>& marked) {
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < value.size(); ++i)
        if (!marked[i] && value[i] > 0) order.push_back(i);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return value[a] > value[b]; });
    const std::size_t n = std::min(order.size(), static_cast<std::size_t>(std::max(0L, count)));
    for (std::size_t i = 0; i < n; ++i) marked[order[i]] = 1;
    if (n == 0 || n == order.size()) return true;
    const double last = value[order[n - 1]], next = value[order[n]];
    return last - next < 1e-13 * last || last - next > 1e-4 * last;
}

// vertical_slash: columns and diagonals by the sums of the last 64 rows of the softmax.
inline kept_pairs vertical_slash(const problem& p, long vertical, long slash) {
    kept_pairs all{std::vector<char>(p.pairs()), true};
    const long group = p.heads / p.kv_heads, shift = p.keys - p.queries;
    for (long b = 0; b < p.batch; ++b)
        for (long kv = 0; kv < p.kv_heads; ++kv) {
            // Diagonal p - j has the number p - j + queries - 1.
            std::vector<double> column(static_cast<std::size_t>(p.keys)),
                slashes(static_cast<std::size_t>(p.keys + p.queries - 1));
            for (long h = kv * group; h < (kv + 1) * group; ++h)
                for (long i = std::max(0L, p.queries - 64); i < p.queries; ++i) {
                    std::vector<double> s(column.size(), -HUGE_VAL), w(s.size());
                    for (long j = 0; j < p.keys; ++j)
                        if (sees(p, b, h, i, j)) s[std::size_t(j)] = scaled_product(p, b, h, i, j);
                    detail::softmax_row<double>(s, nullptr, w);
                    if (std::any_of(w.begin(), w.end(), [](double x) { return std::isnan(x); })) continue;
                    for (long j = 0; j < p.keys; ++j) {
                        column[std::size_t(j)] += w[std::size_t(j)];
                        slashes[std::size_t(i + shift - j + p.queries - 1)] += w[std::size_t(j)];
                    }
                }
            std::vector<char> columns(column.size()), diagonals(slashes.size());
            const long first = std::min({vertical, 30L, p.keys}), near = std::min({slash, 100L, p.keys});
            for (long j = 0; j < first; ++j) columns[std::size_t(j)] = 1;
            for (long e = 0; e < near; ++e) diagonals[std::size_t(e + p.queries - 1)] = 1;
            all.clear = mark_largest(column, vertical - first, columns) && all.clear;
            all.clear = mark_largest(slashes, slash - near, diagonals) && all.clear;
            for (long h = kv * group; h < (kv + 1) * group; ++h)
                for (long i = 0; i < p.queries; ++i)
                    for (long j = 0; j < p.keys; ++j)
                        all.kept[pair_of(p, b, h, i, j)] =
                            sees(p, b, h, i, j) && (columns[std::size_t(j)] ||
                                                    diagonals[std::size_t(i + shift - j + p.queries - 1)]);
        }
    return all;
}

// entropy_budget: blocks of 64 keys until they hold what the entropy of their estimate asks for.
inline kept_pairs entropy_budget(const problem& p, long k_min, long k_max, double kappa) {
    kept_pairs all{std::vector<char>(p.pairs()), true};
    const long group = p.heads / p.kv_heads, blocks = (p.keys + 63) / 64;
    for (long b = 0; b < p.batch; ++b)
        for (long kv = 0; kv < p.kv_heads; ++kv)
            for (long i = 0; i < p.queries; ++i) {
                std::vector<double> s(static_cast<std::size_t>(blocks)), n(s.size());
                for (long j = 0; j < p.keys; ++j) {
                    double product = 0;
                    bool seen = false;
                    for (long h = kv * group; h < (kv + 1) * group; ++h) {
                        product += scaled_product(p, b, h, i, j) / double(group);
                        seen = seen || sees(p, b, h, i, j);
                    }
                    if (!seen) continue;
                    s[std::size_t(j / 64)] += product;
                    n[std::size_t(j / 64)] += 1;
                }
                std::vector<std::size_t> order;
                double total = 0, entropy = 0;
                for (std::size_t x = 0; x < s.size(); ++x)
                    if (n[x] > 0) {
                        s[x] /= n[x];
                        total += n[x] * std::exp(s[x]);
                        order.push_back(x);
                    }
                for (std::size_t x : order) {
                    const double share = n[x] * std::exp(s[x]) / total;
                    entropy -= share * std::log(share / n[x]);
                }
                std::stable_sort(order.begin(), order.end(),
                                 [&](std::size_t x, std::size_t y) { return s[x] > s[y]; });
                const long own = i + p.keys - p.queries;
                if (own >= 0 && own < p.keys)
                    std::stable_partition(order.begin(), order.end(),
                                          [&](std::size_t x) { return x == std::size_t(own / 64); });
                // How many blocks, for a budget a little smaller and a little larger than the true one.
                std::size_t taken[2];
                for (int side = 0; side < 2; ++side) {
                    const double spread = kappa * std::exp(entropy) * 0.999 * (side == 0 ? 0.9999 : 1.0001);
                    const double budget = std::clamp(std::ceil(spread), double(k_min), double(k_max));
                    double keys = 0;
                    taken[side] = 0;
                    while (taken[side] < order.size() && keys < budget) keys += n[order[taken[side]++]];
                }
                all.clear = all.clear && taken[0] == taken[1];
                if (taken[0] > 1 && taken[0] < order.size()) {
                    const double gap = s[order[taken[0] - 1]] - s[order[taken[0]]];
                    all.clear = all.clear && (gap == 0 || std::fabs(gap) > 1e-4);
                }
                for (std::size_t x = 0; x < taken[0]; ++x)
                    for (long h = kv * group; h < (kv + 1) * group; ++h)
                        for (long j = long(order[x]) * 64; j < std::min(p.keys, long(order[x]) * 64 + 64);
                             ++j)
                            all.kept[pair_of(p, b, h, i, j)] = sees(p, b, h, i, j);
            }
    return all;
}

// The normal numbers of lsh, as its header states them.
inline double lsh_number(std::uint64_t seed, std::uint64_t n) {
    const auto uniform = [&](std::uint64_t i) {
        std::uint64_t z = seed + (2 * n + i) * 0x9e3779b97f4a7c15u;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        z = z ^ z >> 31;
        return double((z >> 11) + 1) / 9007199254740992.0;
    };
    return std::sqrt(-2 * std::log(uniform(1))) * std::cos(2 * 3.14159265358979323846 * uniform(2));
}

// The bucket of a vector of d numbers; clear turns false where two buckets are close.
inline long lsh_bucket(const double* x, long d, long round, long buckets, std::uint64_t seed, bool& clear) {
    double length = 0;
    for (long f = 0; f < d; ++f) length += x[f] * x[f];
    length = length > 0 ? std::sqrt(length) : 1;
    std::vector<double> value(static_cast<std::size_t>(buckets));
    for (long c = 0; c < buckets / 2; ++c) {
        double sum = 0;
        for (long f = 0; f < d; ++f)
            sum += x[f] / length * lsh_number(seed, std::uint64_t((round * (buckets / 2) + c) * d + f));
        value[std::size_t(c)] = sum;
        value[std::size_t(c + buckets / 2)] = -sum;
    }
    const auto most = std::max_element(value.begin(), value.end());
    for (auto other = value.begin(); other != value.end(); ++other)
        if (other != most && *other != *most && *most - *other < 1e-5) clear = false;
    return most - value.begin();
}

// lsh: the bucket's keys in the chunk of the query's place and in the one before, in any round.
inline kept_pairs lsh(const problem& p, long rounds, long buckets, std::uint64_t seed) {
    kept_pairs all{std::vector<char>(p.pairs()), true};
    const long group = p.heads / p.kv_heads, shift = p.keys - p.queries;
    for (long b = 0; b < p.batch; ++b)
        for (long kv = 0; kv < p.kv_heads; ++kv)
            for (long round = 0; round < rounds; ++round) {
                using entry = std::pair<long, long>;  // bucket, position
                std::vector<entry> sorted;
                for (long j = 0; j < p.keys; ++j) {
                    bool seen = false;
                    for (long h = kv * group; h < (kv + 1) * group && !seen; ++h)
                        for (long i = 0; i < p.queries && !seen; ++i) seen = sees(p, b, h, i, j);
                    if (seen)
                        sorted.emplace_back(
                            lsh_bucket(p.k.data() + ((b * p.kv_heads + kv) * p.keys + j) * p.d_k, p.d_k,
                                       round, buckets, seed, all.clear),
                            j);
                }
                std::sort(sorted.begin(), sorted.end());
                const long length = (2 * long(sorted.size()) + buckets - 1) / buckets;
                for (long h = kv * group; h < (kv + 1) * group; ++h)
                    for (long i = 0; i < p.queries; ++i) {
                        const entry mine{lsh_bucket(p.q.data() + ((b * p.heads + h) * p.queries + i) * p.d_k,
                                                    p.d_k, round, buckets, seed, all.clear),
                                         i + shift};
                        const long before = std::count_if(sorted.begin(), sorted.end(),
                                                          [&](const entry& e) { return e <= mine; });
                        const long chunk = sorted.empty() ? 0 : std::max(0L, before - 1) / length;
                        for (long rank = 0; rank < long(sorted.size()); ++rank) {
                            const auto& [bucket, j] = sorted[std::size_t(rank)];
                            if (bucket == mine.first &&
                                (rank / length == chunk || rank / length == chunk - 1) && sees(p, b, h, i, j))
                                all.kept[pair_of(p, b, h, i, j)] = 1;
                        }
                        if (i + shift >= 0 && i + shift < p.keys && sees(p, b, h, i, i + shift))
                            all.kept[pair_of(p, b, h, i, i + shift)] = 1;
                    }
            }
    return all;
}

}  // namespace reference
