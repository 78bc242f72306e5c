// SPDX-License-Identifier: MIT
// tests/linear/bitwise.cpp: the same bits for any threads, batch, position in the batch and grouping (R7)
#define EIGEN_USE_THREADS
#include <heed/thread_pool.hpp>

#include "support/linear_gradient_call.hpp"

namespace {

using support::linear_problem;
using support::rule;

struct bits {
    std::vector<std::vector<float>> all;
    bool operator==(const bits& other) const {
        for (std::size_t i = 0; i < all.size(); ++i)
            if (!support::same_bits(all[i], other.all[i])) return false;
        return all.size() == other.all.size();
    }
};

// Forward and backward, every output. Only the options of the problem's rule are written to.
template <class... Extra>
bits solve(const linear_problem& p, const std::vector<double>& dy, const Extra&... extra) {
    const support::linear_inputs<float> in(p);
    support::linear_gradient_outputs<float> out(p);
    support::tensor<float> y(p.batch, p.heads, p.queries, p.d_v),
        state(p.batch, p.kv_heads, p.feature_count(), p.columns());
    support::with_rule(p, in, [&](const auto&... options) {
        heed::linear_attention_into(y, in.q, in.k, in.v, heed::causal, heed::final_state(state), options...,
                                    extra...);
    });
    const auto dy_tensor = support::tensor4<float>(dy, p.batch, p.heads, p.queries, p.d_v);
    support::with_rule_gradients(p, in, out, [&](const auto&... options) {
        heed::linear_attention_backward_into(out.q, out.k, out.v, dy_tensor, in.q, in.k, in.v, heed::causal,
                                             options..., extra...);
    });
    return {{support::elements(y), support::elements(state), support::elements(out.q),
             support::elements(out.k), support::elements(out.v), support::elements(out.decay),
             support::elements(out.feature_decay), support::elements(out.beta)}};
}

// Rows [first, last) of the outermost axis, of which there are `rows`.
std::vector<double> cut(const std::vector<double>& x, long rows, long first, long last) {
    if (x.empty()) return {};
    const long width = static_cast<long>(x.size()) / rows;
    return {x.begin() + first * width, x.begin() + last * width};
}
std::vector<float> cut(const std::vector<float>& x, long rows, long first, long last) {
    const long width = static_cast<long>(x.size()) / rows;
    return {x.begin() + first * width, x.begin() + last * width};
}

// Key heads [first, last) of one batch entry as a problem of its own.
linear_problem heads_of(const linear_problem& p, long first, long last) {
    linear_problem part = p;
    const long all = p.batch * p.kv_heads, group = p.heads / p.kv_heads;
    part.batch = 1, part.kv_heads = last - first, part.heads = part.kv_heads * group;
    part.q = cut(p.q, all, first, last), part.k = cut(p.k, all, first, last),
    part.v = cut(p.v, all, first, last);
    part.g = cut(p.g, all, first, last), part.beta = cut(p.beta, all, first, last);
    return part;
}

linear_problem sample(support::random& r, rule kind, long batch, long kv_heads, long group, long n) {
    auto p = support::linear<float>(
        r, {batch, kv_heads * group, kv_heads, n, n, r.between(1, 17), r.between(1, 17)}, kind);
    p.causal = true;
    return p;
}

}  // namespace

TEST_CASE("1 to 8 threads, and an Eigen device") {
    support::random r(2901);
    Eigen::ThreadPool eigen_pool(3);
    const Eigen::ThreadPoolDevice device(&eigen_pool, 3);
    for (const rule kind : support::all_rules)
        for (const long n : {1L, 70L, 700L}) {  // 700: one head is spread over threads, too
            const auto p = sample(r, kind, n == 700 ? 1 : 2, n == 700 ? 1 : 2, 2, n);
            const auto dy = support::output_gradient<float>(r, p);
            const auto alone = solve(p, dy);
            INFO(support::describe(p));
            for (int threads = 1; threads <= 8; ++threads) {
                const heed::thread_pool pool(threads);
                CHECK(solve(p, dy, heed::on(pool)) == alone);
            }
            CHECK(solve(p, dy, heed::on(device)) == alone);
        }
}

// Each thread's scratch is small, that of all of them is not.
TEST_CASE("steps of wide heads on 8 threads") {
    support::random r(2906);
    const heed::thread_pool pool(8);
    for (const rule kind : support::all_rules) {
        auto p = support::linear<float>(r, {2, 16, 16, 1, 1, 64, 64}, kind);
        p.causal = true;
        const auto dy = support::output_gradient<float>(r, p);
        const auto alone = solve(p, dy);
        for (int i = 0; i < 20; ++i) CHECK(solve(p, dy, heed::on(pool)) == alone);
    }
}

