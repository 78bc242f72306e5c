// SPDX-License-Identifier: MIT
// bench/steps.cpp: what a model does one position at a time, each beside a plain loop of a user's own
//
//     step_<rule>         one position of linear attention on a state: heed
//     step_<rule>_loop    a plain loop over the state
// and the same of cummax, of one attention call over few keys, of a softmax state's pages, and of layer_norm.
// A loop is compiled for the same target as heed's kernels (plain_loops-inl.hpp), with its state in place.
#include <algorithm>
#include <cmath>
#include <memory>

#include <heed/attention.hpp>
#include <heed/cummax.hpp>
#include <heed/layers/layer_norm.hpp>
#include <heed/linear.hpp>
#include <heed/state/softmax.hpp>

#include "plain_loops-inl.hpp"
#include "plain_loops.hpp"
#include "variant.hpp"

namespace heed_bench {

const plain_loops& loops_on_target() { HEED_RETURN_ON_TARGET(loops()); }

namespace {

using numbers = Eigen::Tensor<float, 3, Eigen::RowMajor>;

enum class rule { linear, gated, gated_features, delta, gated_delta };

// The last position of a problem, dense, with what the rules need, and the state that steps move.
struct stream {
    shape extent;
    tensor q, k, v, logs, factors, state;
    numbers decay, beta;
    heed::workspace workspace;

    explicit stream(const problem& p)
        : extent(p.extent),
          q(extent.batch, extent.heads, 1, extent.head_dim),
          k(q.dimensions()),
          v(q.dimensions()),
          logs(q.dimensions()),
          factors(q.dimensions()),
          state(extent.batch, extent.heads, extent.head_dim, extent.head_dim),
          decay(extent.batch, extent.heads, 1),
          beta(extent.batch, extent.heads, 1) {
        state.setZero();
        decay.setConstant(-0.05f), beta.setConstant(0.5f);
        for (size b = 0; b < extent.batch; ++b)
            for (size h = 0; h < extent.heads; ++h) {
                double length = 1e-30;
                for (size f = 0; f < extent.head_dim; ++f) {
                    q(b, h, 0, f) = p.q(b, h, 0, f);
                    k(b, h, 0, f) = p.k(b, h, extent.keys - 1, f);
                    v(b, h, 0, f) = p.v(b, h, extent.keys - 1, f);
                    logs(b, h, 0, f) = -0.01f - 0.1f * float((f * 37 + h * 11) % 101) / 101;
                    factors(b, h, 0, f) = std::exp(logs(b, h, 0, f));
                    length += double(k(b, h, 0, f)) * k(b, h, 0, f);
                }
                for (size f = 0; f < extent.head_dim; ++f) k(b, h, 0, f) /= float(std::sqrt(length));
            }
    }

