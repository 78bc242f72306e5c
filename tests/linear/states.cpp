// SPDX-License-Identifier: MIT
// tests/linear/states.cpp: a run cut anywhere, and position by position, is the run in one call (R23)
#include "support/linear_call.hpp"
#include "support/traps.hpp"

namespace {

using support::features;
using support::linear_problem;
using support::rule;

// Positions first to last of every input, as views; f(q, k, v, options...).
template <class T, class F>
void part(const linear_problem& p, const support::linear_inputs<T>& in, long first, long last, const F& f) {
    const auto cut = [&](const auto& t) { return heed::as_view(t).slice_positions(first, last - first); };
    // (batch, kv_head, position) as it stands; a copy, since a view has four axes.
    const auto copy = [&](const support::tensor<T, 3>& t) {
        support::tensor<T, 3> c;
        if (t.size() > 0)
            c = t.slice(Eigen::array<long, 3>{0, 0, first},
                        Eigen::array<long, 3>{t.dimension(0), t.dimension(1), last - first});
        return c;
    };
    const auto g = copy(in.decay), beta = copy(in.beta);
    const auto with_delta = [&](const auto&... options) {
        if (p.beta.empty())
            f(cut(in.q), cut(in.k), cut(in.v), options...);
        else
            f(cut(in.q), cut(in.k), cut(in.v), heed::delta(beta), options...);
    };
    if (p.g.empty())
        with_delta();
    else if (p.decay_per_feature)
        with_delta(heed::decay(cut(in.feature_decay)));
    else
        with_delta(heed::decay(g));
}

template <class T>
struct run {
    support::tensor<T> y;
    support::tensor<support::sum_type<T>> state;
};

// Over the parts that end at `ends`, the state handed on by state(t) or by a pair of its own.
template <class T>
run<T> in_parts(const linear_problem& p, const std::vector<long>& ends, bool one_tensor) {
    const support::linear_inputs<T> in(p);
    run<T> out{{p.batch, p.heads, p.queries, p.d_v}, {p.batch, p.kv_heads, p.feature_count(), p.columns()}};
    out.state.setZero();
    if (!p.initial.empty()) out.state = in.initial;
    long first = 0;
    for (const long last : ends) {
        part(p, in, first, last, [&](const auto& q, const auto& k, const auto& v, const auto&... options) {
            const auto y = heed::as_view(out.y).slice_positions(first, last - first);
            if (one_tensor) {
                heed::linear_attention_into(y, q, k, v, heed::causal, options..., heed::state(out.state));
            } else {
                const auto before = out.state;
                heed::linear_attention_into(y, q, k, v, heed::causal, options..., heed::initial_state(before),
                                            heed::final_state(out.state));
            }
        });
        first = last;
    }
    return out;
}

template <class T>
linear_problem sample(support::random& r, rule kind) {
    auto p = support::linear<T>(r, support::random_linear_shape(r, true), kind);
    p.causal = true;
    if (r.chance(0.3)) support::give_initial_state<support::sum_type<T>>(r, p);
    return p;
}

template <class T>
void cut_anywhere(std::uint64_t seed, int count) {
    support::random r(seed);
    for (const rule kind : support::all_rules)
        for (int i = 0; i < count; ++i) {
            const auto p = sample<T>(r, kind);
            std::vector<long> ends;  // some parts are empty, some a single position
            for (long n = r.between(1, 6); n > 0; --n) {
                ends.push_back(r.between(0, p.keys));
                if (r.chance(0.3)) ends.push_back(std::min(p.keys, ends.back() + 1));
            }
            std::sort(ends.begin(), ends.end());
            ends.push_back(p.keys);
            const auto out = in_parts<T>(p, ends, i % 2 == 0);
            const auto state = support::values(out.state);
            INFO(ends.size() << " parts, the first of " << ends[0]);
            support::check_linear<T>(p, support::values(out.y), &state);
        }
}

}  // namespace

TEST_CASE("float, cut anywhere") { cut_anywhere<float>(2301, 25); }
TEST_CASE("double, cut anywhere") { cut_anywhere<double>(2302, 8); }
TEST_CASE("half, cut anywhere: the state stays float") { cut_anywhere<Eigen::half>(2303, 8); }
TEST_CASE("bfloat16, cut anywhere: the state stays float") { cut_anywhere<Eigen::bfloat16>(2304, 8); }

