// SPDX-License-Identifier: MIT
// tests/support/linear_call.hpp: a problem of linear attention through heed, and the result against the
// oracle
//
// Every element may be wrong by 4 eps of the size of what was added up to make it (linear_reference.hpp),
// eps of the type that sums are kept in; plus the rounding of the result for the 16-bit types. 8 eps under
// the delta rule, whose size is one term's and not the sum's: a chunk adds up 64 corrections. Where that
// is exceeded, the result has to be as good as the naive float computation: 1.5 times its largest error
// and 2 ULP of the largest result.
#pragma once

#include <heed/linear.hpp>

#include "check.hpp"
#include "linear_problems.hpp"

namespace support {

template <class T>
tensor<T, 3> tensor3(const std::vector<double>& x, long a, long b, long c) {
    tensor<T, 3> t(a, b, c);
    for (long i = 0; i < t.size(); ++i) t.data()[i] = narrow<T>(x[static_cast<std::size_t>(i)]);
    return t;
}

// An unused input is an empty tensor.
template <class T>
struct linear_inputs {
    tensor<T> q, k, v;
    tensor<T, 3> decay, beta;
    tensor<T> feature_decay;
    tensor<sum_type<T>> initial;

    explicit linear_inputs(const linear_problem& p)
        : q(tensor4<T>(p.q, p.batch, p.heads, p.queries, p.d_k)),
          k(tensor4<T>(p.k, p.batch, p.kv_heads, p.keys, p.d_k)),
          v(tensor4<T>(p.v, p.batch, p.kv_heads, p.keys, p.d_v)) {
        if (!p.g.empty() && p.decay_per_feature)
            feature_decay = tensor4<T>(p.g, p.batch, p.kv_heads, p.keys, p.d_k);
        else if (!p.g.empty())
            decay = tensor3<T>(p.g, p.batch, p.kv_heads, p.keys);
        if (!p.beta.empty()) beta = tensor3<T>(p.beta, p.batch, p.kv_heads, p.keys);
        if (!p.initial.empty())
            initial = tensor4<sum_type<T>>(p.initial, p.batch, p.kv_heads, p.feature_count(), p.columns());
    }
};

// f(options...): the decay of the problem.
template <class T, class F>
void with_decay(const linear_problem& p, const linear_inputs<T>& in, const F& f) {
    if (p.g.empty())
        f();
    else if (p.decay_per_feature)
        f(heed::decay(in.feature_decay));
    else
        f(heed::decay(in.decay));
}

// f(options...): the decay and delta of the problem.
template <class T, class F>
void with_rule(const linear_problem& p, const linear_inputs<T>& in, const F& f) {
    with_decay(p, in, [&](const auto&... options) {
        if (p.beta.empty())
            f(options...);
        else
            f(options..., heed::delta(in.beta));
    });
}

// The map `custom` stands for, everywhere.
inline constexpr auto custom_map = [](auto x) { return x * x + decltype(x)(0.5f); };
inline constexpr auto custom_slope = [](auto x) { return x + x; };
inline void use_map(linear_problem& p, features map) {
    p.map = map;
    p.f = custom_map, p.df = custom_slope;
}

template <class F>
void with_map(features map, const F& f) {
    switch (map) {
        case features::elu1:
            return f(heed::elu1);
        case features::relu:
            return f(heed::relu);
        case features::identity:
            return f(heed::identity);
        case features::softmax:
            return f(heed::softmax_features);
        case features::taylor:
            return f(heed::taylor);
        case features::custom:
            return f(heed::feature_map(custom_map, custom_slope));
        case features::efficient:
            return;  // a preset of its own
    }
}

template <class T>
reference::linear_answer<double> linear_truth(const linear_problem& p) {
    if constexpr (std::is_same_v<T, double>) {
        const auto wide = reference::solve_linear<long double>(p);
        const auto round = [](const std::vector<long double>& x) {
            return std::vector<double>(x.begin(), x.end());
        };
        return {round(wide.y), round(wide.y_size), round(wide.state), round(wide.state_size)};
    } else {
        return reference::solve_linear<double>(p);
    }
}

// The largest error as a share of what is allowed, `factor` eps; T is the type of the elements compared.
template <class T>
double size_excess(const std::vector<double>& got, const std::vector<double>& want,
                   const std::vector<double>& size, double factor = 4) {
    if (got.size() != want.size()) return HUGE_VAL;
    const double eps = static_cast<double>(std::numeric_limits<sum_type<T>>::epsilon());
    double worst = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
        if (std::isnan(got[i]) && std::isnan(want[i])) continue;
        double allowed = factor * eps * size[i];
        if constexpr (sizeof(T) == 2) allowed += 0.5 * ulp<T>(want[i]) * (1 + 1e-3);
        const double error = std::fabs(got[i] - want[i]);
        if (!(error < HUGE_VAL)) return HUGE_VAL;
        if (error > 0) worst = std::fmax(worst, allowed > 0 ? error / allowed : HUGE_VAL);
    }
    return worst;
}

// y and, when given, the state after the last position.
template <class T>
void check_linear(const linear_problem& p, const std::vector<double>& y,
                  const std::vector<double>* state = nullptr) {
    const auto truth = linear_truth<T>(p);
    const double factor = p.beta.empty() ? 4 : 8;
    const double off = size_excess<T>(y, truth.y, truth.y_size, factor);
    const double off_state =
        state ? size_excess<sum_type<T>>(*state, truth.state, truth.state_size, factor) : 0;
    if (off <= 1 && off_state <= 1) {
        CHECK(off <= 1);
        return;
    }
    INFO(describe(p) << "; y: " << worst_place(y, truth.y) << ", exceeded " << off
                     << " times; state: " << (state ? worst_place(*state, truth.state) : "none")
                     << ", exceeded " << off_state << " times");
    const auto naive = reference::solve_linear<sum_type<T>>(p);
    CHECK((off <= 1 || as_good_as_naive<T>(y, truth.y, naive.y)));
    if (state) CHECK((off_state <= 1 || as_good_as_naive<sum_type<T>>(*state, truth.state, naive.state)));
}

// f(options...) for the problem's map, causality and normalisation.
template <class F>
void with_options(const linear_problem& p, const F& f) {
    with_map(p.map, [&](const auto& map) {
        const auto normalisation = [&](const auto&... options) {
            if (p.normalised)
                f(map, heed::normalised, options...);
            else
                f(map, heed::unnormalised, options...);
        };
        if (p.causal)
            normalisation(heed::causal);
        else
            normalisation();
    });
}

}  // namespace support
