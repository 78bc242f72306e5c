// SPDX-License-Identifier: MIT
// tests/sparse/native_keys.cpp: compressed keys carried from call to call, and what every call promises
//
// Pieces, truncation, the caller's own compressed keys; threads, batch, memory; errors before anything is
// written.
#include <heed/thread_pool.hpp>

#include "support/allocation.hpp"
#include "support/native_call.hpp"

using namespace support;
using generator = support::random;
using heed_test::contains;

namespace {

native_reference::problem problem_of(generator& r, long queries, long keys) {
    native_reference::problem p;
    p.batch = 2, p.heads = 6, p.kv_heads = 3, p.queries = queries, p.keys = keys;
    p.d_k = 7, p.d_v = 5, p.count = 5, p.block = 6;
    fill<float>(p, r);
    return p;
}

using keys_of_float = heed::compressed_keys<float>;

bool same(const keys_of_float& a, const keys_of_float& b) {
    if (a.length() != b.length() || a.size() != b.size()) return false;
    bool equal = true;
    const auto compare = [&](const auto& x, const auto& y) {
        for (long h = 0; h < x.batch() * x.heads(); ++h)
            for (long i = 0; i < x.positions(); ++i)
                equal = equal && same_bits(&x(h / x.heads(), h % x.heads(), i, 0),
                                           &y(h / x.heads(), h % x.heads(), i, 0),
                                           static_cast<std::size_t>(x.features()));
    };
    compare(a.keys(), b.keys());
    compare(a.values(), b.values());
    return equal;
}

keys_of_float all_at_once(const native_reference::problem& p, const native_inputs<float>& in, long count) {
    keys_of_float x(p.batch, p.kv_heads, p.d_k, p.d_v, p.block, p.stride);
    x.append(heed::as_view(in.k).slice_positions(0, count), heed::as_view(in.v).slice_positions(0, count));
    return x;
}

}  // namespace

TEST_CASE("compressed keys are the means of their blocks, whatever pieces the keys come in") {
    generator r(931);
    for (int round = 0; round < 20; ++round) {
        auto p = problem_of(r, 1, r.between(1, 60));
        p.stride = r.between(1, 5), p.block = p.stride * r.between(1, 4);
        const native_inputs<float> in(p);
        const auto whole = all_at_once(p, in, p.keys);
        CHECK(whole.size() == p.compressed(p.keys));
        const auto truth = native_reference::means(p, p.k, p.d_k);
        const auto got = whole.keys();
        double worst = 0;
        for (long h = 0; h < 6; ++h)
            for (long i = 0; i < whole.size(); ++i)
                for (long f = 0; f < p.d_k; ++f)
                    worst = std::fmax(
                        worst,
                        std::fabs(double(got(h / 3, h % 3, i, f)) -
                                  truth[static_cast<std::size_t>((h * whole.size() + i) * p.d_k + f)]));
        CHECK(worst < 1e-6);

        keys_of_float pieces(2, 3, p.d_k, p.d_v, p.block, p.stride);
        while (pieces.length() < p.keys) {
            const long count = std::min(p.keys - pieces.length(), r.skewed(1, 30));
            pieces.append(heed::as_view(in.k).slice_positions(pieces.length(), count),
                          heed::as_view(in.v).slice_positions(pieces.length(), count));
            if (r.chance(0.3)) {  // a few are taken back, some to the last stride, and come again
                const long back = std::max(0L, pieces.length() - r.between(0, p.block - p.stride));
                pieces.truncate(r.chance(0.5) ? back : back / p.stride * p.stride);
            }
        }
        CHECK(same(whole, pieces));
        const long less = r.between(0, p.keys) / p.stride * p.stride;
        pieces.truncate(less);
        CHECK(pieces.length() == less);
        CHECK(same(all_at_once(p, in, less), pieces));
    }
}