TEST_CASE("chunked is recurrent within 8 ULP of the state's scale") {
    support::random r(2305);
    for (const rule kind : support::all_rules)
        for (int i = 0; i < 12; ++i) {
            const auto p = sample<float>(r, kind);
            std::vector<long> steps;
            for (long t = 1; t <= p.keys; ++t) steps.push_back(t);
            const auto chunked = in_parts<float>(p, {p.keys}, true),
                       recurrent = in_parts<float>(p, steps, true);
            const auto truth = reference::solve_linear<double>(p);
            const double scale = support::ulp<float>(support::max_abs(truth.state_size));
            const auto a = support::values(chunked.state), b = support::values(recurrent.state);
            INFO(support::describe(p) << ", " << support::worst_place(a, b));
            CHECK(support::max_error(a, b) <= 8 * scale);
            support::check_linear<float>(p, support::values(recurrent.y), &b);
        }
}

// The same states, to the bit, where numbers of a row stand side by side and where they do not.
TEST_CASE("a short call on a state has the bits of a longer call's first rows, wherever the state stands") {
    support::random r(2309);
    for (const rule kind : support::all_rules)
        for (int i = 0; i < 6; ++i) {
            const long heads = r.between(1, 3), n = 70;
            auto p =
                support::linear<float>(r,
                                       {r.between(1, 2), heads * r.between(1, 3), heads, n, n,
                                        r.skewed(1, 40), i < 3 ? 16 * r.between(1, 9) : r.between(1, 70)},
                                       kind);
            p.causal = true;
            const bool one_more = i % 2 == 1 && !support::has_delta(kind);
            if (one_more) support::use_map(p, features::elu1), p.normalised = true;
            support::give_initial_state<float>(r, p);
            const support::linear_inputs<float> in(p);
            const auto run = [&](long count, auto& y, const auto&... states) {
                part(p, in, 0, count, [&](const auto& q, const auto& k, const auto& v, const auto&... rest) {
                    constexpr bool delta =
                        (heed::detail::option_of_kind<decltype(rest), heed::option_kind::delta> || ... ||
                         false);
                    if constexpr (!delta)
                        if (one_more)
                            return heed::linear_attention_into(y, q, k, v, heed::causal, heed::elu1,
                                                               heed::normalised, states..., rest...);
                    heed::linear_attention_into(y, q, k, v, heed::causal, states..., rest...);
                });
            };
            support::tensor<float> whole(p.batch, p.heads, n, p.d_v);
            run(n, whole, heed::initial_state(in.initial));
            for (long count = 1; count <= 17; ++count) {
                support::tensor<float> y(p.batch, p.heads, count, p.d_v), again(y.dimensions());
                support::tensor<float> there(in.initial.dimensions()),
                    here = in.initial, turned = in.initial.shuffle(Eigen::array<int, 4>{0, 1, 3, 2});
                run(count, y, heed::initial_state(in.initial), heed::final_state(there));
                run(count, again, heed::state(here));
                bool same = support::same_bits(support::elements(y), support::elements(again)) &&
                            support::same_bits(support::elements(there), support::elements(here));
                const auto agrees = [&](const support::tensor<float>& state) {
                    same = same && support::same_bits(support::elements(y), support::elements(again)) &&
                           support::same_bits(support::elements(there), support::elements(state));
                };
                const auto back = [&] {
                    return support::tensor<float>(turned.shuffle(Eigen::array<int, 4>{0, 1, 3, 2}));
                };
                const auto strided = heed::transposed(heed::as_view(turned));
                run(count, again, heed::state(strided));
                agrees(back());
                turned.setConstant(-77);
                run(count, again, heed::initial_state(in.initial), heed::final_state(strided));
                agrees(back());
                // Columns of a wider tensor, whose others stay as they are.
                support::tensor<float> wide(p.batch, p.kv_heads, p.d_k, p.columns() + 3);
                const Eigen::array<long, 4> from{0, 0, 0, 1}, size = in.initial.dimensions();
                wide.setConstant(-77);
                const auto part_of_it = heed::as_view(wide).slice_features(1, p.columns());
                run(count, again, heed::initial_state(in.initial), heed::final_state(part_of_it));
                agrees(support::tensor<float>(wide.slice(from, size)));
                wide.slice(from, size) = in.initial;
                run(count, again, heed::state(part_of_it));
                agrees(support::tensor<float>(wide.slice(from, size)));
                for (long row = 0; row < p.batch * p.kv_heads * p.d_k; ++row) {
                    const float* const edge = wide.data() + row * (p.columns() + 3);
                    same = same && edge[0] == -77 && edge[p.columns() + 1] == -77 &&
                           edge[p.columns() + 2] == -77;
                }
                for (long head = 0; head < p.batch * p.heads; ++head)
                    same = same && support::same_bits(y.data() + head * count * p.d_v,
                                                      whole.data() + head * n * p.d_v,
                                                      static_cast<std::size_t>(count * p.d_v));
                INFO(support::describe(p) << ", the first " << count);
                CHECK(same);
            }
        }
}

