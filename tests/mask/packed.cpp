// SPDX-License-Identifier: MIT
// tests/mask/packed.cpp: packed with two lists, documents of queries that are the tails of their own keys
#include <heed/select/local_plus_top.hpp>

#include "support/call.hpp"
#include "support/gradient_mask.hpp"
#include "support/pair_sums.hpp"
#include "support/problems.hpp"
#include "support/tiles.hpp"

using support::check_call;

namespace {

using offsets = std::vector<int>;

// What a naive reader makes of two lists of offsets.
struct ragged {
    offsets queries{0}, keys{0};

    std::size_t document(const offsets& from, long position) const {
        std::size_t d = 0;
        while (from[d + 1] <= position) ++d;
        return d;
    }
    bool together(long query, long key) const { return document(queries, query) == document(keys, key); }
    // The last query of a document stands at its last key.
    long p(long query) const {
        const std::size_t d = document(queries, query);
        return keys[d + 1] - 1 - (queries[d + 1] - 1 - query);
    }
};

// Documents with no queries, with no keys, with more queries than keys and, mostly, with fewer.
ragged lists(support::random& r, long documents, long most_queries, long most_keys) {
    ragged x;
    for (long d = 0; d < documents; ++d) {
        x.queries.push_back(x.queries.back() + static_cast<int>(r.between(d == 0, most_queries)));
        x.keys.push_back(x.keys.back() + static_cast<int>(r.between(d == 0, most_keys)));
    }
    return x;
}

reference::problem problem_of(support::random& r, const ragged& x) {
    const long group = r.between(1, 2), d = r.between(3, 9);
    return support::problem<float>(r, 1, group, 1, x.queries.back(), x.keys.back(), d, d + r.between(0, 3));
}

// A decode step of many documents, short and long prompts, and tiles of many documents.
template <class F>
void for_ragged(std::uint64_t seed, int rounds, const F& f) {
    support::random r(seed);
    for (int round = 0; round < rounds; ++round) {
        const ragged x = round % 4 == 0   ? lists(r, 3, 1, 90)
                         : round % 4 == 1 ? lists(r, 5, 40, 70)
                         : round % 4 == 2 ? lists(r, 2, 110, 300)
                                          : lists(r, 40, 5, 9);
        auto p = problem_of(r, x);
        f(p, x, r);
    }
}

}  // namespace

TEST_CASE("causal lines up the last query and the last key of each document") {
    for_ragged(91, 24, [](reference::problem& p, const ragged& x, support::random&) {
        p.visible = [&x](reference::place i) { return x.together(i.query, i.key) && i.key <= x.p(i.query); };
        check_call<float>(p, heed::packed(x.queries, x.keys), heed::causal);
        check_call<float>(p, heed::causal & heed::packed(x.queries, x.keys));
    });
}

TEST_CASE("a window around the place in the own document") {
    for_ragged(92, 12, [](reference::problem& p, const ragged& x, support::random& r) {
        const long left = r.between(0, 12), right = r.between(0, 3);
        p.visible = [&x, left, right](reference::place i) {
            return x.together(i.query, i.key) && i.key >= x.p(i.query) - left &&
                   i.key <= x.p(i.query) + right;
        };
        check_call<float>(p, heed::window(left, right), heed::packed(x.queries, x.keys));
        p.visible = [&x, left](reference::place i) {
            return x.together(i.query, i.key) && i.key >= x.p(i.query) - left;
        };
        check_call<float>(p, heed::packed(x.queries, x.keys) & heed::window(left, heed::unbounded));
    });
}

TEST_CASE("what packed says of places holds for all it is joined with by &, and for nothing else") {
    for_ragged(93, 8, [](reference::problem& p, const ragged& x, support::random& r) {
        const auto packed = heed::packed(x.queries, x.keys);
        const long n = r.between(0, 20), common = p.keys - p.queries;
        p.visible = [&x, n](reference::place i) {
            return x.together(i.query, i.key) && (i.key <= x.p(i.query) || i.key < n);
        };
        check_call<float>(p, packed & (heed::causal | heed::prefix(n)));
        p.visible = [&x](reference::place i) { return x.together(i.query, i.key) && i.key > x.p(i.query); };
        check_call<float>(p, packed, !heed::causal);
        p.visible = [&x, common](reference::place i) {
            return x.together(i.query, i.key) || i.key <= i.query + common;
        };
        check_call<float>(p, packed | heed::causal);
        // An offset says itself where queries stand.
        p.visible = [&x, n](reference::place i) {
            return x.together(i.query, i.key) && i.key <= i.query + n;
        };
        check_call<float>(p, packed, heed::causal_from(n));
    });
}

