// SPDX-License-Identifier: MIT
// bench/linear.cpp: linear attention: its rules, its backward, and one step of a stream
//
// The truth is the recurrence in double, one position after the other. Decays and betas are made here;
// the delta rule wants keys of length one, so it gets them divided by theirs.
#include <cmath>

#include <heed/linear.hpp>

#include "variant.hpp"

namespace heed_bench {
namespace {

using by_position = Eigen::Tensor<float, 3, Eigen::RowMajor>;  // (batch, head, position)

// What a rule needs beside q, k and v.
struct inputs {
    tensor k;
    by_position decay, beta;
};

// Log decays between 0 and -0.1, and betas between 0.2 and 0.8, with no period that a chunk would share.
inputs make_inputs(const problem& p) {
    const shape& s = p.extent;
    inputs x{p.k, by_position(s.batch, s.kv_heads, s.keys), by_position(s.batch, s.kv_heads, s.keys)};
    for (size b = 0; b < s.batch; ++b)
        for (size h = 0; h < s.kv_heads; ++h)
            for (size t = 0; t < s.keys; ++t) {
                x.decay(b, h, t) = -0.1f * float((t * 37 + h * 11) % 101) / 101;
                x.beta(b, h, t) = 0.2f + 0.6f * float((t * 53 + h * 29) % 97) / 97;
                double length = 0;
                for (size f = 0; f < s.head_dim; ++f) length += double(p.k(b, h, t, f)) * p.k(b, h, t, f);
                for (size f = 0; f < s.head_dim; ++f)
                    x.k(b, h, t, f) = float(p.k(b, h, t, f) / std::sqrt(std::max(length, 1e-30)));
            }
    return x;
}

enum class rule { linear, full, gated, gated_delta };

double elu1(double x) { return x > 0 ? x + 1 : std::exp(x); }

// A row by the recurrence in double; every weight is <phi(q), phi(k)> times what decays left of it. The
// delta rule's are not weights of values, so its count of keys is not given.
true_row reference(const problem& p, const inputs& x, rule r, size b, size h, size query) {
    const shape& s = p.extent;
    const size kv = h / (s.heads / s.kv_heads), d = s.head_dim;
    const size last = r == rule::full ? s.keys - 1 : query + s.shift();
    true_row row{std::vector<double>(std::size_t(d)), std::nan("")};
    if (r == rule::linear || r == rule::full) {
        double sum = 0, squares = 0;
        for (size t = 0; t <= last; ++t) {
            double weight = 0;
            for (size f = 0; f < d; ++f) weight += elu1(p.q(b, h, query, f)) * elu1(p.k(b, kv, t, f));
            sum += weight;
            squares += weight * weight;
            for (size f = 0; f < d; ++f) row.y[std::size_t(f)] += weight * double(p.v(b, kv, t, f));
        }
        for (double& y : row.y) y /= sum;
        row.effective_keys = sum * sum / squares;
        return row;
    }
    std::vector<double> state(std::size_t(d * d));
    for (size t = 0; t <= last; ++t) {
        const double keep = std::exp(double(x.decay(b, kv, t)));
        for (double& element : state) element *= keep;
        for (size e = 0; e < d; ++e) {
            double value = p.v(b, kv, t, e);
            if (r == rule::gated_delta) {
                for (size f = 0; f < d; ++f)
                    value -= state[std::size_t(f * d + e)] * double(x.k(b, kv, t, f));
                value *= double(x.beta(b, kv, t));
            }
            for (size f = 0; f < d; ++f) state[std::size_t(f * d + e)] += double(x.k(b, kv, t, f)) * value;
        }
    }
    for (size e = 0; e < d; ++e)
        for (size f = 0; f < d; ++f)
            row.y[std::size_t(e)] +=
                state[std::size_t(f * d + e)] * double(p.q(b, h, query, f)) / std::sqrt(double(d));
    return row;
}

// f(keys, options...) with the options of a rule.
template <class F>
void with_rule(rule r, const problem& p, const inputs& x, const F& f) {
    switch (r) {
        case rule::linear:
            return f(p.k, heed::causal);
        case rule::full:
            return f(p.k);
        case rule::gated:
            return f(x.k, heed::causal, heed::decay(x.decay));
        case rule::gated_delta:
            return f(x.k, heed::causal, heed::decay(x.decay), heed::delta(x.beta));
    }
}

// The count that shares of peak use: states and chunks of 64; a sum over all keys has no chunks.
double forward_flops(rule r, const shape& s) {
    const double d = double(s.head_dim);
    return double(s.tokens() * s.heads) * (4 * d * d + (r == rule::full ? 0 : 64 * 2 * d));
}

bool sequence(const shape& s) { return s.queries == s.keys; }

variant forward(std::string name, std::string options, rule r) {
    variant v;
    v.family = "linear";
    v.name = std::move(name);
    v.formula = "heed::linear_attention(q, k, v" + std::move(options) + ")";
    v.flops = [r](const shape& s) { return forward_flops(r, s); };
    v.bytes = qkv_bytes;
    v.takes = sequence;
    v.overtakes = r == rule::full ? "plain" : "causal";
    if (r == rule::linear) v.approximates = "causal";
    v.bind = [r](const problem& p, tensor& y, const heed::thread_pool& pool) {
        auto workspace = std::make_shared<heed::workspace>();
        auto x = std::make_shared<inputs>(make_inputs(p));
        return bound_call{[=, &p, &y, &pool] {
                              with_rule(r, p, *x, [&](const tensor& k, const auto&... option) {
                                  heed::linear_attention_into(y, p.q, k, p.v, option..., heed::on(pool),
                                                              heed::use(*workspace));
                              });
                          },
                          [workspace] { return workspace->bytes(); }};
    };
    v.reference = [r](const problem& p, size b, size h, size query) {
        return reference(p, make_inputs(p), r, b, h, query);
    };
    return v;
}

// The gradients of q, k and v for dy = q: work like two and a half forwards.
variant backward(std::string name, std::string options, rule r) {
    variant v;
    v.family = "linear";
    v.name = std::move(name);
    v.formula = "heed::linear_attention_backward(dy, q, k, v" + std::move(options) + ")";
    v.flops = [r](const shape& s) { return 2.5 * forward_flops(r, s); };
    v.bytes = [](const shape& s) { return 2 * qkv_bytes(s); };
    v.takes = sequence;
    v.bind = [r](const problem& p, tensor&, const heed::thread_pool& pool) {
        auto workspace = std::make_shared<heed::workspace>();
        auto x = std::make_shared<inputs>(make_inputs(p));
        auto dq = std::make_shared<tensor>(p.q.dimensions());
        auto dk = std::make_shared<tensor>(p.k.dimensions());
        auto dv = std::make_shared<tensor>(p.v.dimensions());
        return bound_call{[=, &p, &pool] {
                              with_rule(r, p, *x, [&](const tensor& k, const auto&... option) {
                                  heed::linear_attention_backward_into(*dq, *dk, *dv, p.q, p.q, k, p.v,
                                                                       option..., heed::on(pool),
                                                                       heed::use(*workspace));
                              });
                          },
                          [workspace] { return workspace->bytes(); }};
    };
    return v;
}

// One position after all the others: reads the state, writes it, answers. Its time does not know how many
// there were.
variant decode() {
    variant v;
    v.family = "linear";
    v.name = "linear_decode";
    v.formula = "heed::linear_attention(q, k, v, causal, initial_state(s), final_state(s'))";
    v.flops = [](const shape& s) { return forward_flops(rule::full, s); };
    v.bytes = [](const shape& s) {
        return 4.0 * double(s.batch * s.heads * s.head_dim) * double(2 * s.head_dim + 2 + 4);
    };
    v.takes = [](const shape& s) { return s.queries == 1; };
    v.bind = [](const problem& p, tensor& y, const heed::thread_pool& pool) {
        const shape& s = p.extent;
        auto workspace = std::make_shared<heed::workspace>();
        auto before = std::make_shared<tensor>(s.batch, s.kv_heads, s.head_dim, s.head_dim + 1);
        auto after = std::make_shared<tensor>(before->dimensions());
        before->setZero();
        const auto keys = heed::as_view(p.k), values = heed::as_view(p.v);
        if (s.keys > 1) {
            tensor past(s.batch, s.heads, s.keys - 1, s.head_dim);
            heed::linear_attention_into(past, past.setZero(), keys.slice_positions(0, s.keys - 1),
                                        values.slice_positions(0, s.keys - 1), heed::causal,
                                        heed::state(*before));
        }
        return bound_call{[=, &p, &y, &pool] {
                              heed::linear_attention_into(y, p.q, keys.slice_positions(s.keys - 1, 1),
                                                          values.slice_positions(s.keys - 1, 1), heed::causal,
                                                          heed::initial_state(*before),
                                                          heed::final_state(*after), heed::on(pool),
                                                          heed::use(*workspace));
                          },
                          [=] { return workspace->bytes() + 4 * std::size_t(before->size()); }};
    };
    v.reference = [](const problem& p, size b, size h, size query) {
        return reference(p, make_inputs(p), rule::linear, b, h, query);
    };
    return v;
}

const registered linear(forward("linear", ", causal", rule::linear));
const registered full(forward("linear_full", "", rule::full));
const registered gated(forward("gated", ", causal, decay(g)", rule::gated));
const registered gated_delta(forward("gated_delta", ", causal, decay(g), delta(beta)", rule::gated_delta));
const registered linear_back(backward("linear_back", ", causal", rule::linear));
const registered gated_back(backward("gated_back", ", causal, decay(g)", rule::gated));
const registered step(decode());

}  // namespace
}  // namespace heed_bench