TEST_CASE("a step with a decay of NaN leaves NaN, and one of -inf nothing of the state") {
    const heed_test::without_traps quiet;
    support::random r(2310);
    for (const rule kind :
         {rule::gated, rule::gated_features, rule::gated_delta, rule::gated_features_delta}) {
        auto p = support::linear<float>(r, {1, 2, 1, 1, 1, 20, 40}, kind);
        p.causal = true;
        support::give_initial_state<float>(r, p);
        for (const double g : {std::nan(""), -HUGE_VAL}) {
            std::fill(p.g.begin(), p.g.end(), g);
            const auto out = in_parts<float>(p, {1}, true);
            long wrong = 0;
            if (std::isnan(g)) {
                for (long i = 0; i < out.y.size(); ++i) wrong += !std::isnan(out.y.data()[i]);
                for (long i = 0; i < out.state.size(); ++i) wrong += !std::isnan(out.state.data()[i]);
            } else {
                auto empty = p;
                empty.initial.clear(), std::fill(empty.g.begin(), empty.g.end(), -1);
                const auto alone = in_parts<float>(empty, {1}, true);
                for (long i = 0; i < out.y.size(); ++i) wrong += out.y.data()[i] != alone.y.data()[i];
                for (long i = 0; i < out.state.size(); ++i)
                    wrong += out.state.data()[i] != alone.state.data()[i];
            }
            INFO(support::describe(p) << ", decay " << g);
            CHECK(wrong == 0);
        }
    }
}

TEST_CASE("a first token, without a state and with one") {
    support::random r(2306);
    for (const rule kind : support::all_rules)
        for (const bool with_state : {false, true}) {
            auto p = support::linear<float>(r, {2, 4, 2, 1, 1, 5, 3}, kind);
            p.causal = true;
            if (with_state) support::give_initial_state<float>(r, p);
            const auto out = in_parts<float>(p, {1}, true);
            const auto state = support::values(out.state);
            support::check_linear<float>(p, support::values(out.y), &state);
        }
    // The mean of one value is that value.
    const auto p = support::linear<float>(r, {1, 1, 1, 1, 1, 4, 6}, rule::linear);
    const support::linear_inputs<float> in(p);
    const support::tensor<float> y = heed::linear_attention(in.q, in.k, in.v, heed::causal);
    for (long e = 0; e < 6; ++e)
        CHECK(std::fabs(y(0, 0, 0, e) - in.v(0, 0, 0, e)) <= 4e-7f * std::fabs(in.v(0, 0, 0, e)));
}

TEST_CASE("maps with features of their own keep a row of the state for each") {
    support::random r(2307);
    for (const long d : {1L, 3L, 7L}) {
        const long n = 1 + d + d * (d + 1) / 2;
        auto p = support::linear<float>(r, {1, 2, 1, 90, 90, d, 4}, rule::linear);
        support::use_map(p, features::taylor);
        p.causal = true;
        const support::linear_inputs<float> in(p);
        support::tensor<float> state(1, 1, n, 5), y(1, 2, 90, 4);
        state.setZero();
        for (const auto& [first, last] : {std::pair{0L, 37L}, {37L, 90L}}) {
            const auto cut = [&, a = first, b = last](auto& t) {
                return heed::as_view(t).slice_positions(a, b - a);
            };
            heed::linear_attention_into(cut(y), cut(in.q), cut(in.k), cut(in.v), heed::causal, heed::taylor,
                                        heed::state(state));
        }
        support::check_linear<float>(p, support::values(y));
    }
}

TEST_CASE("no positions leave the state as it was, and an absent state is one of zeros") {
    support::random r(2308);
    for (const rule kind : support::all_rules) {
        auto p = support::linear<float>(r, {2, 2, 2, 70, 70, 5, 4}, kind);
        p.causal = true;
        const auto whole = in_parts<float>(p, {70}, true);
        auto after = whole.state;
        const support::linear_inputs<float> full(p);
        part(p, full, 30, 30, [&](const auto& q, const auto& k, const auto& v, const auto&... options) {
            CHECK(heed::linear_attention(q, k, v, heed::causal, heed::state(after), options...).size() == 0);
        });
        CHECK(support::same_bits(support::elements(after), support::elements(whole.state)));

        support::with_rule(p, full, [&](const auto&... options) {
            const support::tensor<float> y =
                heed::linear_attention(full.q, full.k, full.v, heed::causal, options...);
            CHECK(support::same_bits(support::elements(y), support::elements(whole.y)));
        });
    }
}
