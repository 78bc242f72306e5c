// SPDX-License-Identifier: MIT
// tests/mask/own.cpp: masks, score steps and selectors of a caller's, as the concepts ask for them
#include "support/attention_gradient_call.hpp"
#include "support/pattern.hpp"
#include "support/tiles.hpp"
#include "support/traps.hpp"

namespace {

// Blocks of `side` positions see each other; answers for tiles exactly.
struct own_blocks : heed::mask_base {
    long side = 7;
    bool operator()(heed::at i) const { return i.query / side == i.key / side; }
    heed::cover classify(const heed::tile& t) const {
        const auto q0 = t.query_begin / side, q1 = (t.query_end - 1) / side;
        const auto k0 = t.key_begin / side, k1 = (t.key_end - 1) / side;
        if (q1 < k0 || k1 < q0) return heed::cover::empty;
        return q0 == q1 && k0 == k1 ? heed::cover::full : heed::cover::mixed;
    }
};
auto blocks_of(long side) {
    return [=](long, long, long q, long k) { return q / side == k / side; };
}

// Bound to the extents, and its argument checked: the last `keys` keys.
struct own_tail : heed::mask_base {
    long keys;
    explicit own_tail(long n) : keys(n) {}
    struct bound {
        long first;
        bool operator()(heed::at i) const { return i.key >= first; }
        heed::cover classify(const heed::tile& t) const {
            return t.key_begin >= first ? heed::cover::full
                   : t.key_end <= first ? heed::cover::empty
                                        : heed::cover::mixed;
        }
        long first_key(const heed::tile& t) const {
            return std::min(std::max(t.key_begin, first), t.key_end);
        }
    };
    bound bind(std::string_view function, const heed::problem_shape& shape) const {
        if (keys > shape.keys)
            throw heed::error(std::string(function) + ": own_tail wants more keys than there are");
        return {shape.keys - keys};
    }
};

struct own_step : heed::score_base {
    float factor = 0.75f;
    template <class S>
    S operator()(S s, heed::at i) const {
        return factor * s * heed::math::tanh(s) - 0.125f * static_cast<float>(i.query - i.key);
    }
};
struct own_step_with_derivative : heed::score_base {
    float operator()(float s, heed::at) const { return s * s; }
    float derivative(float s, heed::at) const { return 2 * s; }
};

// Keys whose first feature is positive, chosen by a tile's look at each.
struct positive_keys : heed::selector_base {
    template <class T>
    struct chosen : heed::mask_base {
        heed::view<const T> k;
        long group;
        bool operator()(heed::at i) const {
            return static_cast<float>(k(i.batch, i.head / group, i.key, 0)) > 0;
        }
        heed::cover classify(const heed::tile&) const { return heed::cover::mixed; }
    };
    template <class T>
    auto select(const heed::view<const T>& q, const heed::view<const T>& k) const {
        chosen<T> c;
        c.k = k, c.group = q.heads() / k.heads();
        return c;
    }
};

static_assert(heed::concepts::mask<own_blocks> && heed::concepts::mask<own_tail>);
static_assert(heed::concepts::mask<std::remove_const_t<decltype(heed::causal)>>);
static_assert(heed::concepts::score_step<own_step> && heed::concepts::score_step<own_step_with_derivative>);
static_assert(heed::concepts::score_step<decltype(heed::softcap(3))>);
static_assert(heed::concepts::selector<positive_keys> && !heed::concepts::selector<own_blocks>);

}  // namespace

TEST_CASE("a mask of one's own sees what it says, alone and joined") {
    support::for_problems<float>(2401, 60, [](reference::problem& p, support::random& r) {
        own_blocks own;
        own.side = r.between(1, 40);
        const auto see = blocks_of(own.side);
        const long tail = r.between(0, p.keys), first = p.keys - tail;
        support::check_pattern(p, own, see);
        support::check_pattern(p, own_tail(tail), [&](long, long, long, long k) { return k >= first; });
        support::check_pattern(p, heed::causal & !own, [&](long b, long h, long q, long k) {
            return k <= q + p.keys - p.queries && !see(b, h, q, k);
        });
        support::check_pattern(p, own | own_tail(tail),
                               [&](long b, long h, long q, long k) { return k >= first || see(b, h, q, k); });
    });
}

TEST_CASE("tiles that a mask of one's own hides are not read") {
    const heed_test::without_traps quiet;
    support::random r(2402);
    auto p = support::problem<float>(r, 1, 2, 2, 300, 700, 8, 8);
    own_blocks own;
    own.side = 50;
    support::check_poison(p, r, own, blocks_of(50));
    support::check_poison(p, r, own_tail(90), [](long, long, long, long k) { return k >= 610; });
    long asked = 0;
    const support::inputs<float> in(p);
    struct counted : heed::mask_base {
        own_blocks inner;
        long* asked;
        bool operator()(heed::at i) const {
            ++*asked;
            return inner(i);
        }
        heed::cover classify(const heed::tile& t) const { return inner.classify(t); }
    } count;
    count.inner = own, count.asked = &asked;
    heed::attention(in.q, in.k, in.v, count);
    CHECK((asked > 0 && asked < 300 * 700 / 2));
}

TEST_CASE("what a mask of one's own refuses is refused before anything is written") {
    support::random r(2403);
    const auto p = support::problem<float>(r, 1, 1, 1, 4, 9, 4, 4);
    const support::inputs<float> in(p);
    support::tensor<float> y(1, 1, 4, 4);
    y.setConstant(-7);
    CHECK_THROWS_WITH(heed::attention_into(y, in.q, in.k, in.v, own_tail(10)),
                      heed_test::contains("own_tail wants more keys"));
    for (long i = 0; i < y.size(); ++i) CHECK(y.data()[i] == -7);
}

TEST_CASE("a score step of one's own, and its gradient by dual numbers or its derivative") {
    support::for_gradient_problems<float>(2404, 30, [](reference::problem& p, support::random& r) {
        p.score = [](double s, reference::place i) {
            return 0.75 * s * std::tanh(s) - 0.125 * double(i.query - i.key);
        };
        reference::score_slope slope = [](double s, reference::place) {
            const double t = std::tanh(s);
            return 0.75 * (t + s * (1 - t * t));
        };
        support::check_call<float>(p, own_step());
        support::check_backward<float>(p, r, slope, own_step());
        p.score = [](double s, reference::place) { return s * s; };
        slope = [](double s, reference::place) { return 2 * s; };
        support::check_call<float>(p, own_step_with_derivative());
        support::check_backward<float>(p, r, slope, own_step_with_derivative());
    });
}

TEST_CASE("a selector of one's own, forward and backward, beside a mask") {
    support::for_gradient_problems<float>(2405, 20, [](reference::problem& p, support::random& r) {
        const long shift = p.keys - p.queries, group = p.heads / p.kv_heads;
        p.visible = [=, &p](reference::place i) {
            const long row = (i.batch * p.kv_heads + i.head / group) * p.keys + i.key;
            return i.key <= i.query + shift && p.k[static_cast<std::size_t>(row * p.d_k)] > 0;
        };
        support::check_call<float>(p, heed::causal, positive_keys());
        support::check_backward<float>(p, r, heed::causal, positive_keys());
    });
}
