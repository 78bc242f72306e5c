// SPDX-License-Identifier: MIT
// tests/properties/bitwise.cpp: different ways to say the same call give the same bits (R6)
//
// Grouped against repeated heads and batch against alone stand in core/determinism.cpp.
#include "support/call.hpp"

namespace {

using tensor4 = support::tensor<float>;

bool same(const tensor4& a, const tensor4& b) {
    return support::same_bits(support::elements(a), support::elements(b));
}

}  // namespace

TEST_CASE("a mask that hides nothing gives the bits of no mask") {
    support::for_problems<float>(1201, 60, [](reference::problem& p, support::random&) {
        const support::inputs<float> in(p);
        const tensor4 plain = heed::attention(in.q, in.k, in.v);
        support::tensor<bool, 2> all(p.queries, p.keys);
        all.setConstant(true);
        INFO(support::describe(p));
        CHECK(same(plain, heed::attention(in.q, in.k, in.v, heed::mask(all))));
        CHECK(same(plain,
                   heed::attention(in.q, in.k, in.v, heed::mask_if([](heed::at i) { return i.key >= 0; }))));
        CHECK(same(plain, heed::attention(in.q, in.k, in.v, heed::prefix(p.keys) | heed::causal)));
        CHECK(same(plain, heed::attention(in.q, in.k, in.v, heed::window(heed::unbounded, heed::unbounded))));
    });
}

TEST_CASE("a causal row is attention over its prefix") {
    support::for_problems<float>(1202, 60, [](reference::problem& p, support::random& r) {
        const support::inputs<float> in(p);
        const tensor4 causal = heed::attention(in.q, in.k, in.v, heed::causal);
        for (int pick = 0; pick < 4; ++pick) {
            const long i = r.between(0, p.queries - 1), keys = i + 1 + p.keys - p.queries;
            if (keys <= 0) continue;
            // All queries over the prefix without a mask; row i has to be the same.
            const tensor4 prefix = heed::attention(in.q, heed::as_view(in.k).slice_positions(0, keys),
                                                   heed::as_view(in.v).slice_positions(0, keys));
            long different = 0;
            for (long b = 0; b < p.batch; ++b)
                for (long h = 0; h < p.heads; ++h)
                    different += !support::same_bits(&prefix(b, h, i, 0), &causal(b, h, i, 0),
                                                     static_cast<std::size_t>(p.d_v));
            INFO(support::describe(p) << ", row " << i);
            CHECK(different == 0);
        }
    });
}

TEST_CASE("masks by other names: window as causal, key lengths as shorter keys, bias as mask") {
    support::for_problems<float>(1203, 60, [](reference::problem& p, support::random& r) {
        const support::inputs<float> in(p);
        const tensor4 causal = heed::attention(in.q, in.k, in.v, heed::causal);
        INFO(support::describe(p));
        CHECK(same(causal, heed::attention(in.q, in.k, in.v, heed::window(heed::unbounded, 0))));
        CHECK(same(causal, heed::attention(in.q, in.k, in.v, heed::causal_from(p.keys - p.queries))));
        const int offset = static_cast<int>(p.keys - p.queries);
        CHECK(same(causal, heed::attention(in.q, in.k, in.v, heed::mask_if([=](heed::at i) {
                                               return i.key <= i.query + offset;
                                           }))));
        const long n = r.between(0, p.keys);
        const std::vector<long> lengths(static_cast<std::size_t>(p.batch), n);
        CHECK(same(heed::attention(in.q, heed::as_view(in.k).slice_positions(0, n),
                                   heed::as_view(in.v).slice_positions(0, n)),
                   heed::attention(in.q, in.k, in.v, heed::key_lengths(lengths))));
    });
}

TEST_CASE("powers of two pass through v and q exactly") {
    support::for_problems<float>(1204, 60, [](reference::problem& p, support::random& r) {
        support::inputs<float> in(p);
        const tensor4 y = heed::attention(in.q, in.k, in.v, heed::scale(0.25));
        const int exponent = static_cast<int>(r.between(-20, 20));
        const float factor = std::ldexp(1.0f, exponent);
        for (long i = 0; i < in.v.size(); ++i) in.v.data()[i] *= factor;
        for (long i = 0; i < in.q.size(); ++i) in.q.data()[i] *= 4;
        tensor4 z = heed::attention(in.q, in.k, in.v, heed::scale(0.0625));
        for (long i = 0; i < z.size(); ++i) z.data()[i] /= factor;
        INFO(support::describe(p) << ", 2^" << exponent);
        CHECK(same(y, z));
    });
}

TEST_CASE("a decode step is the prefill row within 16 ULP of max |v|") {
    support::for_problems<float>(1205, 80, [](reference::problem& p, support::random& r) {
        const support::inputs<float> in(p);
        const tensor4 prefill = heed::attention(in.q, in.k, in.v, heed::causal);
        const long i = r.between(0, p.queries - 1), keys = i + 1 + p.keys - p.queries;
        if (keys <= 0) return;
        const tensor4 step = heed::attention(heed::as_view(in.q).slice_positions(i, 1),
                                             heed::as_view(in.k).slice_positions(0, keys),
                                             heed::as_view(in.v).slice_positions(0, keys), heed::causal);
        double worst = 0;
        for (long b = 0; b < p.batch; ++b)
            for (long h = 0; h < p.heads; ++h)
                for (long f = 0; f < p.d_v; ++f)
                    worst = std::fmax(worst, std::fabs(support::widen(step(b, h, 0, f)) -
                                                       support::widen(prefill(b, h, i, f))));
        INFO(support::describe(p) << ", row " << i);
        CHECK(worst <= 16 * support::ulp<float>(support::max_abs(p.v)));
    });
}

TEST_CASE("the order of the options does not matter") {
    support::random r(1206);
    const auto p = support::problem<float>(r, 2, 4, 2, 40, 170, 9, 9);
    const support::inputs<float> in(p);
    const std::vector<float> sinks{0.5f, -1, 0, 2};
    const auto odd = heed::mask_if([](heed::at i) { return i.key % 3 != 0; });
    const tensor4 a = heed::attention(in.q, in.k, in.v, heed::causal, odd, heed::softcap(3), heed::alibi(),
                                      heed::sinks(sinks), heed::scale(0.7));
    const tensor4 b = heed::attention(in.q, in.k, in.v, heed::scale(0.7), heed::sinks(sinks), odd,
                                      heed::alibi(), heed::softcap(3), heed::causal);
    CHECK(same(a, b));
}