TEST_CASE("again and again on one pool") {
    support::random r(2902);
    const heed::thread_pool pool(4);
    const auto p = sample(r, rule::gated_delta, 2, 2, 1, 150);
    const auto dy = support::output_gradient<float>(r, p);
    const auto alone = solve(p, dy);
    long wrong = 0;
    for (int i = 0; i < 300; ++i) wrong += !(solve(p, dy, heed::on(pool)) == alone);
    CHECK(wrong == 0);
}

TEST_CASE("a head by itself, wherever it stood") {
    support::random r(2903);
    for (const rule kind : support::all_rules)
        for (int i = 0; i < 6; ++i) {
            const auto p = sample(r, kind, r.between(1, 3), r.between(1, 3), r.between(1, 3),
                                  support::linear_length(r, 200));
            const auto dy = support::output_gradient<float>(r, p);
            const auto whole = solve(p, dy);
            const long all = p.batch * p.kv_heads, at = r.between(0, all - 1);
            const auto one = solve(heads_of(p, at, at + 1), cut(dy, all, at, at + 1));
            bool same = true;
            for (std::size_t x = 0; x < whole.all.size(); ++x) {
                const bool unused = (x == 5 && (p.g.empty() || p.decay_per_feature)) ||
                                    (x == 6 && !p.decay_per_feature) || (x == 7 && p.beta.empty());
                same = same && (unused || support::same_bits(cut(whole.all[x], all, at, at + 1), one.all[x]));
            }
            INFO(support::describe(p) << ", key head " << at);
            CHECK(same);
        }
}

TEST_CASE("grouped heads are repeated heads") {
    support::random r(2904);
    for (const rule kind : support::all_rules) {
        const auto p = sample(r, kind, 2, 2, 3, 130);
        auto repeated = p;
        repeated.kv_heads = p.heads;
        const auto repeat = [&](std::vector<double>& x) {
            std::vector<double> y;
            const long all = p.batch * p.kv_heads;
            for (long h = 0; h < all && !x.empty(); ++h)
                for (int copy = 0; copy < 3; ++copy) {
                    const auto rows = cut(x, all, h, h + 1);
                    y.insert(y.end(), rows.begin(), rows.end());
                }
            x = y;
        };
        repeat(repeated.k), repeat(repeated.v), repeat(repeated.g), repeat(repeated.beta);
        const auto dy = support::output_gradient<float>(r, p);
        CHECK(support::same_bits(solve(p, dy).all[0], solve(repeated, dy).all[0]));
        CHECK(support::same_bits(solve(p, dy).all[2], solve(repeated, dy).all[2]));  // dq
    }
}

TEST_CASE("a row is that of its prefix, to the bit") {
    support::random r(2905);
    for (const rule kind : support::all_rules) {
        const auto p = sample(r, kind, 1, 1, 2, 200);
        const auto run = [&](long n) {
            support::tensor<float> y(1, 2, n, p.d_v);
            auto prefix = p;
            prefix.queries = prefix.keys = n;
            const auto first = [&](std::vector<double>& x, long heads) {
                std::vector<double> kept;
                const long width = x.empty() ? 0 : static_cast<long>(x.size()) / heads / 200;
                for (long h = 0; h < heads && !x.empty(); ++h)
                    kept.insert(kept.end(), x.begin() + h * 200 * width, x.begin() + (h * 200 + n) * width);
                x = kept;
            };
            first(prefix.q, 2), first(prefix.k, 1), first(prefix.v, 1), first(prefix.g, 1),
                first(prefix.beta, 1);
            const support::linear_inputs<float> part(prefix);
            support::with_rule(prefix, part, [&](const auto&... options) {
                heed::linear_attention_into(y, part.q, part.k, part.v, heed::causal, options...);
            });
            return y;
        };
        const auto whole = run(200);
        for (const long n : {1L, 5L, 63L, 64L, 65L, 130L, 199L}) {
            const auto y = run(n);
            bool same = true;
            for (long h = 0; h < 2; ++h)
                same = same && support::same_bits(y.data() + h * n * p.d_v, whole.data() + h * 200 * p.d_v,
                                                  static_cast<std::size_t>(n * p.d_v));
            INFO(support::describe(p) << ", the first " << n);
            CHECK(same);
        }
    }
}
