// SPDX-License-Identifier: MIT
// tests/sparse/native_backward.cpp: gradients of native sparse attention against finite differences
//
// In double, of the oracle's forward with the selection held fixed, central differences of 1e-5: they are
// right to about 1e-9 of the gradient's size.
#include <heed/thread_pool.hpp>

#include "support/native_call.hpp"
#include "support/traps.hpp"

using namespace support;
using generator = support::random;

namespace {

std::vector<double> ones(generator& r, std::size_t n) { return normals<double>(r, n); }

double loss(const native_reference::problem& p, const std::vector<double>& dy,
            const std::vector<std::vector<long>>& chosen) {
    const auto y = native_reference::solve(p, &chosen).y;
    double sum = 0;
    for (std::size_t i = 0; i < y.size(); ++i) sum += y[i] * dy[i];
    return sum;
}

// How far `got` is from d loss / d x, x being one of the vectors of p: at up to a dozen of its elements.
double off_by(native_reference::problem p, std::vector<double> native_reference::problem::* x,
              const std::vector<double>& got, const std::vector<double>& dy,
              const std::vector<std::vector<long>>& chosen, generator& r) {
    std::vector<double>& all = p.*x;
    if (got.size() != all.size()) return HUGE_VAL;
    double worst = 0;
    for (int i = 0; i < 12 && !all.empty(); ++i) {
        const auto at = static_cast<std::size_t>(r.between(0, long(all.size()) - 1));
        const double kept = all[at], step = 1e-5;
        all[at] = kept + step;
        const double above = loss(p, dy, chosen);
        all[at] = kept - step;
        const double below = loss(p, dy, chosen);
        all[at] = kept;
        worst = std::fmax(worst, std::fabs(got[at] - (above - below) / (2 * step)));
    }
    return worst;
}

native_reference::problem small_problem(generator& r) {
    native_reference::problem p;
    p.stride = r.between(1, 2);
    p.block = p.stride * r.between(1, 3);
    p.select_block = p.stride * r.between(1, 3);
    p.count = r.between(3, 5);
    p.window = r.between(1, 6);
    p.batch = r.between(1, 2);
    p.kv_heads = r.between(1, 2);
    p.heads = p.kv_heads * r.between(1, 5);
    p.queries = r.between(1, 8);
    p.keys = r.chance(0.3) ? r.between(1, 4) : r.between(14, 24);
    p.d_k = r.between(1, 5);
    p.d_v = r.between(1, 5);
    fill<double>(p, r);
    return p;
}

bool decided(const native_reference::answer& a) {
    for (const double gap : a.gap)
        if (gap < 1e-6) return false;
    return true;
}

using wide = tensor<double>;

}  // namespace

TEST_CASE("gradients of queries, keys, values and gates") {
    generator r(951);
    int checked = 0;
    for (int round = 0; round < 50; ++round) {
        const auto p = small_problem(r);
        const auto truth = native_reference::solve(p);
        if (!decided(truth)) continue;
        ++checked;
        const native_inputs<double> in(p);
        const auto dy = ones(r, truth.y.size());
        const auto d = tensor4<double>(dy, p.batch, p.heads, p.queries, p.d_v);
        const auto g = heed::native_sparse_attention_backward(d, in.q, in.k, in.v, in.gates, sizes_of(p));
        INFO(describe(p));
        using problem = native_reference::problem;
        CHECK(off_by(p, &problem::q, values(g.q), dy, truth.chosen, r) < 1e-6);
        CHECK(off_by(p, &problem::k, values(g.k), dy, truth.chosen, r) < 1e-6);
        CHECK(off_by(p, &problem::v, values(g.v), dy, truth.chosen, r) < 1e-6);
        CHECK(off_by(p, &problem::gates, values(g.gates), dy, truth.chosen, r) < 1e-6);
    }
    CHECK(checked > 40);
}

