// SPDX-License-Identifier: MIT
// tests/mask/algebra.cpp: & | ! of masks, several masks in one call, and the laws between them
#include "support/call.hpp"

using support::check_call;

TEST_CASE("and, or and not of interval masks") {
    support::for_problems<float>(61, 100, [](reference::problem& p, support::random& r) {
        const long left = r.skewed(1, p.keys) - 1, n = r.between(0, p.keys);
        const long offset = p.keys - p.queries;
        p.visible = [=](reference::place i) {
            const bool causal = i.key <= i.query + offset, window = i.key >= i.query + offset - left;
            return (causal && window) || i.key < n;
        };
        check_call<float>(p, (heed::causal & heed::window(left, heed::unbounded)) | heed::prefix(n));
    });
}

TEST_CASE("not of a composition") {
    support::for_problems<float>(62, 100, [](reference::problem& p, support::random& r) {
        const long left = r.skewed(1, p.keys) - 1, right = r.skewed(1, p.keys) - 1;
        const long offset = p.keys - p.queries;
        p.visible = [=](reference::place i) {
            const long at = i.query + offset;
            const bool window = i.key >= at - left && i.key <= at + right;
            return !window || (i.key + i.query) % 5 == 0;
        };
        check_call<float>(p, !(heed::window(left, right) &
                               !heed::mask_if([](heed::at i) { return (i.key + i.query) % 5 == 0; })));
    });
}

TEST_CASE("masks given apart intersect, in any order") {
    support::for_problems<float>(63, 60, [](reference::problem& p, support::random& r) {
        const long n = r.between(1, p.keys), offset = p.keys - p.queries;
        const auto odd = heed::mask_if([](heed::at i) { return (i.key ^ i.query) % 3 != 1; });
        p.visible = [=](reference::place i) {
            return i.key <= i.query + offset && i.key < n && (i.key ^ i.query) % 3 != 1;
        };
        const support::inputs<float> in(p);
        const auto a = heed::attention(in.q, in.k, in.v, heed::causal, odd, heed::prefix(n));
        const auto b = heed::attention(in.q, in.k, in.v, heed::causal & odd & heed::prefix(n));
        support::check<float>(p, a);
        CHECK(support::same_bits(support::elements(a), support::elements(b)));
    });
}

TEST_CASE("an or, an and and a not of what heads see apart, for few queries of heads that share keys") {
    support::random r(65);
    for (int round = 0; round < 60; ++round) {
        const long kv_heads = r.between(1, 2), group = r.between(2, 4);
        auto p = support::problem<float>(r, r.between(1, 2), kv_heads * group, kv_heads, r.between(1, 4),
                                         r.between(1, 700), 6, 5);
        // Of most heads nothing: what one head of a group sees must not answer for the others.
        support::tensor<bool> seen(1, p.heads, 1, p.keys);
        for (long h = 0; h < p.heads; ++h)
            for (long key = 0; key < p.keys; ++key)
                seen(0, h, 0, key) = h == round % p.heads && r.chance(0.4);
        const auto own = heed::mask(seen);
        const long n = r.between(0, 3), last = r.between(0, 5);
        const auto in_own = [&](reference::place i) { return seen(0, i.head, 0, i.key); };
        const auto recent = [=](reference::place i) { return i.key >= i.query + p.keys - p.queries - last; };
        p.visible = [&](reference::place i) { return in_own(i) || i.key < n; };
        check_call<float>(p, own | heed::prefix(n));
        check_call<float>(p, heed::prefix(n) | own);
        p.visible = [&](reference::place i) { return in_own(i) && recent(i); };
        check_call<float>(p, own & heed::window(last, heed::unbounded));
        check_call<float>(p, heed::window(last, heed::unbounded), own);
        p.visible = [&](reference::place i) { return !in_own(i) || recent(i); };
        check_call<float>(p, !own | heed::window(last, heed::unbounded));
    }
}

TEST_CASE("a mask and its opposite see every pair once") {
    support::random r(64);
    for (int round = 0; round < 40; ++round) {
        auto p = round % 8 == 7 ? support::tiled_problem<float>(r) : support::random_problem<float>(r);
        const support::inputs<float> in(p);
        const auto m = heed::causal_from(r.between(-3, p.keys)) & heed::window_from(2, 5, 9);
        support::tensor<float> a(p.batch, p.heads, p.queries, p.keys), b(a);
        support::tensor<float> y(p.batch, p.heads, p.queries, p.d_v);
        heed::attention_into(y, in.q, in.k, in.v, m, heed::weights(a));
        heed::attention_into(y, in.q, in.k, in.v, !m, heed::weights(b));
        bool once = true;
        for (long i = 0; i < a.size(); ++i) once = once && (a.data()[i] > 0) != (b.data()[i] > 0);
        INFO(support::describe(p));
        CHECK(once);
    }
}
