// SPDX-License-Identifier: MIT
// tests/select/psa_backward.cpp: gradients of psa against central differences of the oracle
//
// The oracle runs in long double with the keys and features that stay held fixed.
#include <heed/select/psa_backward.hpp>
#include <heed/thread_pool.hpp>

#include "support/allocation.hpp"
#include "support/call.hpp"
#include "support/psa_call.hpp"
#include "support/traps.hpp"

namespace {

using heed_test::contains;
using support::settings_of;
using support::tensor;

struct gradients {
    std::vector<double> q, k, v;
};

// Of <dy, y> + <of_lse, log-sum-exp>, element by element.
gradients differences(reference::problem p, const reference::psa& s, const std::vector<double>& dy,
                      const std::vector<double>& of_lse) {
    const auto choice = reference::choose(p, s);
    const auto loss = [&] {
        const auto a = reference::solve_psa<long double>(p, s, choice);
        long double sum = 0;
        for (std::size_t i = 0; i < dy.size(); ++i) sum += a.y[i] * static_cast<long double>(dy[i]);
        for (std::size_t i = 0; i < of_lse.size(); ++i)
            if (std::isfinite(a.lse[i])) sum += a.lse[i] * static_cast<long double>(of_lse[i]);
        return sum;
    };
    const auto of = [&](std::vector<double>& x) {
        std::vector<double> g(x.size());
        for (std::size_t i = 0; i < x.size(); ++i) {
            const double kept = x[i];
            x[i] = kept + 0x1p-17;
            const double up = x[i];
            const long double above = loss();
            x[i] = kept - 0x1p-17;
            g[i] = static_cast<double>((above - loss()) / static_cast<long double>(up - x[i]));
            x[i] = kept;
        }
        return g;
    };
    return {of(p.q), of(p.k), of(p.v)};
}

double relative_error(const std::vector<double>& got, const std::vector<double>& want) {
    return support::max_error(got, want) / (1e-3 + support::max_abs(want));
}

template <class... Options>
void check_gradients(const reference::problem& p, const reference::psa& s, support::random& r,
                     const Options&... options) {
    const support::inputs<double> in(p);
    const auto dy = support::normals<double>(r, p.y_size());
    const auto given = support::tensor4<double>(dy, p.batch, p.heads, p.queries, p.d_v);
    const auto of_lse = support::normals<double>(r, p.rows());
    tensor<double, 3> rows(p.batch, p.heads, p.queries);
    std::copy(of_lse.begin(), of_lse.end(), rows.data());
    const auto want = differences(p, s, dy, of_lse);
    const auto g = heed::psa_backward(given, in.q, in.k, in.v, options..., heed::psa(settings_of(s)),
                                      heed::logsumexp_gradient(rows));
    INFO(support::describe(p) << " reading " << int(s.how) << " fraction " << s.fraction << " features "
                              << s.of_queries << ' ' << s.of_keys);
    CHECK(relative_error(support::values(g.q), want.q) <= 1e-6);
    CHECK(relative_error(support::values(g.k), want.k) <= 1e-6);
    CHECK(relative_error(support::values(g.v), want.v) <= 1e-6);
}

reference::psa psa_of(reference::reading how, double fraction) {
    reference::psa s;
    s.pi = {heed::cubic_exponential{}.coefficients, 4, false};
    s.how = how;
    s.fraction = fraction;
    return s;
}

constexpr reference::reading readings[] = {reference::reading::intended, reference::reading::masked,
                                           reference::reading::literal};

}  // namespace

TEST_CASE("gradients agree with central differences in every reading") {
    support::random r(1);
    for (int i = 0; i < 36; ++i) {
        const long kv_heads = r.between(1, 2);
        auto p = support::problem<double>(r, r.between(1, 2), kv_heads * r.between(1, 2), kv_heads,
                                          r.between(1, 7), r.between(1, 9), r.between(1, 5), r.between(1, 4));
        auto s = psa_of(readings[i % 3], r.uniform(0.1, 1));
        if (r.chance(0.3)) s.pi = {{1, 0.7, 0.2, 0.02}, 2.5, false};
        if (r.chance(0.3)) s.of_queries = r.uniform(0.2, 1);
        if (r.chance(0.3)) s.of_keys = r.uniform(0.2, 1);
        check_gradients(p, s, r);
    }
}