TEST_CASE("carried keys, made keys and the caller's means give the same bits, prompt and decode") {
    generator r(932);
    for (const long queries : {1L, 33L, 60L}) {
        const auto p = problem_of(r, queries, 60);
        const native_inputs<float> in(p);
        const auto means = all_at_once(p, in, 60);
        const auto made = heed::native_sparse_attention(in.q, in.k, in.v, in.gates, sizes_of(p));
        const auto carried =
            heed::native_sparse_attention(in.q, in.k, in.v, in.gates, sizes_of(p), heed::compressed(means));
        const auto ck = means.keys(), cv = means.values();
        const auto own =
            heed::native_sparse_attention(in.q, in.k, in.v, in.gates, sizes_of(p), heed::compressed(ck, cv));
        CHECK(same_bits(elements(made), elements(carried)));
        CHECK(same_bits(elements(made), elements(own)));
    }
}

TEST_CASE("the caller's own compressed keys against the oracle") {
    generator r(933);
    auto p = problem_of(r, 40, 60);
    const long count = p.compressed(60);
    p.ck = normals<float>(r, static_cast<std::size_t>(6 * count * p.d_k));
    p.cv = normals<float>(r, static_cast<std::size_t>(6 * count * p.d_v));
    const native_inputs<float> in(p);
    const auto ck = tensor4<float>(p.ck, 2, 3, count, p.d_k), cv = tensor4<float>(p.cv, 2, 3, count, p.d_v);
    long close = 0;
    check_native<float>(
        p, heed::native_sparse_attention(in.q, in.k, in.v, in.gates, sizes_of(p), heed::compressed(ck, cv)),
        close);
    CHECK(close < 20);
}

TEST_CASE("the same bits on any number of threads and at any place in a batch") {
    generator r(934);
    for (const long queries : {2L, 150L}) {
        const auto p = problem_of(r, queries, 150);
        const native_inputs<float> in(p);
        const auto one = heed::native_sparse_attention(in.q, in.k, in.v, in.gates, sizes_of(p));
        for (const int threads : {2, 3, 7}) {
            const heed::thread_pool pool(threads);
            const auto many =
                heed::native_sparse_attention(in.q, in.k, in.v, in.gates, sizes_of(p), heed::on(pool));
            CHECK(same_bits(elements(one), elements(many)));
        }
        const auto second = [](const tensor<float>& x) { return heed::as_view(x).slice_batch(1, 1); };
        const auto alone = heed::native_sparse_attention(second(in.q), second(in.k), second(in.v),
                                                         second(in.gates), sizes_of(p));
        CHECK(same_bits(alone.data(), one.data() + one.size() / 2, static_cast<std::size_t>(one.size() / 2)));
    }
}

TEST_CASE("y may be q itself, and other layouts give the same bits") {
    generator r(935);
    auto p = problem_of(r, 55, 60);
    p.d_v = p.d_k;
    fill<float>(p, r);
    native_inputs<float> in(p);
    const auto y = heed::native_sparse_attention(in.q, in.k, in.v, in.gates, sizes_of(p));
    tensor<float> turned = in.v.shuffle(Eigen::array<int, 4>{0, 1, 3, 2});
    const heed::view<float> v = heed::transposed(turned);
    heed::native_sparse_attention_into(in.q, in.q, in.k, v, in.gates, sizes_of(p));
    CHECK(same_bits(elements(y), elements(in.q)));
}

TEST_CASE("calls with a workspace that has grown allocate nothing, nor do appends within reserve") {
    generator r(936);
    const auto p = problem_of(r, 60, 60);
    const native_inputs<float> in(p);
    tensor<float> y(2, 6, 60, 5);
    keys_of_float means(2, 3, p.d_k, p.d_v, p.block, p.stride);
    means.reserve(60);
    heed::workspace workspace;
    const auto one = heed::as_view(in.q).slice_positions(59, 1);
    const auto gate = heed::as_view(in.gates).slice_positions(59, 1);
    const auto step = heed::as_view(y).slice_positions(59, 1);
    const auto calls = [&] {
        means.truncate(0);
        means.append(in.k, in.v);
        heed::native_sparse_attention_into(y, in.q, in.k, in.v, in.gates, sizes_of(p), heed::use(workspace));
        heed::native_sparse_attention_into(step, one, in.k, in.v, gate, sizes_of(p), heed::compressed(means),
                                           heed::use(workspace));
    };
    calls();
    long counted = 0;
    {
        const allocation_watch watch;
        for (int i = 0; i < 3; ++i) calls();
        counted = watch.count();
    }
    CHECK(counted == 0);
}

