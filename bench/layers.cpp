// SPDX-License-Identifier: MIT
// bench/layers.cpp: an encoder layer of width 768 with 4, 8, 12 and 16 heads, forward and backward
//
// x is the problem's q read as (position, width), so the heads are the layer's and not the shape's. Counted
// are the products, 2 S D (4 D + 2 hidden), and the attention, 4 S^2 D, neither of which the number of heads
// changes; a backward counts twice the products and 10 S^2 D. Its forward runs once, before the clock, and
// what flows back is dy = x. Extra memory is the workspace's; the tape is the caller's.
#include <heed/layers.hpp>

#include "variant.hpp"

namespace heed_bench {
namespace {

using layer = heed::encoder_layer<float>;

constexpr size width = 768, hidden = 4 * width;

double products(const shape& s) { return 2.0 * double(s.tokens()) * width * (4 * width + 2 * hidden); }
double pairs(const shape& s) { return double(s.batch) * double(s.queries) * double(s.keys) * width; }

heed::view<const float> rows_of(const tensor& q, const shape& s) {
    return {q.data(), {1, s.batch, s.queries, width}};
}

struct state {
    layer one;
    layer::tape tape;
    layer::parameters gradients;
    heed::workspace workspace;
    tensor dx;
    state(size heads, const shape& s)
        : one({.attention = {.width = width, .heads = heads, .in_bias = true, .out_bias = true}}, 1),
          gradients(heed::zeros_like(one.weights)),
          dx(1, s.batch, s.queries, width) {}
};

variant encoder(size heads, bool back) {
    variant v;
    v.family = "layers";
    v.name = "heads_" + std::to_string(heads) + (back ? "_back" : "");
    v.formula = std::string("heed::encoder_layer, ") + std::to_string(heads) + " heads, " +
                (back ? "backward(dy, x, tape, gradients)" : "forward(x, tape)");
    v.flops = [=](const shape& s) {
        return back ? 2 * products(s) + 10 * pairs(s) : products(s) + 4 * pairs(s);
    };
    v.bytes = [=](const shape& s) {
        const double rows = double(s.tokens()) * width, weights = double(width) * (4 * width + 2 * hidden);
        return 4 * (back ? 3 * rows + 3 * weights : 2 * rows + weights);
    };
    v.takes = [](const shape& s) {
        return s.queries == s.keys && s.heads == s.kv_heads && s.heads * s.head_dim == width;
    };
    v.bind = [=](const problem& p, tensor& y, const heed::thread_pool& pool) {
        auto on = std::make_shared<state>(heads, p.extent);
        const auto x = rows_of(p.q, p.extent);
        const heed::view<float> to(y.data(), x.extents);
        const auto forward = [=, &pool] {
            on->one.forward_into(to, x, on->tape, heed::on(pool), heed::use(on->workspace));
        };
        const auto backward = [=, &pool] {
            on->one.backward_into(on->dx, x, x, on->tape, on->gradients, heed::on(pool),
                                  heed::use(on->workspace));
        };
        if (back) forward();
        const auto bytes = [on] { return on->workspace.bytes(); };
        return back ? bound_call{backward, bytes} : bound_call{forward, bytes};
    };
    return v;
}

const registered forwards[] = {registered(encoder(4, false)), registered(encoder(8, false)),
                               registered(encoder(12, false)), registered(encoder(16, false))};
const registered backwards[] = {registered(encoder(4, true)), registered(encoder(8, true)),
                                registered(encoder(12, true)), registered(encoder(16, true))};

}  // namespace
}  // namespace heed_bench