TEST_CASE("gradients under masks, biases and a scale") {
    support::random r(2);
    for (int i = 0; i < 12; ++i) {
        auto p = support::problem<double>(r, 1, 2, 1, r.between(2, 6), r.between(2, 6), 3, 4);
        const long offset = p.keys - p.queries;
        p.visible = [offset](reference::place at) { return at.key <= at.query + offset; };
        p.scale = 1.75;
        std::vector<double> bias(static_cast<std::size_t>(p.queries * p.keys));
        for (double& x : bias) x = r.chance(0.2) ? -HUGE_VAL : r.normal();
        p.bias = [&bias, keys = p.keys](reference::place at) {
            return bias[static_cast<std::size_t>(at.query * keys + at.key)];
        };
        const auto added = support::tensor4<double>(bias, 1, 1, p.queries, p.keys);
        check_gradients(p, psa_of(readings[i % 3], 0.6), r, heed::causal, heed::scale(1.75),
                        heed::bias(added));
    }
}

TEST_CASE("many keys and queries: the blocks of the rows kernel") {
    // Against a sum over single queries, each of which the differences above have shown right.
    support::random r(3);
    const auto p = support::problem<double>(r, 1, 2, 1, 130, 200, 6, 5);
    const support::inputs<double> in(p);
    const auto dy = support::tensor4<double>(support::normals<double>(r, p.y_size()), 1, 2, 130, 5);
    for (const auto how : readings) {
        const auto option = heed::psa(settings_of(psa_of(how, 0.1)));
        const auto g = heed::psa_backward(dy, in.q, in.k, in.v, option);
        std::vector<double> dk(p.k_size()), dv(p.v_size());
        double off = 0;
        for (long i = 0; i < 130; ++i) {
            const auto part = [&](const auto& x) { return heed::as_view(x).slice_positions(i, 1); };
            const auto one = heed::psa_backward(part(dy), part(in.q), in.k, in.v, option);
            for (std::size_t x = 0; x < dk.size(); ++x) dk[x] += one.k.data()[x];
            for (std::size_t x = 0; x < dv.size(); ++x) dv[x] += one.v.data()[x];
            for (long h = 0; h < 2; ++h)
                for (long f = 0; f < 6; ++f)
                    off = std::fmax(off, std::fabs(one.q(0, h, 0, f) - g.q(0, h, i, f)));
        }
        CHECK(off < 1e-12);
        CHECK(support::max_error(support::values(g.k), dk) < 1e-11);
        CHECK(support::max_error(support::values(g.v), dv) < 1e-11);
        // float and bfloat16 follow.
        const support::inputs<float> single(p);
        const auto dyf = support::tensor4<float>(support::values(dy), 1, 2, 130, 5);
        tensor<float> dq(1, 2, 130, 6), dkf(1, 1, 200, 6), dvf(1, 1, 200, 5);
        heed::psa_backward_into(dq, dkf, dvf, dyf, single.q, single.k, single.v, option);
        CHECK(support::max_error(support::values(dq), support::values(g.q)) < 1e-3);
        CHECK(support::max_error(support::values(dvf), support::values(g.v)) < 1e-3);
    }
}

TEST_CASE("16-bit elements, with gradients of their own or of float") {
    support::random r(4);
    const auto p = support::problem<Eigen::bfloat16>(r, 1, 2, 1, 9, 20, 8, 4);
    const support::inputs<Eigen::bfloat16> in(p);
    const support::inputs<float> wide(p);
    const auto dy = support::normals<Eigen::bfloat16>(r, p.y_size());
    const auto given = support::tensor4<Eigen::bfloat16>(dy, 1, 2, 9, 4);
    const auto option = heed::psa(0.4);
    const auto want =
        heed::psa_backward(support::tensor4<float>(dy, 1, 2, 9, 4), wide.q, wide.k, wide.v, option);
    tensor<float> dq(1, 2, 9, 8), dk(1, 1, 20, 8), dv(1, 1, 20, 4);
    heed::psa_backward_into(dq, dk, dv, given, in.q, in.k, in.v, option);
    CHECK(support::same_bits(support::elements(dq), support::elements(want.q)));
    CHECK(support::same_bits(support::elements(dk), support::elements(want.k)));
    CHECK(support::same_bits(support::elements(dv), support::elements(want.v)));
    const auto g = heed::psa_backward(given, in.q, in.k, in.v, option);
    CHECK(support::max_error(support::values(g.q), support::values(want.q)) <=
          support::ulp<Eigen::bfloat16>(support::max_abs(support::values(want.q))));
}

