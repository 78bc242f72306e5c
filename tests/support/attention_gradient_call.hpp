// SPDX-License-Identifier: MIT
// tests/support/attention_gradient_call.hpp: the backward of one problem with heed, checked
//
// Every element of a gradient may be wrong by
//     4 * eps * size * (1 + max |s| + ln(1 + keys))
// where size is the gradient's own sum over absolute values (attention_gradient.hpp), plus the rounding
// of the result for the 16-bit types. max |s| is that of every stage, and of the products' terms.
#pragma once

#include <heed/attention.hpp>

#include "attention_gradient.hpp"
#include "check.hpp"

namespace support {

template <class T>
struct gradient_outputs {
    tensor<T> q, k, v;
    explicit gradient_outputs(const reference::problem& p)
        : q(p.batch, p.heads, p.queries, p.d_k),
          k(p.batch, p.kv_heads, p.keys, p.d_k),
          v(p.batch, p.kv_heads, p.keys, p.d_v) {
        q.setConstant(static_cast<T>(-77.0f));
        k.setConstant(static_cast<T>(-77.0f));
        v.setConstant(static_cast<T>(-77.0f));
    }
    bool operator==(const gradient_outputs& o) const {
        return same_bits(elements(q), elements(o.q)) && same_bits(elements(k), elements(o.k)) &&
               same_bits(elements(v), elements(o.v));
    }
};

// The factor of all bounds: 1 + what scores may be as large as.
inline double gradient_size(const reference::problem& p, const reference::answer<double>& a) {
    double top = 0;
    for (std::size_t row = 0; row < p.rows(); ++row)
        top = std::fmax(top, std::fmax(score_size(p, a, row), 1 + product_size(p, row)));
    return top + std::log1p(static_cast<double>(p.keys));
}

// The largest error as a share of what is allowed.
template <class T>
double gradient_excess(const std::vector<double>& got, const std::vector<double>& want,
                       const std::vector<double>& size, double factor) {
    const double eps = static_cast<double>(std::numeric_limits<sum_type<T>>::epsilon());
    if (got.size() != want.size()) return HUGE_VAL;
    double worst = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
        const double error = std::fabs(got[i] - want[i]);
        // Below the normal range a float counts nothing.
        double allowed = 4 * eps * size[i] * factor + 1e-37;
        if constexpr (sizeof(T) == 2) allowed += 0.5 * ulp<T>(want[i]) * (1 + 1e-3);
        if (!(error <= HUGE_VAL)) return HUGE_VAL;
        worst = std::fmax(worst, error / allowed);
    }
    return worst;
}

// +0 in bits wherever nothing flows: rows of n elements whose reference size is 0.
template <class T>
long signed_zeros(const tensor<T>& x, const std::vector<double>& size) {
    long wrong = 0;
    for (std::size_t i = 0; i < size.size(); ++i) wrong += size[i] == 0 && !positive_zero(x.data() + i, 1);
    return wrong;
}

template <class T>
void check_gradients(const reference::problem& p, const reference::answer<double>& a,
                     const reference::gradients& want, const gradient_outputs<T>& got) {
    const double factor = gradient_size(p, a);
    const double q = gradient_excess<T>(values(got.q), want.q, want.q_size, factor);
    const double k = gradient_excess<T>(values(got.k), want.k, want.k_size, factor);
    const double v = gradient_excess<T>(values(got.v), want.v, want.v_size, factor);
    const long zeros = signed_zeros(got.q, want.q_size) + signed_zeros(got.k, want.k_size) +
                       signed_zeros(got.v, want.v_size);
    INFO(describe(p) << ", bounds exceeded " << q << " times by dq, " << k << " by dk, " << v
                     << " by dv; zeros that are not +0: " << zeros);
    CHECK((q <= 1 && k <= 1 && v <= 1 && zeros == 0));
}

// What a call of the backward needs: the forward's answer in the type sums are kept in.
template <class T>
struct backward_inputs : inputs<T> {
    std::vector<double> from;
    tensor<T> dy;
    tensor<sum_type<T>> y;
    tensor<sum_type<T>, 3> lse;

    template <class... Options>
    backward_inputs(const reference::problem& p, random& r, const Options&... options)
        : inputs<T>(p),
          from(normals<T>(r, p.y_size())),
          dy(tensor4<T>(from, p.batch, p.heads, p.queries, p.d_v)),
          y(p.batch, p.heads, p.queries, p.d_v),
          lse(p.batch, p.heads, p.queries) {
        heed::attention_into(y, this->q, this->k, this->v, options..., heed::logsumexp(lse));
    }
    template <class X = T, class... Options>
    gradient_outputs<X> gradients(const reference::problem& p, const Options&... options) const {
        gradient_outputs<X> out(p);
        heed::attention_backward_into(out.q, out.k, out.v, dy, this->q, this->k, this->v, y, lse, options...);
        return out;
    }
};

// The derivatives of what a problem does to a score, and to a weight.
struct slopes {
    reference::score_slope score{};
    reference::score_slope probability{};
};

template <class T, class... Options>
void check_backward(const reference::problem& p, random& r, const slopes& by, const Options&... options) {
    const backward_inputs<T> in(p, r, options...);
    const auto truth = truth_of<T>(p);
    check_gradients<T>(p, truth, reference::differentiate(p, truth, in.from, by.score, {}, by.probability),
                       in.gradients(p, options...));
}
template <class T, class... Options>
void check_backward(const reference::problem& p, random& r, const reference::score_slope& slope,
                    const Options&... options) {
    check_backward<T>(p, r, slopes{slope, {}}, options...);
}
template <class T, class... Options>
void check_backward(const reference::problem& p, random& r, const Options&... options) {
    check_backward<T>(p, r, slopes{}, options...);
}

// f(problem, r): sizes from 1 to 130 on every axis, and some of several tiles.
template <class T, class F>
void for_gradient_problems(std::uint64_t seed, int count, const F& f) {
    random r(seed);
    for (int i = 0; i < count; ++i) {
        auto p = i % 8 == 7 ? problem<T>(r, 1, 2, r.between(1, 2), r.between(50, 200), r.between(100, 330),
                                         r.between(3, 12), r.between(3, 12))
                            : random_problem<T>(r);
        f(p, r);
    }
}

}  // namespace support