    void call(rule r, tensor& y, const heed::thread_pool& pool) {
        const auto with = [&](const auto&... rules) {
            heed::linear_attention_into(y, q, k, v, heed::causal, heed::identity, heed::unnormalised,
                                        heed::scale(0.125), heed::state(state), heed::on(pool),
                                        heed::use(workspace), rules...);
        };
        switch (r) {
            case rule::linear:
                return with();
            case rule::gated:
                return with(heed::decay(decay));
            case rule::gated_features:
                return with(heed::decay(logs));
            case rule::delta:
                return with(heed::delta(beta));
            case rule::gated_delta:
                return with(heed::decay(decay), heed::delta(beta));
        }
    }
    void loop(rule r, tensor& y) {
        const size d = extent.head_dim;
        for (size head = 0; head < extent.batch * extent.heads; ++head) {
            step s{d, d, 0.125f};
            if (r == rule::gated || r == rule::gated_delta) s.decay = decay.data() + head;
            if (r == rule::delta || r == rule::gated_delta) s.beta = beta.data() + head;
            if (r == rule::gated_features) s.factors = factors.data() + head * d;
            const auto run =
                s.factors != nullptr ? loops_on_target().feature_step : loops_on_target().linear_step;
            run(s, q.data() + head * d, k.data() + head * d, v.data() + head * d, state.data() + head * d * d,
                y.data() + head * d);
        }
    }
};

bool one_position(const shape& s) {
    return s.queries == 1 && s.heads == s.kv_heads && s.head_dim <= longest_row;
}

variant linear_step(std::string name, std::string options, rule r, bool loop) {
    variant v;
    v.family = "steps";
    v.name = "step_" + name + (loop ? "_loop" : "");
    v.formula = loop ? "a plain loop over the state"
                     : "heed::linear_attention(q, k, v, causal, " + options + "state(s))";
    v.flops = [](const shape& s) { return 4.0 * double(s.batch * s.heads * s.head_dim * s.head_dim); };
    v.bytes = [](const shape& s) { return 8.0 * double(s.batch * s.heads * s.head_dim * s.head_dim); };
    v.takes = one_position;
    v.bind = [=](const problem& p, tensor& y, const heed::thread_pool& pool) {
        auto on = std::make_shared<stream>(p);
        return bound_call{[=, &y, &pool] { loop ? on->loop(r, y) : on->call(r, y, pool); },
                          [on] { return on->workspace.bytes() + 4 * std::size_t(on->state.size()); }};
    };
    return v;
}

// Everything else: name, what is counted, the shapes, and the call itself.
template <class Bind>
variant made(std::string name, std::string formula, double flops_a_number, bool (*takes)(const shape&),
             Bind bind) {
    variant v;
    v.family = "steps";
    v.name = std::move(name);
    v.formula = std::move(formula);
    v.flops = [=](const shape& s) { return flops_a_number * double(s.tokens() * s.heads * s.head_dim); };
    v.bytes = qkv_bytes;
    v.takes = takes;
    v.bind = bind;
    return v;
}

bool few_keys(const shape& s) {
    return s.heads == s.kv_heads && s.keys <= 4096 && s.queries * s.keys <= 4096;
}
bool sequence(const shape& s) { return s.queries == s.keys && s.heads == s.kv_heads; }

variant attention_loop() {
    return made("plain_loop", "softmax(q k^T / sqrt(d)) v, query by query", 4, few_keys,
                [](const problem& p, tensor& y, const heed::thread_pool&) {
                    auto scores = std::make_shared<std::vector<float>>(std::size_t(p.extent.keys));
                    return bound_call{[=, &p, &y] {
                                          const shape& s = p.extent;
                                          for (size row = 0; row < s.batch * s.heads * s.queries; ++row) {
                                              const size kv = row / s.queries * s.keys * s.head_dim;
                                              loops_on_target().attention_row(
                                                  p.q.data() + row * s.head_dim, p.k.data() + kv,
                                                  p.v.data() + kv, y.data() + row * s.head_dim,
                                                  scores->data(), s.keys, s.head_dim);
                                          }
                                      },
                                      [scores] { return 4 * scores->size(); }};
                });
}

// The keys as pages of 16 that a state absorbs one after the other.
variant pages_absorbed() {
    return made("absorb_pages", "heed::softmax_state::absorb(q, 16 keys, 16 values), page after page", 4,
                few_keys, [](const problem& p, tensor& y, const heed::thread_pool& pool) {
                    const shape& s = p.extent;
                    auto workspace = std::make_shared<heed::workspace>();
                    auto state =
                        std::make_shared<heed::softmax_state<float>>(s.batch, s.heads, s.queries, s.head_dim);
                    return bound_call{[=, &p, &y, &pool] {
                                          const auto k = heed::as_view(p.k), v = heed::as_view(p.v);
                                          state->reset();
                                          for (size first = 0; first < s.keys; first += 16) {
                                              const size n = std::min<size>(16, s.keys - first);
                                              state->absorb(p.q, k.slice_positions(first, n),
                                                            v.slice_positions(first, n), heed::on(pool),
                                                            heed::use(*workspace));
                                          }
                                          state->finish_into(y);
                                      },
                                      [workspace] { return workspace->bytes(); }};
                });
}

variant cummax_step_loop() {
    return made("cummax_decode_loop", "most = max(most, o); y = (most + a1) * a2 + a1", 5, one_position,
                [](const problem& p, tensor& y, const heed::thread_pool&) {
                    auto on = std::make_shared<stream>(p);
                    auto most = std::make_shared<tensor>(on->q.dimensions());
                    most->setConstant(-HUGE_VALF);
                    return bound_call{[=, &y] {
                                          loops_on_target().cummax(on->q.data(), on->k.data(), on->v.data(),
                                                                   y.data(), most->data(), 1, most->size());
                                      },
                                      [most] { return 4 * std::size_t(most->size()); }};
                });
}
// Without the maximum over heads, which a second pass would take.
variant cummax_scan_loop() {
    return made("cummax_loop", "a running maximum of each head, position by position", 5, sequence,
                [](const problem& p, tensor& y, const heed::thread_pool&) {
                    auto most = std::make_shared<std::vector<float>>(std::size_t(p.extent.head_dim));
                    return bound_call{[=, &p, &y] {
                                          const size head = p.extent.queries * p.extent.head_dim;
                                          for (size at = 0; at < p.q.size(); at += head) {
                                              std::fill(most->begin(), most->end(), -HUGE_VALF);
                                              loops_on_target().cummax(p.q.data() + at, p.k.data() + at,
                                                                       p.v.data() + at, y.data() + at,
                                                                       most->data(), p.extent.queries,
                                                                       p.extent.head_dim);
                                          }
                                      },
                                      [most] { return 4 * most->size(); }};
                });
}

variant norm(bool loop) {
    return made(
        loop ? "layer_norm_loop" : "layer_norm",
        loop ? "mean, deviation and the row, in three loops" : "heed::layer_norm, rows of all heads", 8,
        sequence, [=](const problem& p, tensor& y, const heed::thread_pool& pool) {
            const size width = p.extent.heads * p.extent.head_dim;
            auto one = std::make_shared<heed::layer_norm<float>>(heed::layer_norm_config{.width = width});
            auto tape = std::make_shared<heed::layer_norm<float>::tape>();
            return bound_call{
                [=, &p, &y, &pool] {
                    const size rows = p.q.size() / width;
                    if (!loop)
                        return one->forward_into(heed::view<float>(y.data(), {1, 1, rows, width}),
                                                 heed::view<const float>(p.q.data(), {1, 1, rows, width}),
                                                 *tape, heed::on(pool));
                    for (size r = 0; r < rows; ++r)
                        loops_on_target().layer_norm(p.q.data() + r * width, one->weights.weight.data(),
                                                     one->weights.bias.data(), y.data() + r * width, width);
                },
                [] { return std::size_t(0); }};
        });
}

struct all_steps {
    all_steps() {
        for (const bool loop : {false, true}) {
            registered{linear_step("linear", "", rule::linear, loop)};
            registered{linear_step("gated", "decay(g), ", rule::gated, loop)};
            registered{
                linear_step("gated_features", "decay(g of each key feature), ", rule::gated_features, loop)};
            registered{linear_step("delta", "delta(beta), ", rule::delta, loop)};
            registered{linear_step("gated_delta", "decay(g), delta(beta), ", rule::gated_delta, loop)};
            registered{norm(loop)};
        }
        registered{attention_loop()};
        registered{pages_absorbed()};
        registered{cummax_step_loop()};
        registered{cummax_scan_loop()};
    }
};
const all_steps steps;

}  // namespace
}  // namespace heed_bench
