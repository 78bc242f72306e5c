// SPDX-License-Identifier: MIT
// bench/cummax.cpp: cummax attention, its backward, one step of a stream; and two measures of it
//
// o, a1 and a2 are the q, k and v of a problem. Cummax moves memory and computes next to nothing, so beside
// it stand the fastest that the same four arrays can be moved (cummax_stream: the last step alone, without
// any maximum) and what most people would write (cummax_eigen: three passes of Eigen).
#include <heed/cummax.hpp>

#include "variant.hpp"

namespace heed_bench {
namespace {

double channels(const shape& s) { return double(s.tokens() * s.heads * s.head_dim); }

bool sequence(const shape& s) { return s.queries == s.keys && s.heads == s.kv_heads; }
bool step(const shape& s) { return s.queries == 1 && s.heads == s.kv_heads; }

true_row reference(const problem& p, size b, size h, size query) {
    const shape& s = p.extent;
    true_row row{std::vector<double>(std::size_t(s.head_dim)), std::nan("")};
    for (size f = 0; f < s.head_dim; ++f) {
        double most = -std::numeric_limits<double>::infinity();
        for (size g = 0; g <= h; ++g)
            for (size t = 0; t <= query; ++t) most = std::max(most, double(p.q(b, g, t, f)));
        const double a1 = p.k(b, h, query, f);
        row.y[std::size_t(f)] = (most + a1) * double(p.v(b, h, query, f)) + a1;
    }
    return row;
}

variant sequence_variant(std::string name, std::string formula) {
    variant v;
    v.family = "cummax";
    v.name = std::move(name);
    v.formula = std::move(formula);
    v.flops = [](const shape& s) { return 5 * channels(s); };
    v.bytes = [](const shape& s) { return 16 * channels(s); };
    v.takes = sequence;
    return v;
}

variant forward() {
    variant v = sequence_variant("cummax", "heed::cummax_attention(o, a1, a2)");
    v.overtakes = "causal";
    v.bind = [](const problem& p, tensor& y, const heed::thread_pool& pool) {
        auto workspace = std::make_shared<heed::workspace>();
        return bound_call{[=, &p, &y, &pool] {
                              heed::cummax_attention_into(y, p.q, p.k, p.v, heed::on(pool),
                                                          heed::use(*workspace));
                          },
                          [workspace] { return workspace->bytes(); }};
    };
    v.reference = reference;
    return v;
}

// The gradients of o, a1 and a2 for dy = o: seven arrays.
variant backward() {
    variant v = sequence_variant("cummax_back", "heed::cummax_attention_backward(dy, o, a1, a2)");
    v.bytes = [](const shape& s) { return 28 * channels(s); };
    v.bind = [](const problem& p, tensor&, const heed::thread_pool& pool) {
        auto workspace = std::make_shared<heed::workspace>();
        auto d_o = std::make_shared<tensor>(p.q.dimensions());
        auto d_a1 = std::make_shared<tensor>(p.k.dimensions());
        auto d_a2 = std::make_shared<tensor>(p.v.dimensions());
        return bound_call{[=, &p, &pool] {
                              heed::cummax_attention_backward_into(*d_o, *d_a1, *d_a2, p.q, p.q, p.k, p.v,
                                                                   heed::on(pool), heed::use(*workspace));
                          },
                          [workspace] { return workspace->bytes(); }};
    };
    return v;
}

// (o + a1) a2 + a1 in one plain loop over the four arrays.
variant stream() {
    variant v = sequence_variant("cummax_stream", "y[i] = (o[i] + a1[i]) * a2[i] + a1[i]");
    v.bind = [](const problem& p, tensor& y, const heed::thread_pool&) {
        return bound_call{[&p, &y] {
                              using array = Eigen::Map<const Eigen::ArrayXf>;
                              const array o(p.q.data(), p.q.size()), a1(p.k.data(), p.k.size()),
                                  a2(p.v.data(), p.v.size());
                              Eigen::Map<Eigen::ArrayXf>(y.data(), y.size()) = (o + a1) * a2 + a1;
                          },
                          [] { return std::size_t(0); }};
    };
    return v;
}

// The running maximum over positions, that over heads, and the blend, one after the other, in expressions
// of Eigen tensors.
variant three_passes() {
    variant v = sequence_variant("cummax_eigen", "three passes of Eigen tensors: e.chip(t, 2) = …");
    v.bind = [](const problem& p, tensor& y, const heed::thread_pool&) {
        auto e = std::make_shared<tensor>(p.q.dimensions());
        return bound_call{[=, &p, &y] {
                              const shape& s = p.extent;
                              e->chip(0, 2) = p.q.chip(0, 2);
                              for (size t = 1; t < s.queries; ++t)
                                  e->chip(t, 2) = e->chip(t - 1, 2).cwiseMax(p.q.chip(t, 2));
                              for (size h = 1; h < s.heads; ++h)
                                  e->chip(h, 1) = e->chip(h, 1).cwiseMax(e->chip(h - 1, 1));
                              y = (*e + p.k) * p.v + p.k;
                          },
                          [e] { return 4 * std::size_t(e->size()); }};
    };
    v.reference = reference;
    return v;
}

// The same three passes with every row mapped as an array, which Eigen makes vector code of.
variant three_passes_of_rows() {
    variant v = sequence_variant("cummax_rows", "the same three passes, each row mapped as an array");
    v.bind = [](const problem& p, tensor& y, const heed::thread_pool&) {
        auto e = std::make_shared<tensor>(p.q.dimensions());
        return bound_call{[=, &p, &y] {
                              const shape& s = p.extent;
                              using row = Eigen::Map<Eigen::ArrayXf>;
                              using const_row = Eigen::Map<const Eigen::ArrayXf>;
                              for (size b = 0; b < s.batch; ++b) {
                                  for (size h = 0; h < s.heads; ++h)
                                      for (size t = 0; t < s.queries; ++t) {
                                          const const_row o(&p.q(b, h, t, 0), s.head_dim);
                                          row here(&(*e)(b, h, t, 0), s.head_dim);
                                          if (t == 0)
                                              here = o;
                                          else
                                              here = o.max(row(&(*e)(b, h, t - 1, 0), s.head_dim));
                                      }
                                  const size all = s.queries * s.head_dim;
                                  for (size h = 1; h < s.heads; ++h) {
                                      row here(&(*e)(b, h, 0, 0), all);
                                      here = here.max(row(&(*e)(b, h - 1, 0, 0), all));
                                  }
                              }
                              const const_row a1(p.k.data(), p.k.size()), a2(p.v.data(), p.v.size());
                              row(y.data(), y.size()) = (row(e->data(), e->size()) + a1) * a2 + a1;
                          },
                          [e] { return 4 * std::size_t(e->size()); }};
    };
    v.reference = reference;
    return v;
}

// One position after all the others, with the state of (head, feature) that they left.
variant decode() {
    variant v = sequence_variant("cummax_decode", "heed::cummax_attention(o, a1, a2, state(s))");
    v.takes = step;
    v.bytes = [](const shape& s) { return 24 * channels(s); };
    v.bind = [](const problem& p, tensor& y, const heed::thread_pool& pool) {
        const shape& s = p.extent;
        auto workspace = std::make_shared<heed::workspace>();
        auto state = std::make_shared<tensor>(s.batch, s.heads, 1, s.head_dim);
        state->setConstant(-std::numeric_limits<float>::infinity());
        // As a layer hands them on: one position, dense.
        auto a1 = std::make_shared<tensor>(p.q.dimensions()), a2 = std::make_shared<tensor>(*a1);
        for (size b = 0; b < s.batch; ++b)
            for (size h = 0; h < s.heads; ++h)
                for (size f = 0; f < s.head_dim; ++f) {
                    (*a1)(b, h, 0, f) = p.k(b, h, s.keys - 1, f);
                    (*a2)(b, h, 0, f) = p.v(b, h, s.keys - 1, f);
                }
        // The past of o is not in the problem; that of a1 serves.
        for (size b = 0; b < s.batch; ++b)
            for (size h = 0; h < s.heads; ++h)
                for (size t = 0; t + 1 < s.keys; ++t)
                    for (size f = 0; f < s.head_dim; ++f)
                        (*state)(b, h, 0, f) = std::max((*state)(b, h, 0, f), p.k(b, h, t, f));
        return bound_call{[=, &p, &y, &pool] {
                              heed::cummax_attention_into(y, p.q, *a1, *a2, heed::state(*state),
                                                          heed::on(pool), heed::use(*workspace));
                          },
                          [=] { return workspace->bytes() + 4 * std::size_t(state->size()); }};
    };
    return v;
}

const registered cummax(forward());
const registered cummax_back(backward());
const registered cummax_stream(stream());
const registered cummax_eigen(three_passes());
const registered cummax_rows(three_passes_of_rows());
const registered cummax_decode(decode());

}  // namespace
}  // namespace heed_bench
