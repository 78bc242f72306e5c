// SPDX-License-Identifier: MIT
// tests/layers/heads_psa.cpp: progressive sparse attention inside a multi-head layer
#include "support/heads_call.hpp"
#include "support/psa_reference.hpp"

namespace {

using heed::psa_heads;
using support::head_problem;
using support::numbers;

const heed::psa_settings half{.fraction = 0.5};
const heed::psa_settings masked{.fraction = 0.4, .reading = heed::psa_reading::masked, .sparsify_keys = 0.5};

auto psa(const heed::psa_settings& settings, bool causal) {
    return [settings, causal](const head_problem& p) {
        reference::problem e;
        e.batch = p.batch, e.heads = p.config.heads, e.kv_heads = p.config.kv_heads;
        e.queries = p.queries, e.keys = p.keys, e.d_k = e.d_v = p.config.head_dim;
        e.q = p.streams[0], e.k = p.streams[1], e.v = p.streams[2];
        if (causal) e.visible = [](reference::place i) { return i.key <= i.query; };
        reference::psa s;
        s.pi.a = settings.coefficients, s.pi.clamp = settings.clamp;
        s.how = settings.reading == heed::psa_reading::masked ? reference::reading::masked
                                                              : reference::reading::intended;
        s.fraction = settings.fraction, s.of_keys = settings.sparsify_keys;
        return reference::solve_psa<double>(e, s, reference::choose(e, s)).y;
    };
}

const heed::attention_config plain{.width = 12, .heads = 3};
const heed::attention_config grouped{
    .width = 12, .heads = 4, .kv_heads = 2, .head_dim = 6, .in_bias = true, .rotary_positions = 200};
const heed::attention_config cross{.width = 12, .heads = 3, .memory_width = 10};

}  // namespace

TEST_CASE("psa heads: forward") {
    support::check_forward<psa_heads>(plain, 2, 40, psa(half, true), heed::causal, heed::psa(0.5));
    support::check_forward<psa_heads>(grouped, 2, 20, psa(masked, false), heed::psa(masked));
}

TEST_CASE("psa heads: gradients") {
    support::check_gradient<psa_heads>(grouped, 1, 12, heed::causal, heed::psa(0.5));
    support::check_gradient<psa_heads>(plain, 2, 9, heed::psa(masked));
    support::check_gradient<psa_heads>(plain, 1, 12, heed::causal, heed::psa(0.5), heed::scale(0.3),
                                       heed::alibi());
}

TEST_CASE("psa heads: cross attention") {
    support::check_cross<psa_heads>(cross, 2, 5, 9, psa(half, false), heed::psa(0.5));
}

TEST_CASE("psa heads: streams") {
    support::check_stream<psa_heads>(grouped, 2, 40, heed::causal, heed::psa(0.5));
}

TEST_CASE("psa heads: threads and allocations") {
    support::check_calls<float, psa_heads>(grouped, 2, 130, heed::causal, heed::psa(0.25));
    support::check_calls<double, psa_heads>(plain, 2, 70, heed::psa(masked));
}

TEST_CASE("psa heads: what does not fit is refused, and leaves a stream as it was") {
    const support::head_setup<float, psa_heads> s(plain, 2, 7);
    CHECK_THROWS_WITH(s.layer(s.x, heed::psa(0)), heed_test::contains("psa has a fraction of 0"));
    decltype(s.layer)::stream stream;
    CHECK_THROWS_WITH(s.layer.extend(s.x, stream, heed::causal, heed::psa(2)),
                      heed_test::contains("psa has a fraction of 2"));
    CHECK(support::same_bits(support::elements(s.layer.extend(s.x, stream, heed::causal, heed::psa(1))),
                             support::elements(s.layer(s.x, heed::causal, heed::psa(1)))));
}