TEST_CASE("a document in a packed call is the document alone") {
    support::random r(94);
    const ragged x{{0, 1, 4, 4, 30, 100}, {0, 200, 203, 250, 251, 400}};
    auto p = support::problem<float>(r, 1, 2, 1, 100, 400, 16, 16);
    const support::inputs<float> in(p);
    const auto whole = heed::attention(in.q, in.k, in.v, heed::packed(x.queries, x.keys), heed::causal);
    for (std::size_t d = 0; d + 1 < x.queries.size(); ++d) {
        const long first = x.queries[d], count = x.queries[d + 1] - first;
        const long first_key = x.keys[d], keys = x.keys[d + 1] - first_key;
        if (count == 0) continue;
        const auto y = heed::attention(heed::as_view(in.q).slice_positions(first, count),
                                       heed::as_view(in.k).slice_positions(first_key, keys),
                                       heed::as_view(in.v).slice_positions(first_key, keys), heed::causal);
        double worst = 0;
        for (long h = 0; h < 2; ++h)
            for (long i = 0; i < count; ++i)
                for (long f = 0; f < 16; ++f)
                    worst = std::fmax(worst, std::fabs(y(0, h, i, f) - whole(0, h, first + i, f)));
        INFO("document " << d);
        CHECK(worst < 1e-5);
    }
}

TEST_CASE("alibi falls with the distance in the own document, forward and backward") {
    for_ragged(95, 8, [](reference::problem& p, const ragged& x, support::random& r) {
        std::vector<float> slopes(static_cast<std::size_t>(p.heads));
        for (float& s : slopes) s = static_cast<float>(r.uniform(-0.02, 0.06));
        const auto distance = [&x](reference::place i) {
            return std::fabs(static_cast<double>(x.p(i.query) - i.key));
        };
        p.visible = [&x](reference::place i) { return x.together(i.query, i.key) && i.key <= x.p(i.query); };
        p.bias = [&](reference::place i) {
            return -static_cast<double>(slopes[static_cast<std::size_t>(i.head)]) * distance(i);
        };
        const auto packed = heed::packed(x.queries, x.keys);
        check_call<float>(p, packed, heed::causal, heed::alibi(slopes));
        const support::backward_inputs<float> in(p, r, packed, heed::causal, heed::alibi(slopes));
        const auto truth = reference::solve<double>(p);
        const auto want = reference::differentiate(p, truth, in.from);
        support::tensor<float, 1> dslopes(p.heads);
        dslopes.setConstant(-77);
        const auto got =
            in.gradients(p, packed, heed::causal, heed::alibi(slopes), heed::slopes_gradient(dslopes));
        check_gradients<float>(p, truth, want, got);
        const support::pair_sums sums(p, want, p.heads,
                                      [&](reference::place i) { return std::pair{i.head, -distance(i)}; });
        CHECK(support::gradient_excess<float>(support::values(dslopes), sums.sum, sums.size,
                                              support::gradient_size(p, truth)) <= 1);
    });
}

TEST_CASE("the backward of a ragged batch over caches") {
    for_ragged(96, 8, [](reference::problem& p, const ragged& x, support::random& r) {
        p.visible = [&x](reference::place i) {
            return x.together(i.query, i.key) && i.key <= x.p(i.query) && i.key >= x.p(i.query) - 50;
        };
        check_mask_backward(p, r, heed::packed(x.queries, x.keys), heed::window(50, 0));
    });
}

TEST_CASE("the selectors' places are those in the own document") {
    support::random r(97);
    const ragged x{{0, 6, 12, 20}, {0, 100, 180, 300}};
    auto p = support::problem<float>(r, 1, 2, 1, 20, 300, 8, 8);
    const support::inputs<float> in(p);
    support::tensor<float> y(1, 2, 20, 8), w(1, 2, 20, 300);
    heed::attention_into(y, in.q, in.k, in.v, heed::packed(x.queries, x.keys), heed::causal,
                         heed::local_plus_top(4, 0.01), heed::weights(w));
    long lost = 0, strange = 0;
    for (long h = 0; h < 2; ++h)
        for (long i = 0; i < 20; ++i)
            for (long key = 0; key < 300; ++key) {
                const bool seen = x.together(i, key) && key <= x.p(i);
                lost += seen && key > x.p(i) - 4 && !(w(0, h, i, key) > 0);
                strange += !seen && w(0, h, i, key) != 0;
            }
    CHECK(lost == 0);
    CHECK(strange == 0);
}

TEST_CASE("packed places know the tiles of documents that have as many queries as keys or fewer") {
    const offsets queries{0, 2, 2, 5, 9}, keys{0, 4, 5, 8, 11};
    const ragged x{queries, keys};
    const auto packed = heed::packed(queries, keys);
    support::safe_tiles(packed & heed::causal,
                        [&](long, long, long q, long k) { return x.together(q, k) && k <= x.p(q); });
    support::safe_tiles(packed & heed::window(1, 1), [&](long, long, long q, long k) {
        return x.together(q, k) && k <= x.p(q) + 1 && k >= x.p(q) - 1;
    });
    // One document: as the mask without packed.
    const offsets all_queries{0, 9}, all_keys{0, 11};
    support::exact_seeking_tiles(heed::packed(all_queries, all_keys) & heed::causal,
                                 [](long, long, long q, long k) { return k <= q + 2; });
}
