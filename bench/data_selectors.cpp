// SPDX-License-Identifier: MIT
// bench/data_selectors.cpp: causal attention whose selectors make a mask out of q and k
//
// How many pairs they keep depends on the input. So the work that is counted is that of the exact causal
// call, all pairs that the mask lets through: GFLOP/s beyond it, and shares of peak above 1, are what the
// selection saves, its own cost included.
#include <heed/sparse.hpp>

#include "attention_variant.hpp"

namespace heed_bench {
namespace {

template <class... Options>
variant selected(std::string name, std::string call, Options... given) {
    variant v = approximate("causal", std::move(name), ", causal, " + std::move(call), causal_pairs,
                            chosen_by_data, heed::causal, given...);
    v.formula += ", counted as causal";
    v.overtakes = "causal";
    v.takes = [](const shape& s) { return s.queries == s.keys && s.queries >= 1024; };
    return v;
}

struct buckets {
    size count;
    explicit buckets(const problem& p) : count(p.extent.keys / 128 * 2) {}
    auto options() const { return std::tuple(heed::causal, heed::lsh(2, count, 1)); }
};
variant hashed() {
    variant v = approximate("causal", "lsh", ", causal, lsh(2, keys / 64, 1)", causal_pairs, chosen_by_data,
                            from_problem([](const problem& p) { return buckets(p); }));
    v.formula += ", counted as causal";
    v.takes = [](const shape& s) { return s.queries == s.keys && s.queries >= 1024; };
    return v;
}

const registered vertical_slash(selected("vertical_slash", "vertical_slash(100, 750)",
                                         heed::vertical_slash(100, 750)));
const registered entropy_budget(selected("entropy_budget", "entropy_budget(256, 2048)",
                                         heed::entropy_budget(256, 2048)));
const registered lsh(hashed());

}  // namespace
}  // namespace heed_bench
