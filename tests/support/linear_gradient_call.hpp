// SPDX-License-Identifier: MIT
// tests/support/linear_gradient_call.hpp: the backward of linear attention through heed, against the oracle
//
// Every element may be wrong by 8 eps of the size of what was added up to make it (linear_gradient.hpp),
// twice the forward's, since the backward adds up what the forward has rounded; plus the rounding of 16-bit
// results. Where that is exceeded, a gradient has to be as good as the naive float computation's: twice its
// largest error and 4 ULP of the largest element.
#pragma once

#include "linear_call.hpp"
#include "linear_gradient.hpp"

namespace support {

template <class T>
struct linear_gradient_outputs {
    using S = sum_type<T>;
    tensor<T> q, k, v;
    tensor<S, 3> decay, beta;
    tensor<S> feature_decay, initial;
    explicit linear_gradient_outputs(const linear_problem& p)
        : q(p.batch, p.heads, p.queries, p.d_k),
          k(p.batch, p.kv_heads, p.keys, p.d_k),
          v(p.batch, p.kv_heads, p.keys, p.d_v),
          decay(p.batch, p.kv_heads, p.keys),
          beta(p.batch, p.kv_heads, p.keys),
          feature_decay(p.batch, p.kv_heads, p.keys, p.d_k),
          initial(p.batch, p.kv_heads, p.feature_count(), p.columns()) {
        q.setConstant(static_cast<T>(-77.0f)), k.setConstant(static_cast<T>(-77.0f));
        v.setConstant(static_cast<T>(-77.0f)), decay.setConstant(-77), beta.setConstant(-77);
        feature_decay.setConstant(-77), initial.setConstant(-77);
    }
};

// f(options...): the rule of the problem, and where its gradients go.
template <class T, class F>
void with_rule_gradients(const linear_problem& p, const linear_inputs<T>& in, linear_gradient_outputs<T>& out,
                         const F& f) {
    const auto with_delta = [&](const auto&... options) {
        if (p.beta.empty())
            f(options...);
        else
            f(options..., heed::delta(in.beta), heed::delta_gradient(out.beta));
    };
    if (p.g.empty())
        with_delta();
    else if (p.decay_per_feature)
        with_delta(heed::decay(in.feature_decay), heed::decay_gradient(out.feature_decay));
    else
        with_delta(heed::decay(in.decay), heed::decay_gradient(out.decay));
}

// Numbers that are exact in T.
template <class T>
std::vector<double> output_gradient(random& r, const linear_problem& p) {
    return normals<T>(r, p.y_size());
}

template <class T>
reference::linear_gradients<double> true_gradients(const linear_problem& p, const std::vector<double>& dy,
                                                   const std::vector<double>& last) {
    if constexpr (std::is_same_v<T, double>) {
        const auto a = reference::solve_linear_gradients<long double>(p, dy, last);
        const auto round = [](const std::vector<long double>& x) {
            return std::vector<double>(x.begin(), x.end());
        };
        return {round(a.q),      round(a.k),       round(a.v),         round(a.g),
                round(a.beta),   round(a.initial), round(a.q_size),    round(a.k_size),
                round(a.v_size), round(a.g_size),  round(a.beta_size), round(a.initial_size)};
    } else {
        return reference::solve_linear_gradients<double>(p, dy, last);
    }
}

// T is the type of the elements.
template <class T>
bool gradient_fits(const std::vector<double>& got, const std::vector<double>& truth,
                   const std::vector<double>& size, const std::vector<sum_type<T>>& naive) {
    if (size_excess<T>(got, truth, size, 8) <= 1) return true;
    return max_error(got, truth) <= 2 * max_error(naive, truth) + 4 * ulp<T>(max_abs(truth));
}

template <class T>
void check_gradients(const linear_problem& p, const std::vector<double>& dy, const std::vector<double>& last,
                     const linear_gradient_outputs<T>& out) {
    using S = sum_type<T>;
    const auto truth = true_gradients<T>(p, dy, last);
    const auto naive = reference::solve_linear_gradients<S>(p, dy, last);
    const auto check = [&](auto element, const char* name, const std::vector<double>& got,
                           const std::vector<double>& want, const std::vector<double>& size,
                           const std::vector<S>& by_naive) {
        using E = decltype(element);
        INFO(describe(p) << (last.empty() ? "" : ", gradient of the final state") << ": " << name << " "
                         << worst_place(got, want) << ", exceeded " << size_excess<E>(got, want, size, 8)
                         << " times; error " << max_error(got, want) << ", naive "
                         << max_error(by_naive, want));
        CHECK(gradient_fits<E>(got, want, size, by_naive));
    };
    check(T{}, "dq", values(out.q), truth.q, truth.q_size, naive.q);
    check(T{}, "dk", values(out.k), truth.k, truth.k_size, naive.k);
    check(T{}, "dv", values(out.v), truth.v, truth.v_size, naive.v);
    if (!p.g.empty())
        check(S{}, "dg", p.decay_per_feature ? values(out.feature_decay) : values(out.decay), truth.g,
              truth.g_size, naive.g);
    if (!p.beta.empty()) check(S{}, "dbeta", values(out.beta), truth.beta, truth.beta_size, naive.beta);
    if (!p.initial.empty())
        check(S{}, "d initial", values(out.initial), truth.initial, truth.initial_size, naive.initial);
}

}  // namespace support
