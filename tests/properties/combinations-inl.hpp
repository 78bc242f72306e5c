// SPDX-License-Identifier: MIT
// tests/properties/combinations-inl.hpp: random combinations of options against the oracle
//
// A combination is a set of bits; each is one instantiation, called with random parameters on
// random shapes. The sets below were drawn so that every two options meet both together and
// apart. What is checked: y, the log-sum-exp, weights and biased scores, and empty rows.
#include <algorithm>
#include <tuple>

#include <heed/thread_pool.hpp>

#include "support/call.hpp"

namespace combinations {

enum option : unsigned {
    causal = 1u << 0,  // key <= query + offset, one offset per batch entry
    window = 1u << 1,
    lengths = 1u << 2,
    dense = 1u << 3,  // a tensor of bool, some axes broadcast
    predicate = 1u << 4,
    prefix = 1u << 5,  // joined by | to whatever masks there are
    documents = 1u << 6,
    inverted = 1u << 7,  // ! over a window
    scaled = 1u << 8,
    capped = 1u << 9,
    scored = 1u << 10,
    distance = 1u << 11,  // alibi
    biased = 1u << 12,    // with some -inf
    sunk = 1u << 13,      // sinks
    dropped = 1u << 14,   // dropout
    weighted = 1u << 15,  // weights written
    staged = 1u << 16,    // biased scores written
    threaded = 1u << 17,
    scratch = 1u << 18  // use(workspace)
};

// Everything options refer to, alive for the call.
template <class T>
struct arena {
    std::vector<long> offsets, lengths;
    std::vector<int> query_ids, key_ids;
    std::vector<float> slopes, sinks;
    support::tensor<bool> dense;
    support::tensor<float> bias;
    support::tensor<support::sum_type<T>> weights, scores;
    support::tensor<support::sum_type<T>, 3> lse;
    support::tensor<T> y;
    heed::workspace scratch;
    long left, right, prefix, offset;
    std::uint64_t seed;
    double factor;  // of the order of the default: much larger ones magnify the rounding of long dot products

