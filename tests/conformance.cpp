// SPDX-License-Identifier: MIT
// tests/conformance.cpp: every Attention case of the operator vectors through heed (R1)
//
// float at rtol 1e-5 and atol 1e-6, half at 1e-3. What was computed before (past keys) is put in
// front of the keys here, since that is what the operator's inputs mean; the present outputs are
// that concatenation and are compared as well.
#include "support/conformance_problem.hpp"

#include "support/call.hpp"

#if defined(HEED_CONFORMANCE_DATA)
namespace {

using conformance::attention_case;
using conformance::close;

template <class T>
struct outcome {
    support::tensor<T> y;
    support::tensor<float> scores;
};

// Mask or bias, softcap and position rule, in as few instantiations as the cases need.
template <class T>
outcome<T> run(const attention_case& c) {
    const reference::problem& p = c.p;
    const support::inputs<T> in(p);
    outcome<T> o{{p.batch, p.heads, p.queries, p.d_v}, {p.batch, p.heads, p.queries, p.keys}};
    static const heed::stage stages[] = {heed::stage::raw, heed::stage::capped, heed::stage::biased,
                                         heed::stage::probabilities};
    const auto call = [&](const auto&... options) {
        heed::attention_into(
            o.y, in.q, in.k, in.v, heed::scale(p.scale ? *p.scale : 1 / std::sqrt(double(p.d_k))),
            heed::key_lengths(c.lengths), heed::scores(o.scores, stages[c.stage]), options...);
    };
    support::tensor<bool> mask(p.batch, p.heads, p.queries, p.keys);
    support::tensor<T> bias(p.batch, p.heads, p.queries, p.keys);
    for (std::size_t i = 0; i < c.dense.size(); ++i) {
        mask.data()[i] = c.dense[i] != 0;
        bias.data()[i] = support::narrow<T>(c.dense[i]);
    }
    const auto dense = [&](const auto&... options) {
        if (c.has_mask)
            call(heed::mask(mask), options...);
        else if (c.has_bias)
            call(heed::bias(bias), options...);
        else
            call(options...);
    };
    const long left = c.left < 0 ? heed::unbounded : c.left, right = c.right < 0 ? heed::unbounded : c.right;
    const bool softcapped = p.softcap != 0;
    if (softcapped)
        dense(heed::window_from(c.offsets, left, right), heed::softcap(p.softcap));
    else if (c.causal && c.left < 0)
        dense(heed::causal_from(c.offsets));
    else
        dense(heed::window_from(c.offsets, left, right));
    return o;
}

template <class T>
void compare(const conformance::test_case& c, const attention_case& a) {
    const double rtol = a.half ? 1e-3 : 1e-5, atol = a.half ? 1e-3 : 1e-6;
    const auto o = run<T>(a);
    const auto y = support::values(o.y);
    INFO(c.name);
    CHECK(close(a.rank3 ? conformance::merge_heads(y, a.p) : y, c.outputs.at(0).values, rtol, atol));
    if (c.outputs.count(1)) CHECK(close(a.present_k, c.outputs.at(1).values, 0, 0));
    if (c.outputs.count(2)) CHECK(close(a.present_v, c.outputs.at(2).values, 0, 0));
    if (c.outputs.count(3)) CHECK(close(support::values(o.scores), c.outputs.at(3).values, rtol, atol));
}

}  // namespace
#endif

TEST_CASE("all Attention cases of the operator vectors") {
#if defined(HEED_CONFORMANCE_DATA)
    const auto cases = conformance::read(HEED_CONFORMANCE_DATA, "Attention");
    CHECK(cases.size() == 65);
    for (const auto& c : cases) {
        const auto a = conformance::attention(c);
        if (a.half)
            compare<Eigen::half>(c, a);
        else
            compare<float>(c, a);
    }
#else
    HEED_SKIP("HEED_CONFORMANCE_DATA was not given");
#endif
}