TEST_CASE("gradients of the caller's own compressed keys") {
    generator r(952);
    for (int round = 0; round < 20; ++round) {
        auto p = small_problem(r);
        const long count = p.compressed(p.keys);
        const auto size = static_cast<std::size_t>(p.batch * p.kv_heads * count);
        p.ck = normals<double>(r, size * static_cast<std::size_t>(p.d_k));
        p.cv = normals<double>(r, size * static_cast<std::size_t>(p.d_v));
        const auto truth = native_reference::solve(p);
        if (!decided(truth) || count == 0) continue;
        const native_inputs<double> in(p);
        const auto ck = tensor4<double>(p.ck, p.batch, p.kv_heads, count, p.d_k);
        const auto cv = tensor4<double>(p.cv, p.batch, p.kv_heads, count, p.d_v);
        const auto dy = ones(r, truth.y.size());
        const auto d = tensor4<double>(dy, p.batch, p.heads, p.queries, p.d_v);
        wide dq(in.q.dimensions()), dk(in.k.dimensions()), dv(in.v.dimensions());
        wide dgates(in.gates.dimensions()), dck(ck.dimensions()), dcv(cv.dimensions());
        heed::native_sparse_attention_backward_into(dq, dk, dv, dgates, d, in.q, in.k, in.v, in.gates,
                                                    sizes_of(p), heed::compressed(ck, cv),
                                                    heed::compressed_gradient(dck, dcv));
        INFO(describe(p));
        using problem = native_reference::problem;
        CHECK(off_by(p, &problem::q, values(dq), dy, truth.chosen, r) < 1e-6);
        CHECK(off_by(p, &problem::k, values(dk), dy, truth.chosen, r) < 1e-6);
        CHECK(off_by(p, &problem::v, values(dv), dy, truth.chosen, r) < 1e-6);
        CHECK(off_by(p, &problem::gates, values(dgates), dy, truth.chosen, r) < 1e-6);
        CHECK(off_by(p, &problem::ck, values(dck), dy, truth.chosen, r) < 1e-6);
        CHECK(off_by(p, &problem::cv, values(dcv), dy, truth.chosen, r) < 1e-6);
    }
}

TEST_CASE("gradients of float and bfloat16 are those of double, rounded") {
    generator r(953);
    native_reference::problem p;
    p.heads = 6, p.kv_heads = 2, p.queries = 70, p.keys = 90, p.d_k = 20, p.d_v = 17, p.count = 4;
    fill<Eigen::bfloat16>(p, r);
    const auto dy = normals<Eigen::bfloat16>(r, static_cast<std::size_t>(p.heads * p.queries * p.d_v));
    const auto gradients = [&](auto like) {
        using T = decltype(like);
        const native_inputs<T> in(p);
        const auto d = tensor4<T>(dy, p.batch, p.heads, p.queries, p.d_v);
        const auto g = heed::native_sparse_attention_backward(d, in.q, in.k, in.v, in.gates, sizes_of(p));
        return std::vector<std::vector<double>>{values(g.q), values(g.k), values(g.v), values(g.gates)};
    };
    const auto truth = gradients(double());
    const auto single = gradients(float());
    const auto brain = gradients(Eigen::bfloat16());
    for (std::size_t i = 0; i < 4; ++i) {
        const double size = max_abs(truth[i]);
        CHECK(max_error(single[i], truth[i]) < 2e-5 * size);
        CHECK(max_error(brain[i], truth[i]) < 5e-3 * size);
    }
}

