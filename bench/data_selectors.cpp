// SPDX-License-Identifier: MIT
// bench/data_selectors.cpp: causal attention whose selectors make a mask out of q and k
//
// How many pairs they keep depends on the input. So the work that is counted is that of the exact causal
// call, all pairs that the mask lets through: GFLOP/s beyond it, and shares of peak above 1, are what the
// selection saves, its own cost included. An error against the exact call would be that of the
// approximation, which the text decides and not the kernel: it is left out here.
#include <heed/sparse.hpp>

#include "variant.hpp"

namespace heed_bench {
namespace {

double causal_pairs(const shape& s) { return double(s.queries) * double(s.queries + 1) / 2; }

// A whole prompt; the shortest is one where choosing may pay.
bool prompt(const shape& s) { return s.queries == s.keys && s.queries >= 4096; }

template <class Selector>
variant selected(std::string name, std::string call, Selector select_for, bool shared = false) {
    variant v;
    v.family = "attention";
    v.name = std::move(name);
    v.formula = "heed::attention(q, " + std::string(shared ? "q" : "k") + ", v, causal, " + std::move(call) +
                "), counted as causal";
    v.flops = [](const shape& s) { return 4.0 * double(s.batch * s.heads * s.head_dim) * causal_pairs(s); };
    v.bytes = qkv_bytes;
    v.overtakes = "causal";
    v.takes = [shared](const shape& s) { return prompt(s) && (!shared || s.heads == s.kv_heads); };
    v.bind = [select_for, shared](const problem& p, tensor& y, const heed::thread_pool& pool) {
        auto workspace = std::make_shared<heed::workspace>();
        const auto select = select_for(p.extent);
        return bound_call{[=, &p, &y, &pool] {
                              heed::attention_into(y, p.q, shared ? p.q : p.k, p.v, heed::causal, select,
                                                   heed::on(pool), heed::use(*workspace));
                          },
                          [workspace] { return workspace->bytes(); }};
    };
    return v;
}

const registered vertical_slash(selected("vertical_slash", "vertical_slash(100, 750)",
                                         [](const shape&) { return heed::vertical_slash(100, 750); }));
const registered entropy_budget(selected("entropy_budget", "entropy_budget(256, 2048)",
                                         [](const shape&) { return heed::entropy_budget(256, 2048); }));
const registered lsh(selected(
    "lsh", "lsh(2, keys / 64, 1)", [](const shape& s) { return heed::lsh(2, s.keys / 128 * 2, 1); }, true));

}  // namespace
}  // namespace heed_bench
