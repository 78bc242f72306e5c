// SPDX-License-Identifier: MIT
// bench/attention_backward.cpp: the gradients of exact softmax attention
//
// The five products of a pair: 10 D operations. The forward that leaves y and the log-sum-exp runs once,
// before the clock; what flows back is dy = q.
#include <heed/attention.hpp>

#include "variant.hpp"

namespace heed_bench {
namespace {

double all_pairs(const shape& s) { return double(s.queries) * double(s.keys); }
// A causal row sees the keys up to its own place, counted from the last.
double causal_pairs(const shape& s) {
    double pairs = 0;
    for (size query = 0; query < s.queries; ++query)
        pairs += double(std::max<size>(0, query + s.shift() + 1));
    return pairs;
}

struct tensors {
    tensor y, dq, dk, dv;
    Eigen::Tensor<float, 3, Eigen::RowMajor> lse;
    explicit tensors(const problem& p)
        : y(p.q.dimensions()),
          dq(p.q.dimensions()),
          dk(p.k.dimensions()),
          dv(p.v.dimensions()),
          lse(p.extent.batch, p.extent.heads, p.extent.queries) {}
};

template <class... Options>
variant backward(std::string name, std::string options, double (*pairs)(const shape&), Options... given) {
    variant v;
    v.family = "attention";
    v.name = std::move(name);
    v.formula = "heed::attention_backward(dy, q, k, v, y, lse" + std::move(options) + ")";
    v.flops = [pairs](const shape& s) { return 10.0 * double(s.batch * s.heads * s.head_dim) * pairs(s); };
    v.bytes = [](const shape& s) { return 2 * qkv_bytes(s); };
    v.takes = [](const shape& s) { return s.queries > 1; };
    v.bind = [given...](const problem& p, tensor&, const heed::thread_pool& pool) {
        auto workspace = std::make_shared<heed::workspace>();
        auto t = std::make_shared<tensors>(p);
        heed::attention_into(t->y, p.q, p.k, p.v, given..., heed::logsumexp(t->lse));
        return bound_call{[=, &p, &pool] {
                              heed::attention_backward_into(t->dq, t->dk, t->dv, p.q, p.q, p.k, p.v, t->y,
                                                            t->lse, given..., heed::on(pool),
                                                            heed::use(*workspace));
                          },
                          [workspace] { return workspace->bytes(); }};
    };
    return v;
}

const registered plain(backward("plain_back", "", all_pairs));
const registered causal(backward("causal_back", ", causal", causal_pairs, heed::causal));

}  // namespace
}  // namespace heed_bench
