// SPDX-License-Identifier: MIT
// tests/select/top_k.cpp: top_k, top_fraction and hard_attention against sorted scores
#include <heed/sparse.hpp>

#include "support/call.hpp"
#include "support/choice.hpp"

namespace {

auto best(long k) {
    return [k](const std::vector<double>& row, reference::place) { return support::best_of(row, k); };
}
auto best_share(double fraction) {
    return [fraction](const std::vector<double>& row, reference::place) {
        const long hidden = std::count(row.begin(), row.end(), -HUGE_VAL);
        const long visible = static_cast<long>(row.size()) - hidden;
        return support::best_of(row, support::share_of(fraction, visible));
    };
}
void causal(reference::problem& p) {
    const long offset = p.keys - p.queries;
    p.visible = [offset](reference::place i) { return i.key <= i.query + offset; };
}

}  // namespace

TEST_CASE("the k best keys, ties to the lowest") {
    support::for_problems<float>(801, 72, [](reference::problem& p, support::random& r) {
        support::make_whole(p, r);
        const long k = r.skewed(1, p.keys + 3);
        if (r.chance(0.5)) {
            causal(p);
            support::keep_only(p, best(k));
            support::check_call<float>(p, heed::causal, heed::top_k(k), heed::scale(*p.scale));
        } else {
            support::keep_only(p, best(k));
            support::check_call<float>(p, heed::top_k(k), heed::scale(*p.scale));
        }
    });
}

TEST_CASE("the best share of what a query sees, rounded up") {
    support::for_problems<float>(802, 72, [](reference::problem& p, support::random& r) {
        support::make_whole(p, r);
        const double fraction = r.chance(0.2) ? 1.0 : r.chance(0.5) ? 0.25 : r.uniform(1e-3, 1);
        causal(p);
        support::keep_only(p, best_share(fraction));
        support::check_call<float>(p, heed::causal, heed::top_fraction(fraction), heed::scale(*p.scale));
    });
}

TEST_CASE("a share that is a whole number is not rounded up") {
    // 0.07 * 100 is a little more than 7 in double.
    support::random r(803);
    auto p = support::problem<float>(r, 1, 1, 1, 20, 100, 8, 8);
    support::make_whole(p, r);
    support::keep_only(p, best(7));
    support::check_call<float>(p, heed::top_fraction(0.07), heed::scale(*p.scale));
}

TEST_CASE("the best key alone gives its value") {
    support::for_problems<float>(804, 32, [](reference::problem& p, support::random& r) {
        support::make_whole(p, r, 1);
        causal(p);
        support::keep_only(p, best(1));
        const support::inputs<float> in(p);
        const auto y =
            heed::attention(in.q, in.k, in.v, heed::causal, heed::hard_attention(), heed::scale(*p.scale));
        long wrong = 0;
        for (long row = 0; row < static_cast<long>(p.rows()); ++row)
            for (long f = 0; f < p.d_v; ++f) {
                const long b = row / p.queries / p.heads, h = row / p.queries % p.heads;
                float want = 0;
                for (long j = 0; j < p.keys; ++j)
                    if (p.visible({b, h, row % p.queries, j}))
                        want = in.v(b, h / (p.heads / p.kv_heads), j, f);
                wrong += !(y.data()[row * p.d_v + f] == want);
            }
        INFO(support::describe(p));
        CHECK(wrong == 0);
    });
}

TEST_CASE("all keys are kept where k is larger, with the result of no selection") {
    support::for_problems<float>(805, 40, [](reference::problem& p, support::random& r) {
        causal(p);
        support::check_call<float>(p, heed::causal, heed::top_k(p.keys + r.between(0, 5)));
        support::check_call<float>(p, heed::causal, heed::top_fraction(1));
    });
}

TEST_CASE("other element types") {
    const auto checked = [](auto zero, std::uint64_t seed) {
        using T = decltype(zero);
        support::for_problems<T>(seed, 24, [](reference::problem& p, support::random& r) {
            support::make_whole(p, r);
            causal(p);
            support::keep_only(p, best_share(0.25));
            support::check_call<T>(p, heed::causal, heed::top_fraction(0.25), heed::scale(*p.scale));
        });
    };
    checked(double{}, 806);
    checked(Eigen::half{}, 807);
    checked(Eigen::bfloat16{}, 808);
}