TEST_CASE("rows that see nothing, and what is hidden from all") {
    const heed_test::without_traps quiet;
    support::random r(5);
    auto p = support::problem<double>(r, 1, 1, 1, 8, 5, 4, 4);
    for (long f = 0; f < 4; ++f) p.k[static_cast<std::size_t>(f)] = p.v[static_cast<std::size_t>(f)] = NAN;
    const support::inputs<double> in(p);
    tensor<double> dy(1, 1, 8, 4);
    dy.setConstant(1.5);
    const auto hidden = heed::mask_if([](heed::at i) { return i.key != 0; });
    // The first three queries see no key.
    const auto g = heed::psa_backward(dy, in.q, in.k, in.v, heed::causal, hidden, heed::psa(0.5));
    CHECK(support::positive_zero(&g.q(0, 0, 0, 0), 16));  // key 0 is query 3's only one
    CHECK(support::positive_zero(&g.k(0, 0, 0, 0), 4));
    CHECK(support::positive_zero(&g.v(0, 0, 0, 0), 4));
    long wrong = 0;
    for (const auto* x : {&g.q, &g.k, &g.v})
        for (long i = 0; i < x->size(); ++i) wrong += !std::isfinite(x->data()[i]);
    CHECK(wrong == 0);
    const tensor<double> none(1, 1, 0, 4);
    const auto empty = heed::psa_backward(dy, in.q, none, none, heed::psa(0.5));
    CHECK(support::positive_zero(empty.q.data(), 32));
}

TEST_CASE("the same bits for any thread count; no allocation with a workspace") {
    support::random r(6);
    const auto p = support::problem<float>(r, 2, 6, 3, 70, 90, 12, 8);
    const support::inputs<float> in(p);
    const auto dy = support::tensor4<float>(support::normals<float>(r, p.y_size()), 2, 6, 70, 8);
    const auto option = heed::psa({.fraction = 0.2, .sparsify_queries = 0.5, .sparsify_keys = 0.7});
    const auto g = heed::psa_backward(dy, in.q, in.k, in.v, heed::causal, option);
    const heed::thread_pool pool(4);
    heed::workspace memory;
    tensor<float> dq(in.q.dimensions()), dk(in.k.dimensions()), dv(in.v.dimensions());
    const auto on = heed::on(pool);
    const auto use = heed::use(memory);
    const auto call = [&] {
        heed::psa_backward_into(dq, dk, dv, dy, in.q, in.k, in.v, heed::causal, option, on, use);
    };
    call();
    CHECK(support::same_bits(support::elements(dq), support::elements(g.q)));
    CHECK(support::same_bits(support::elements(dk), support::elements(g.k)));
    CHECK(support::same_bits(support::elements(dv), support::elements(g.v)));
    long counted = 0;
    {
        const support::allocation_watch watch;
        call();
        counted = watch.count();
    }
    CHECK(counted == 0);
}

TEST_CASE("what a caller can get wrong") {
    support::random r(7);
    const auto p = support::problem<float>(r, 1, 2, 1, 3, 5, 4, 4);
    const support::inputs<float> in(p);
    tensor<float> dy(1, 2, 3, 4), few(1, 2, 2, 4), dq(1, 2, 3, 4), dk(1, 1, 5, 4), dv(1, 1, 5, 4);
    dy.setZero(), dq.setConstant(-7);
    const auto call = [&](auto& a, auto& b, auto& c, const auto& given, double fraction) {
        heed::psa_backward_into(a, b, c, given, in.q, in.k, in.v, heed::psa(fraction));
    };
    CHECK_THROWS_WITH(call(dq, dk, dv, few, 0.5),
                      "heed::psa_backward_into: dy has 2 positions, the output has 3");
    CHECK_THROWS_WITH(call(few, dk, dv, dy, 0.5), "heed::psa_backward_into: dq has 2 positions, q has 3");
    CHECK_THROWS_WITH(call(dq, dk, dk, dy, 0.5), contains("dv overlaps dk"));
    CHECK_THROWS_WITH(call(dq, dk, dv, dq, 0.5), contains("dq overlaps dy"));
    CHECK_THROWS_WITH(call(dq, dk, dv, dy, 0.0), contains("psa has a fraction of 0"));
    CHECK_THROWS_WITH(heed::psa_backward(dy, in.q, in.k, in.v, heed::psa(0.5), heed::scale(INFINITY)),
                      contains("scale is inf, needs a finite number"));
    long written = 0;
    for (long i = 0; i < dq.size(); ++i) written += dq.data()[i] != -7;
    CHECK(written == 0);
}
