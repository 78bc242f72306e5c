// SPDX-License-Identifier: MIT
// tests/support/check.hpp: a heed result against the oracle
//
// Every element of y may be wrong by
//     4 * eps * sum_j p_j |v_j| * (1 + max |s|)        (eps of the type that sums are kept in)
// plus, for the 16-bit types, the rounding of the result; the log-sum-exp by
// 4 * eps * (1 + max |s| + ln(1 + keys)). This is figure R3 of the reliability page. max |s| is taken
// over all stages of the row, since a score that is capped or biased afterwards was rounded before.
//
// R3 says nothing of the rounding within long dot products (some hundreds of features). Where it is
// exceeded, the result has to be as good as the naive float computation: figure R2.
#pragma once

#include <cmath>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "compare.hpp"
#include "problems.hpp"
#include "reference.hpp"
#include "support/catch.hpp"
#include "tensors.hpp"

namespace support {

// The type that sums are kept in and that log-sum-exps, weights and scores are written in.
template <class T>
using sum_type = std::conditional_t<std::is_same_v<T, double>, double, float>;

template <class T>
struct inputs {
    tensor<T> q, k, v;
    explicit inputs(const reference::problem& p)
        : q(tensor4<T>(p.q, p.batch, p.heads, p.queries, p.d_k)),
          k(tensor4<T>(p.k, p.batch, p.kv_heads, p.keys, p.d_k)),
          v(tensor4<T>(p.v, p.batch, p.kv_heads, p.keys, p.d_v)) {}
};

inline std::string describe(const reference::problem& p) {
    const auto n = [](long x) { return std::to_string(x); };
    return "B:" + n(p.batch) + " H:" + n(p.heads) + "/" + n(p.kv_heads) + " S:" + n(p.queries) +
           " T:" + n(p.keys) + " D:" + n(p.d_k) + "/" + n(p.d_v);
}

// (1 + max |s|) of one row, over every stage and the sink.
inline double score_size(const reference::problem& p, const reference::answer<double>& a, std::size_t row) {
    const std::size_t keys = static_cast<std::size_t>(p.keys);
    double top = 0;
    for (const auto* stage : {&a.raw, &a.capped, &a.biased})
        for (std::size_t j = 0; j < keys; ++j)
            if (std::isfinite((*stage)[row * keys + j]))
                top = std::fmax(top, std::fabs((*stage)[row * keys + j]));
    if (!p.sinks.empty()) {
        const double sink = p.sinks[row / static_cast<std::size_t>(p.queries) % p.sinks.size()];
        if (std::isfinite(sink)) top = std::fmax(top, std::fabs(sink));
    }
    return 1 + top;
}

// The oracle's answer. For double it is worked out in long double: against itself it would be exact.
template <class T>
reference::answer<double> truth_of(const reference::problem& p) {
    if constexpr (std::is_same_v<T, double>) {
        const auto wide = reference::solve<long double>(p);
        const auto round = [](const std::vector<long double>& x) {
            return std::vector<double>(x.begin(), x.end());
        };
        return {round(wide.y),   round(wide.lse),    round(wide.weights),
                round(wide.raw), round(wide.capped), round(wide.biased)};
    } else {
        return reference::solve<double>(p);
    }
}

// The largest error of y as a share of what is allowed; more than 1 is a failure.
template <class T>
double excess(const reference::problem& p, const reference::answer<double>& a, const std::vector<double>& y) {
    const double eps = static_cast<double>(std::numeric_limits<sum_type<T>>::epsilon());
    double worst = 0;
    if (y.size() != a.y.size()) return std::numeric_limits<double>::infinity();
    std::vector<double> mass(static_cast<std::size_t>(p.d_v));  // sum of p |v| for each feature of a row
    std::size_t row = 0;
    for (long b = 0; b < p.batch; ++b)
        for (long h = 0; h < p.heads; ++h)
            for (long i = 0; i < p.queries; ++i, ++row) {
                const long kv = b * p.kv_heads + h / (p.heads / p.kv_heads);
                mass.assign(mass.size(), 0);
                for (long j = 0; j < p.keys; ++j) {
                    double weight =
                        a.weights[row * static_cast<std::size_t>(p.keys) + static_cast<std::size_t>(j)];
                    if (weight == 0) continue;
                    // What a function of the weight is made of may be larger than what it gives.
                    if (p.probability) weight += std::fabs(p.probability(weight, {b, h, i, j}));
                    if (p.keep) weight *= p.keep({b, h, i, j});
                    const double* v = p.v.data() + (kv * p.keys + j) * p.d_v;
                    for (std::size_t f = 0; f < mass.size(); ++f) mass[f] += weight * std::fabs(v[f]);
                }
                const double size = score_size(p, a, row);
                for (std::size_t f = 0; f < mass.size(); ++f) {
                    const double want = a.y[row * mass.size() + f], got = y[row * mass.size() + f];
                    if (std::isnan(want) && std::isnan(got)) continue;
                    if (std::isnan(want) != std::isnan(got)) return std::numeric_limits<double>::infinity();
                    double allowed = 4 * eps * mass[f] * size;
                    if constexpr (sizeof(T) == 2) allowed += 0.5 * ulp<T>(want) * (1 + 1e-3);
                    const double error = std::fabs(got - want);
                    if (error > 0) worst = std::fmax(worst, allowed > 0 ? error / allowed : HUGE_VAL);
                }
            }
    return worst;
}

// max over keys of scale sum |q k|: what the rounding of a dot product is proportional to. The score itself
// may be far smaller, where its terms cancel; a log-sum-exp over a single key is such a score.
inline double product_size(const reference::problem& p, std::size_t row) {
    const long queries = p.queries, heads = p.heads;
    const long r = static_cast<long>(row);
    const long b = r / queries / heads, h = r / queries % heads;
    const long kv = b * p.kv_heads + h / (heads / p.kv_heads);
    const double scale = p.scale ? std::fabs(*p.scale) : 1 / std::sqrt(double(p.d_k));
    double top = 0;
    for (long j = 0; j < p.keys; ++j) {
        double sum = 0;
        for (long f = 0; f < p.d_k; ++f) {
            const double product = p.q[static_cast<std::size_t>(r * p.d_k + f)] *
                                   p.k[static_cast<std::size_t>((kv * p.keys + j) * p.d_k + f)];
            if (std::isfinite(product)) sum += std::fabs(product);
        }
        top = std::fmax(top, scale * sum);
    }
    return top;
}

// The error of a log-sum-exp is the error of its scores, and of a logarithm of at most `keys`.
template <class T>
double excess_lse(const reference::problem& p, const reference::answer<double>& a,
                  const std::vector<double>& lse) {
    const double eps = static_cast<double>(std::numeric_limits<sum_type<T>>::epsilon());
    if (lse.size() != a.lse.size()) return std::numeric_limits<double>::infinity();
    double worst = 0;
    for (std::size_t row = 0; row < lse.size(); ++row) {
        const double want = a.lse[row], got = lse[row];
        if (std::isnan(want) && std::isnan(got)) continue;
        if (want == got) continue;  // infinities too
        const double error = std::fabs(got - want);
        if (!(error < HUGE_VAL)) return std::numeric_limits<double>::infinity();
        const double size =
            std::fmax(score_size(p, a, row), 1 + product_size(p, row)) + std::log1p(double(p.keys));
        worst = std::fmax(worst, error / (4 * eps * size));
    }
    return worst;
}

// Figure R2: no worse than 1.5 times the naive float computation, plus 2 ULP of the largest result.
template <class T>
bool as_good_as_naive(const std::vector<double>& got, const std::vector<double>& truth,
                      const std::vector<sum_type<T>>& naive) {
    return max_error(got, truth) <= 1.5 * max_error(naive, truth) + 2 * ulp<T>(max_abs(truth));
}

// y, and the log-sum-exp when given, against the oracle.
template <class T>
void check(const reference::problem& p, const reference::answer<double>& truth, const tensor<T>& y,
           const tensor<sum_type<T>, 3>* lse = nullptr) {
    const auto got = values(y);
    const double off = excess<T>(p, truth, got);
    const double off_lse = lse ? excess_lse<T>(p, truth, values(*lse)) : 0;
    if (!(off <= 1 && off_lse <= 1)) {
        INFO(describe(p) << ", " << worst_place(got, truth.y) << "; R3 exceeded " << off << " times by y, "
                         << off_lse << " times by the log-sum-exp");
        const auto naive = reference::solve<sum_type<T>>(p);
        CHECK((off <= 1 || as_good_as_naive<T>(got, truth.y, naive.y)));
        if (lse) CHECK((off_lse <= 1 || as_good_as_naive<sum_type<T>>(values(*lse), truth.lse, naive.lse)));
    } else {
        CHECK(off <= 1);
    }
    // An empty row is +0, never -0.
    long wrong = 0;
    for (std::size_t row = 0; row < p.rows(); ++row) {
        bool sees = false;
        for (std::size_t j = 0; j < static_cast<std::size_t>(p.keys); ++j)
            sees = sees || truth.biased[row * static_cast<std::size_t>(p.keys) + j] != -HUGE_VAL;
        wrong += !sees &&
                 !positive_zero(y.data() + static_cast<long>(row) * p.d_v, static_cast<std::size_t>(p.d_v));
    }
    if (wrong != 0) {
        INFO(describe(p) << ", empty rows that are not +0");
        CHECK(wrong == 0);
    }
}

template <class T>
void check(const reference::problem& p, const tensor<T>& y, const tensor<sum_type<T>, 3>* lse = nullptr) {
    check<T>(p, truth_of<T>(p), y, lse);
}

}  // namespace support