TEST_CASE("wrong calls say what they need and write nothing") {
    generator r(937);
    const auto p = problem_of(r, 10, 60);
    native_inputs<float> in(p);
    tensor<float> y(2, 6, 10, 5), gates(2, 6, 10, 2);
    y.setConstant(-77);
    const auto call = [&](const auto&... options) {
        heed::native_sparse_attention_into(y, in.q, in.k, in.v, in.gates, options...);
    };
    CHECK_THROWS_WITH(call(heed::native_blocks{.compress_stride = 0}),
                      contains("compress_stride is 0, needs at least 1"));
    CHECK_THROWS_WITH(call(heed::native_blocks{.compress_block = 24}),
                      contains("compress_block is 24, needs a multiple of compress_stride, 16"));
    CHECK_THROWS_WITH(call(heed::native_blocks{.select_block = 40}),
                      contains("select_block is 40, needs a multiple of compress_stride, 16"));
    CHECK_THROWS_WITH(call(heed::native_blocks{.select_count = 2}),
                      contains("select_count is 2, needs at least 3"));
    CHECK_THROWS_WITH(call(heed::native_blocks{.window = 0}), contains("window is 0, needs"));
    CHECK_THROWS_WITH(call(heed::scale(HUGE_VAL)), contains("scale is inf, needs a finite number"));
    CHECK_THROWS_WITH(heed::native_sparse_attention_into(y, in.q, in.k, in.v, gates),
                      contains("gates is (2, 6, 10, 2), needs (2, 6, 10, 3)"));
    const auto part = all_at_once(p, in, 59);
    CHECK_THROWS_WITH(call(sizes_of(p), heed::compressed(part)),
                      contains("the compressed keys have taken in 59 keys, k has 60"));
    const auto means = all_at_once(p, in, 60);
    CHECK_THROWS_WITH(call(heed::compressed(means)),
                      contains("the compressed keys are blocks of 6 every 2, needs 32 every 16"));
    const auto ck = means.keys(), cv = means.values();
    const auto fewer = ck.slice_positions(0, 3);
    CHECK_THROWS_WITH(call(sizes_of(p), heed::compressed(fewer, cv)),
                      contains("the compressed keys are 3, needs one for each whole block of keys, 28"));
    CHECK_THROWS_WITH(call(sizes_of(p), heed::compressed(ck, ck)),
                      contains("the compressed values have 7 features, needs 5"));
    CHECK_THROWS_WITH(heed::native_sparse_attention_backward(y, in.q, in.k, in.v, in.gates, sizes_of(p),
                                                             heed::compressed(ck, cv)),
                      contains("needs compressed_gradient(dk, dv)"));
    CHECK_THROWS_WITH(heed::native_sparse_attention_backward(in.q, in.q, in.k, in.v, in.gates),
                      contains("dy has 7 features, the output has 5"));
    for (long i = 0; i < y.size(); ++i) REQUIRE(y.data()[i] == -77);

    keys_of_float x(2, 3, 7, 5, 6, 2);
    x.append(in.k, in.v);
    CHECK_THROWS_WITH(x.truncate(61), contains("n is 61, needs a number of the 60 keys there are"));
    CHECK_THROWS_WITH(x.truncate(51), contains("n is 51, needs a multiple of the stride 2"));
    CHECK_THROWS_WITH(x.append(in.v, in.v), contains("k has 5 features, needs 7"));
    CHECK_THROWS_WITH(x.append(in.k, heed::as_view(in.v).slice_positions(0, 3)),
                      contains("v has 3 positions, k has 60"));
    CHECK(x.length() == 60);
    x.truncate(57);
    CHECK(x.length() == 57);
    CHECK_THROWS_WITH(keys_of_float(1, 1, 4, 4, 5, 2),
                      contains("compress_block is 5, needs a multiple of compress_stride, 2"));
    CHECK_THROWS_WITH(keys_of_float(1, -1, 4, 4), contains("kv_heads is -1"));
}
