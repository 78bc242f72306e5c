// SPDX-License-Identifier: MIT
// tests/conformance_linear.cpp: every LinearAttention case of the operator vectors through heed (R1)
//
// The operator's inputs are (batch, position, heads * features): they are read where they stand.
#include "support/linear_call.hpp"
#include "support/linear_conformance.hpp"

namespace {

// Output and state after the last position, the output as the operator lays it out.
template <class T>
void compare(const conformance::test_case& c, double rtol, double atol) {
    const auto a = conformance::linear_attention(c);
    const auto& p = a.p;
    const auto flat = [&](int slot) {
        const auto& x = *c.input(slot);
        return support::tensor3<T>(x.values, x.extents[0], x.extents[1], x.extents[2]);
    };
    const auto q = flat(0), k = flat(1), v = flat(2);
    const support::linear_inputs<T> gates(p);
    support::tensor<T, 3> y(p.batch, p.queries, p.heads * p.d_v);
    support::tensor<float> state(p.batch, p.kv_heads, p.d_k, p.d_v);
    state.setZero();
    if (!p.initial.empty()) state = gates.initial;
    support::with_rule(p, gates, [&](const auto&... options) {
        heed::linear_attention_into(heed::split_heads(y, p.heads), heed::split_heads(q, p.heads),
                                    heed::split_heads(k, p.kv_heads), heed::split_heads(v, p.kv_heads),
                                    heed::causal, heed::unnormalised, heed::identity,
                                    heed::scale(p.used_scale()), heed::state(state), options...);
    });
    INFO(c.name << ", " << support::worst_place(support::values(y), c.outputs.at(0).values));
    CHECK(conformance::close(support::values(y), c.outputs.at(0).values, rtol, atol));
    CHECK(conformance::close(support::values(state), c.outputs.at(1).values, rtol, atol));
}

}  // namespace

TEST_CASE("all LinearAttention cases of the operator vectors") {
#if defined(HEED_CONFORMANCE_DATA)
    const auto cases = conformance::read(HEED_CONFORMANCE_DATA, "LinearAttention");
    CHECK(cases.size() == 12);
    for (const auto& c : cases) {
        if (c.input(0)->dtype == "float16")
            compare<Eigen::half>(c, 1e-3, 1e-3);
        else
            compare<float>(c, 1e-5, 1e-6);
    }
#else
    HEED_SKIP("HEED_CONFORMANCE_DATA was not given");
#endif
}
