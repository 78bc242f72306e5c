// SPDX-License-Identifier: MIT
// tests/layers/heads_sparse.cpp: patterns and selectors of keys inside a multi-head layer, as options of
// exact_heads
#include <heed/sparse.hpp>

#include "support/heads_call.hpp"
#include "support/psa_reference.hpp"

namespace {

using heed::exact_heads;
using support::head_problem;
using support::numbers;

reference::problem exact(const head_problem& p) {
    reference::problem e;
    e.batch = p.batch, e.heads = p.config.heads, e.kv_heads = p.config.kv_heads;
    e.queries = p.queries, e.keys = p.keys, e.d_k = e.d_v = p.config.head_dim;
    e.q = p.streams[0], e.k = p.streams[1], e.v = p.streams[2];
    return e;
}
template <class Visible>
auto masked(Visible visible) {
    return [visible](const head_problem& p) {
        reference::problem e = exact(p);
        e.visible = [visible](reference::place i) { return visible(i.query, i.key); };
        return reference::solve<double>(e).y;
    };
}
// Softmax over the best share of the visible keys.
numbers best(const head_problem& p, double fraction) {
    reference::problem e = exact(p);
    e.visible = [](reference::place i) { return i.key <= i.query; };
    reference::psa s;
    s.fraction = fraction;
    const auto kept = reference::choose(e, s).pairs;
    e.visible = [&](reference::place i) {
        return i.key <= i.query &&
               kept[static_cast<std::size_t>(((i.batch * e.heads + i.head) * e.queries + i.query) * e.keys +
                                             i.key)] != 0;
    };
    return reference::solve<double>(e).y;
}

const heed::attention_config grouped{
    .width = 12, .heads = 4, .kv_heads = 2, .head_dim = 6, .in_bias = true, .rotary_positions = 200};
const heed::attention_config plain{.width = 12, .heads = 3};
const std::vector<int> ids{0, 7};

bool near_or_first(long query, long key) { return key <= query && (query - key <= 4 || key < 2); }
bool long_pattern(long query, long key) {
    const auto is_global = [](long p) { return p == 0 || p == 7; };
    return std::labs(query - key) <= 3 || is_global(query) || is_global(key);
}

}  // namespace

TEST_CASE("exact heads with patterns and selectors: forward") {
    const auto window = heed::causal & (heed::window(4, 0) | heed::global_first(2));
    support::check_forward<exact_heads>(grouped, 2, 40, masked(near_or_first), window);
    support::check_forward<exact_heads>(plain, 2, 40, masked(long_pattern), heed::longformer(6, ids));
    support::check_forward<exact_heads>(
        grouped, 2, 40, [](const head_problem& p) { return best(p, 0.25); }, heed::causal,
        heed::top_fraction(0.25));
}

TEST_CASE("exact heads with patterns and selectors: gradients") {
    const auto window = heed::causal & (heed::window(4, 0) | heed::global_first(2));
    support::check_gradient<exact_heads>(grouped, 2, 12, window);
    support::check_gradient<exact_heads>(plain, 1, 14, heed::longformer(6, ids));
    const heed::bigbird_blocks blocks{.block = 2, .window = 3, .global = 1, .random = 1};
    support::check_gradient<exact_heads>(plain, 1, 14, heed::bigbird(3, blocks));
    support::check_gradient<exact_heads>(grouped, 1, 12, heed::causal, heed::top_fraction(0.25));
}

TEST_CASE("exact heads with patterns and selectors: streams") {
    const auto window = heed::causal & (heed::window(4, 0) | heed::global_first(2));
    support::check_stream<exact_heads>(grouped, 2, 40, window);
    support::check_stream<exact_heads>(plain, 2, 40, heed::causal, heed::top_fraction(0.25));
}

TEST_CASE("exact heads with patterns and selectors: threads and allocations") {
    const auto window = heed::causal & (heed::window(20, 0) | heed::global_first(2));
    support::check_calls<float, exact_heads>(grouped, 2, 150, window);
    support::check_calls<double, exact_heads>(plain, 2, 150, heed::causal, heed::top_fraction(0.25));
    support::check_calls<float, exact_heads>(plain, 1, 150, heed::bigbird(3));
}