// Which blocks are chosen among equal ones may differ; what all keys together are given does not.
TEST_CASE("keys whose products all overflow downwards weigh as keys of equal scores do") {
    const heed_test::without_traps quiet;
    generator r(955);
    native_reference::problem p;
    p.heads = 4, p.kv_heads = 2, p.queries = 70, p.keys = 90, p.d_k = 5, p.d_v = 7, p.count = 4;
    fill<float>(p, r);
    const auto given = [&](double number) {
        p.q.assign(p.q.size(), number), p.k.assign(p.k.size(), -number);
        const native_inputs<float> in(p);
        support::tensor<float> d(1, p.heads, p.queries, p.d_v);
        for (long i = 0; i < d.size(); ++i) d.data()[i] = static_cast<float>(i % 5) - 1.5f;
        const auto g = heed::native_sparse_attention_backward(d, in.q, in.k, in.v, in.gates, sizes_of(p));
        std::vector<double> sums(static_cast<std::size_t>(p.kv_heads * p.d_v));
        for (long h = 0; h < p.kv_heads; ++h)
            for (long j = 0; j < p.keys; ++j)
                for (long f = 0; f < p.d_v; ++f)
                    sums[static_cast<std::size_t>(h * p.d_v + f)] += static_cast<double>(g.v(0, h, j, f));
        return sums;
    };
    const auto want = given(0);
    CHECK(max_error(given(1e30), want) < 1e-5 * max_abs(want));
}

TEST_CASE("gradients have the same bits on any number of threads and with carried keys") {
    generator r(954);
    native_reference::problem p;
    p.batch = 2, p.heads = 6, p.kv_heads = 3, p.queries = 60, p.keys = 60, p.d_k = 8, p.d_v = 8, p.count = 4;
    fill<float>(p, r);
    const native_inputs<float> in(p);
    heed::compressed_keys<float> means(2, 3, 8, 8, p.block, p.stride);
    means.append(in.k, in.v);
    const heed::thread_pool pool(3);
    heed::workspace workspace;
    const auto one = heed::native_sparse_attention_backward(in.q, in.q, in.k, in.v, in.gates, sizes_of(p));
    tensor<float> dq(in.q.dimensions()), dk(in.k.dimensions()), dv(in.v.dimensions());
    tensor<float> dgates(in.gates.dimensions());
    heed::native_sparse_attention_backward_into(dq, dk, dv, dgates, in.q, in.q, in.k, in.v, in.gates,
                                                sizes_of(p), heed::compressed(means), heed::on(pool),
                                                heed::use(workspace));
    CHECK(same_bits(elements(one.q), elements(dq)));
    CHECK(same_bits(elements(one.k), elements(dk)));
    CHECK(same_bits(elements(one.v), elements(dv)));
    CHECK(same_bits(elements(one.gates), elements(dgates)));
}

TEST_CASE("the weights of every branch add up to 1 however large the scores are") {
    generator r(955);
    for (const double size : {1.0, 30.0, 1e3, 3.6e5, 1e9, 1e20})
        for (const long queries : {3L, 70L}) {
            native_reference::problem p;
            p.stride = p.block = p.select_block = 4;
            p.count = 5, p.window = 20;
            p.queries = queries, p.keys = 70, p.d_k = 6, p.d_v = queries;
            fill<float>(p, r);
            for (double& x : p.q) x *= size;
            native_inputs<float> in(p);
            in.gates.setConstant(1);
            // dv(key, query): the sum of the query's weights in the three branches.
            tensor<float> dy(1, 1, queries, queries);
            dy.setZero();
            for (long i = 0; i < queries; ++i) dy(0, 0, i, i) = 1;
            const auto g =
                heed::native_sparse_attention_backward(dy, in.q, in.k, in.v, in.gates, sizes_of(p));
            double worst = 0;
            for (long i = 0; i < queries; ++i) {
                double sum = 0;
                for (long j = 0; j < p.keys; ++j) sum += static_cast<double>(g.v(0, 0, j, i));
                const long seen = i + 1 + p.keys - queries;
                // The first queries see no compressed key; the window has the fewest.
                const double want = seen >= p.block ? 3 : 2, few = static_cast<double>((std::min)(seen, 20L));
                worst = std::fmax(worst, std::fabs(sum - want) / (3 * 4 * 1.2e-7 * std::sqrt(few)));
            }
            INFO(queries << " queries times " << size);
            CHECK(worst <= 1);
        }
}
