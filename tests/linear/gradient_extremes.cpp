// SPDX-License-Identifier: MIT
// tests/linear/gradient_extremes.cpp: the backward under decays from nothing to everything, and bad numbers
//
// The gradient of a decay is a difference of sums over all later positions: a position in front of a reset
// must not see what stands behind it, and none may be NaN. A NaN in dy, q, k or v of one head reaches no
// gradient of another; a NaN in dy at position t reaches dk and dv up to t only, and dq at t only.
#include <heed/thread_pool.hpp>

#include "support/linear_gradient_call.hpp"
#include "support/traps.hpp"

namespace {

using support::linear_problem;
using support::rule;

constexpr rule gated_rules[] = {rule::gated, rule::gated_features, rule::gated_delta,
                                rule::gated_features_delta};

template <class... Extra>
support::linear_gradient_outputs<float> solve(const linear_problem& p, const std::vector<double>& dy,
                                              const Extra&... extra) {
    const support::linear_inputs<float> in(p);
    support::linear_gradient_outputs<float> out(p);
    const auto dy_tensor = support::tensor4<float>(dy, p.batch, p.heads, p.queries, p.d_v);
    support::with_rule_gradients(p, in, out, [&](const auto&... options) {
        heed::linear_attention_backward_into(out.q, out.k, out.v, dy_tensor, in.q, in.k, in.v, heed::causal,
                                             options..., extra...);
    });
    return out;
}

template <class F>
void with_decays(std::uint64_t seed, const F& log_decay) {
    support::random r(seed);
    for (const rule kind : gated_rules)
        for (int i = 0; i < 10; ++i) {
            auto p = support::linear<float>(r, support::random_linear_shape(r, true, 200), kind);
            const long width = p.decay_per_feature ? p.d_k : 1;
            for (std::size_t at = 0; at < p.g.size(); ++at) {
                const long t = static_cast<long>(at) / width % p.keys;
                p.g[at] =
                    static_cast<double>(static_cast<float>(log_decay(r, t, static_cast<long>(at) % width)));
            }
            const auto dy = support::output_gradient<float>(r, p);
            support::check_gradients<float>(p, dy, {}, solve(p, dy));
        }
}

}  // namespace

TEST_CASE("no decay, -10, -1000, -1e30 a step") {
    for (const double g : {0.0, -10.0, -1000.0, -1e30, -3.4e38})
        with_decays(4001, [=](support::random&, long, long) { return g; });
}
TEST_CASE("features that forget at once beside features that never do") {
    with_decays(4002, [](support::random&, long, long f) {
        return f % 3 == 0 ? -1000.0 : f % 3 == 1 ? 0.0 : -0.01;
    });
}
TEST_CASE("resets now and then, small decays between") {
    for (const double reset : {-30.0, -500.0, -1e6, -1e30})
        with_decays(4003, [=](support::random& r, long, long) {
            return r.chance(0.05) ? reset : -0.3 * r.uniform();
        });
}
TEST_CASE("a reset at the edges of a chunk") {
    for (const long at : {0L, 15L, 16L, 63L, 64L, 128L})
        with_decays(4004,
                    [=](support::random& r, long t, long) { return t == at ? -1e30 : -0.1 * r.uniform(); });
}

namespace {

enum class where { dy, q, k, v };

// Rows of a gradient whose bits changed, of (heads, positions, features).
template <class F>
long changed_rows(const support::tensor<float>& a, const support::tensor<float>& b, const F& may_change) {
    long changed = 0;
    const long n = a.dimension(2), d = a.dimension(3);
    for (long row = 0; row < a.size() / d; ++row)
        changed += !may_change(row / n, row % n) &&
                   !support::same_bits(a.data() + row * d, b.data() + row * d, static_cast<std::size_t>(d));
    return changed;
}

}  // namespace

TEST_CASE("a bad number reaches no other head, and of dy no position that came later, on any threads") {
    const heed_test::without_traps quiet;
    constexpr double poisons[] = {std::numeric_limits<double>::quiet_NaN(), HUGE_VAL, -HUGE_VAL};
    const heed::thread_pool lanes(3);
    support::random r(4005);
    for (const rule kind : support::all_rules)
        for (int i = 0; i < 25; ++i) {
            auto p = support::linear<float>(r, support::random_linear_shape(r, true, 200), kind);
            p.causal = true;
            auto dy = support::output_gradient<float>(r, p);
            const auto clean = solve(p, dy);
            const long group = p.heads / p.kv_heads, kv = r.between(0, p.batch * p.kv_heads - 1);
            const long head = kv * group + r.between(0, group - 1), t = r.between(0, p.keys - 1);
            const where in = static_cast<where>(r.between(0, 3));
            const double with = poisons[r.between(0, 2)];
            const auto poison = [&](std::vector<double>& x, long row, long width) {
                support::overwrite(r, x, row * width, width, with);
            };
            if (in == where::dy) poison(dy, head * p.queries + t, p.d_v);
            if (in == where::q) poison(p.q, head * p.queries + t, p.d_k);
            if (in == where::k) poison(p.k, kv * p.keys + t, p.d_k);
            if (in == where::v) poison(p.v, kv * p.keys + t, p.d_v);
            const auto bad = solve(p, dy, heed::on(lanes));
            long changed = changed_rows(clean.q, bad.q, [&](long h, long n) {
                return in == where::dy || in == where::q ? h == head && n == t : h / group == kv && n >= t;
            });
            // A normalised row's own gradient holds its output, so a bad query is bad in dk and dv up to t;
            // bad keys and values reach every gradient of their head.
            const auto of_keys = [&](long h, long n) {
                return h == kv && (in == where::k || in == where::v || n <= t);
            };
            changed += changed_rows(clean.k, bad.k, of_keys) + changed_rows(clean.v, bad.v, of_keys);
            INFO(support::describe(p) << ", " << with << " in " << static_cast<int>(in) << " of head " << head
                                      << " position " << t);
            CHECK(changed == 0);
        }
}

TEST_CASE("finite numbers never give NaN") {
    support::random r(4006);
    constexpr double sizes[] = {0, 1e-45, 1e-38, 1e-10, 1e-3, 1, 30, 88, 100, 1000};
    const auto number = [&] { return sizes[r.between(0, 9)] * r.uniform(-1, 1); };
    for (int i = 0; i < 300; ++i) {
        const rule kind = support::all_rules[r.between(0, 5)];
        auto shape = support::random_linear_shape(r, true, 130);
        shape.d_k = r.skewed(1, 12), shape.d_v = r.skewed(1, 12);
        auto p = support::linear<float>(r, shape, kind);
        p.causal = true;
        for (double& x : p.q) x = number();
        if (!support::has_delta(kind))
            for (double& x : p.k) x = number();
        for (double& x : p.v) x = number();
        for (double& x : p.g) x = -std::fabs(r.chance(0.1) ? 1e38 : number());
        std::vector<double> dy(p.y_size());
        for (double& x : dy) x = number();
        const auto out = solve(p, dy);
        long nan = 0;
        const auto count = [&](const auto& t, bool used) {
            for (long at = 0; used && at < t.size(); ++at) nan += std::isnan(t.data()[at]);
        };
        count(out.q, true), count(out.k, true), count(out.v, true), count(out.beta, !p.beta.empty());
        count(out.decay, !p.g.empty() && !p.decay_per_feature), count(out.feature_decay, p.decay_per_feature);
        INFO(support::describe(p) << ", round " << i);
        CHECK(nan == 0);
    }
}