    arena(const reference::problem& p, support::random& r)
        : dense(r.chance(0.5) ? p.batch : 1, r.chance(0.5) ? p.heads : 1, r.chance(0.8) ? p.queries : 1,
                p.keys),
          bias(1, r.chance(0.5) ? p.heads : 1, p.queries, r.chance(0.8) ? p.keys : 1),
          weights(p.batch, p.heads, p.queries, p.keys),
          scores(weights),
          lse(p.batch, p.heads, p.queries),
          y(p.batch, p.heads, p.queries, p.d_v),
          left(r.skewed(1, p.keys + 1) - 1),
          right(r.skewed(1, p.keys + 1) - 1),
          prefix(r.between(0, p.keys)),
          offset(r.between(-p.queries, p.keys)),
          seed(r.bits()),
          factor(static_cast<float>(r.uniform(0.5, 1.5) / std::sqrt(double(p.d_k)))) {
        for (long b = 0; b < p.batch; ++b) {
            offsets.push_back(r.chance(0.5) ? p.keys - p.queries : r.between(-p.queries, p.keys));
            lengths.push_back(r.chance(0.2) ? 0 : r.between(0, p.keys));
        }
        for (long i = 0; i < p.queries; ++i) query_ids.push_back(static_cast<int>(4 * i / p.queries));
        for (long j = 0; j < p.keys; ++j)
            key_ids.push_back(static_cast<int>(r.chance(0.1) ? 2 : 4 * j / p.keys));
        for (long h = 0; h < p.heads; ++h) {
            slopes.push_back(static_cast<float>(r.uniform(0, 0.4)));
            sinks.push_back(static_cast<float>(r.normal()));
        }
        for (long i = 0; i < dense.size(); ++i) dense.data()[i] = r.chance(0.75);
        for (long i = 0; i < bias.size(); ++i)
            bias.data()[i] = r.chance(0.15) ? -HUGE_VALF : static_cast<float>(r.normal());
        weights.setConstant(-9), scores.setConstant(-9), lse.setConstant(-9);
    }
};

constexpr double drop_share = 0.25;

template <unsigned Set, class T>
auto masks(const arena<T>& a) {
    const auto one = [&](auto take, auto mask) {
        if constexpr (decltype(take)::value)
            return std::tuple(mask);
        else
            return std::tuple<>();
    };
    using std::bool_constant;
    const auto odd = heed::mask_if([](heed::at i) { return (3 * i.query + 5 * i.key + i.head) % 7 != 2; });
    auto all = std::tuple_cat(
        one(bool_constant < (Set & causal) != 0 > {}, heed::causal_from(a.offsets)),
        one(bool_constant < (Set & window) != 0 > {}, heed::window(a.left, a.right)),
        one(bool_constant < (Set & dense) != 0 > {}, heed::mask(a.dense)),
        one(bool_constant < (Set & predicate) != 0 > {}, odd),
        one(bool_constant < (Set & documents) != 0 > {}, heed::documents(a.query_ids, a.key_ids)),
        one(bool_constant < (Set & inverted) != 0 > {}, !heed::window_from(a.offset, 2, 3)));
    // Half of the masks are joined by &, and the prefix by |; lengths stay an argument of their own.
    const auto joined = [&] {
        if constexpr (std::tuple_size_v<decltype(all)> == 0)
            return all;
        else {
            auto both = std::apply([](const auto&... m) { return (... & m); }, all);
            if constexpr ((Set & prefix) != 0)
                return std::tuple(both | heed::prefix(a.prefix));
            else
                return all;
        }
    }();
    return std::tuple_cat(joined,
                          one(bool_constant < (Set & lengths) != 0 > {}, heed::key_lengths(a.lengths)));
}

// The same set, as the oracle's functions.
template <unsigned Set, class T>
void describe_to_oracle(reference::problem& p, const arena<T>& a) {
    constexpr bool any = (Set & (causal | window | dense | predicate | documents | inverted)) != 0;
    p.visible = [&a, shift = p.keys - p.queries](reference::place i) {
        const auto b = static_cast<std::size_t>(i.batch);
        const auto broadcast = [](long at, long extent) { return extent == 1 ? 0 : at; };
        bool sees = true;
        if (Set & causal) sees = sees && i.key <= i.query + a.offsets[b];
        if (Set & window) {
            const long at = i.query + shift;
            sees = sees && i.key >= at - a.left && i.key <= at + a.right;
        }
        if (Set & dense)
            sees = sees &&
                   a.dense(broadcast(i.batch, a.dense.dimension(0)), broadcast(i.head, a.dense.dimension(1)),
                           broadcast(i.query, a.dense.dimension(2)), i.key);
        if (Set & predicate) sees = sees && (3 * i.query + 5 * i.key + i.head) % 7 != 2;
        if (Set & documents)
            sees = sees && a.query_ids[static_cast<std::size_t>(i.query)] ==
                               a.key_ids[static_cast<std::size_t>(i.key)];
        if (Set & inverted) {
            const long at = i.query + a.offset;
            sees = sees && !(i.key >= at - 2 && i.key <= at + 3);
        }
        if (any && (Set & prefix)) sees = sees || i.key < a.prefix;
        if (Set & lengths) sees = sees && i.key < a.lengths[b];
        return sees;
    };
    if (Set & scaled) p.scale = a.factor;
    if (Set & capped) p.softcap = 1.75;
    if (Set & scored)
        p.score = [](double s, reference::place i) {
            return (i.key + 2 * i.query) % 11 == 3 ? -HUGE_VAL
                                                   : s + 0.125 * double(i.key % 5) - 0.25 * double(i.head);
        };
    p.bias = [&a, shift = p.keys - p.queries](reference::place i) {
        double x = 0;
        if (Set & distance)
            x -= double(a.slopes[static_cast<std::size_t>(i.head)]) *
                 std::fabs(double(i.query + shift - i.key));
        if (Set & biased)
            x += double(a.bias(0, a.bias.dimension(1) == 1 ? 0 : i.head, i.query,
                               a.bias.dimension(3) == 1 ? 0 : i.key));
        return x;
    };
    if (Set & sunk) p.sinks.assign(a.sinks.begin(), a.sinks.end());
    if (Set & dropped)
        p.keep = [drop = heed::dropout(drop_share, a.seed)](reference::place i) {
            const heed::at at{int(i.batch), int(i.head), int(i.query), int(i.key)};
            return drop.of(at)(at) ? 1 / (1 - drop_share) : 0.0;
        };
}

template <unsigned Set, class T>
void call(const reference::problem& p, arena<T>& a, const heed::thread_pool& pool) {
    const support::inputs<T> in(p);
    const auto one = [&](auto take, const auto& make) {
        if constexpr (decltype(take)::value)
            return std::tuple(make());
        else
            return std::tuple<>();
    };
    using std::bool_constant;
    const auto options = std::tuple_cat(
        one(bool_constant < (Set & scratch) != 0 > {}, [&] { return heed::use(a.scratch); }),
        one(bool_constant < (Set & dropped) != 0 > {}, [&] { return heed::dropout(drop_share, a.seed); }),
        one(bool_constant < (Set & biased) != 0 > {}, [&] { return heed::bias(a.bias); }), masks<Set>(a),
        one(bool_constant < (Set & staged) != 0 > {},
            [&] { return heed::scores(a.scores, heed::stage::biased); }),
        one(bool_constant < (Set & scored) != 0 > {},
            [&] {
                return heed::score([](auto s, heed::at i) {
                    using S = decltype(s);
                    const S t = s + S(0.125) * static_cast<S>(i.key % 5) - S(0.25) * static_cast<S>(i.head);
                    return heed::math::select((i.key + 2 * i.query) % 11 == 3, S(-HUGE_VAL), t);
                });
            }),
        one(bool_constant < (Set & weighted) != 0 > {}, [&] { return heed::weights(a.weights); }),
        one(bool_constant < (Set & sunk) != 0 > {}, [&] { return heed::sinks(a.sinks); }),
        one(bool_constant < (Set & distance) != 0 > {}, [&] { return heed::alibi(a.slopes); }),
        one(bool_constant < (Set & capped) != 0 > {}, [&] { return heed::softcap(1.75); }),
        one(bool_constant < (Set & threaded) != 0 > {}, [&] { return heed::on(pool); }),
        one(bool_constant < (Set & scaled) != 0 > {}, [&] { return heed::scale(a.factor); }));
    std::apply(
        [&](const auto&... o) { heed::attention_into(a.y, in.q, in.k, in.v, heed::logsumexp(a.lse), o...); },
        options);
}

template <unsigned Set, class T = float>
void check(int rounds) {
    support::random r(20000 + Set);
    const heed::thread_pool pool(3);
    for (int i = 0; i < rounds; ++i) {
        auto p = i % 10 == 9 ? support::tiled_problem<T>(r) : support::random_problem<T>(r);
        if (i % 10 == 4) p = support::problem<T>(r, 2, 4, 2, r.between(1, 4), r.between(1, 5000), 6, 6);
        arena<T> a(p, r);
        describe_to_oracle<Set>(p, a);
        call<Set>(p, a, pool);
        INFO("round " << i << " of set " << Set);
        const auto truth = support::truth_of<T>(p);
        support::check<T>(p, truth, a.y, &a.lse);
        if (!(Set & (weighted | staged))) continue;
        // Scores and weights carry the rounding of the dot product, which grows with its length.
        const double eps = static_cast<double>(std::numeric_limits<support::sum_type<T>>::epsilon());
        double worst_weight = 0, worst_score = 0;
        double size = 0;
        for (std::size_t j = 0; j < p.pairs(); ++j) {
            if (j % static_cast<std::size_t>(p.keys) == 0)
                size = support::score_size(p, truth, j / static_cast<std::size_t>(p.keys)) *
                       std::fmax(1, std::sqrt(static_cast<double>(p.d_k) / 64));
            if (Set & weighted) {
                const double got = static_cast<double>(a.weights.data()[j]);
                const double allowed = 8 * eps * size * truth.weights[j] + 1e-37;
                worst_weight = std::fmax(worst_weight, std::fabs(got - truth.weights[j]) / allowed);
            }
            if (Set & staged) {
                const double got = static_cast<double>(a.scores.data()[j]), want = truth.biased[j];
                if (got != want)
                    worst_score = std::fmax(worst_score, std::fabs(got - want) / (4 * eps * size));
                if (std::isinf(got) != std::isinf(want)) worst_score = HUGE_VAL;
            }
        }
        INFO(support::describe(p));
        CHECK(worst_weight <= 1);
        CHECK(worst_score <= 1);
    }
}

}  // namespace combinations
