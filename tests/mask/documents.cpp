// SPDX-License-Identifier: MIT
// tests/mask/documents.cpp: documents and packed, ragged sequences laid end to end
#include <array>
#include <cstdint>
#include <utility>

#include "support/call.hpp"

using support::check_call;

namespace {

// Identities of `count` positions that never fall: documents laid end to end, some empty.
std::vector<int> ids(support::random& r, long count, int step) {
    std::vector<int> x(static_cast<std::size_t>(count));
    int id = 0;
    for (int& value : x) {
        while (r.chance(0.15)) id += step;
        value = id;
    }
    return x;
}

}  // namespace

TEST_CASE("documents show a query the keys of its own document") {
    support::random r(41);
    for (int round = 0; round < 100; ++round) {
        auto p = round % 8 == 7 ? support::tiled_problem<float>(r) : support::random_problem<float>(r);
        auto of_queries = ids(r, p.queries, 1), of_keys = ids(r, p.keys, 1);
        if (round % 3 == 0)  // identities need not be sorted
            for (int& id : of_keys) id = static_cast<int>(r.between(0, 3));
        p.visible = [=](reference::place i) {
            return of_queries[static_cast<std::size_t>(i.query)] == of_keys[static_cast<std::size_t>(i.key)];
        };
        check_call<float>(p, heed::documents(of_queries, of_keys));
    }
}

TEST_CASE("documents of any two kinds of numbers: equal is equal as numbers") {
    support::random r(44);
    const auto check_ids = [&](auto of_queries, auto of_keys) {
        auto p = support::problem<float>(r, 1, 2, 1, 60, 150, 6, 6);
        std::vector<typename decltype(of_queries)::value_type> q(60);
        std::vector<typename decltype(of_keys)::value_type> k(150);
        for (auto& id : q) id = of_queries[static_cast<std::size_t>(r.between(0, 2))];
        for (auto& id : k) id = of_keys[static_cast<std::size_t>(r.between(0, 2))];
        p.visible = [=](reference::place i) {
            return std::cmp_equal(+q[static_cast<std::size_t>(i.query)], +k[static_cast<std::size_t>(i.key)]);
        };
        check_call<float>(p, heed::documents(q, k));
        p.queries = 2;  // few queries: lanes are keys
        support::fill<float>(p, r);
        q.resize(2);
        check_call<float>(p, heed::documents(q, k));
    };
    using wide = std::array<std::uint64_t, 3>;
    constexpr std::uint64_t top = std::uint64_t{1} << 63;
    check_ids(wide{top, top + 1, 5}, wide{5, top + 1, top});
    check_ids(wide{~std::uint64_t{0}, top, 5}, std::array<int, 3>{-1, 5, 7});
    check_ids(std::array<std::int64_t, 3>{-1, INT64_MIN, 5}, wide{~std::uint64_t{0}, top, 5});
    check_ids(std::array<int, 3>{-1, 0, 1}, std::array<std::uint32_t, 3>{0xffffffffu, 0, 1});
    check_ids(std::array<char, 3>{'a', 'b', 'c'}, std::array<long, 3>{97, 98, -1});
}

TEST_CASE("documents of ids that every batch entry has of its own, for one axis or both") {
    support::random r(45);
    for (int round = 0; round < 40; ++round) {
        const long batch = r.between(2, 3), queries = round % 2 == 0 ? r.between(1, 4) : r.between(5, 140);
        auto p =
            support::problem<float>(r, batch, 4, r.chance(0.5) ? 2 : 4, queries, r.between(1, 300), 5, 6);
        const bool own_queries = round % 3 != 0, own_keys = round % 3 != 1;
        std::vector<int> of_queries, of_keys;
        for (long b = 0; b < (own_queries ? batch : 1); ++b)
            for (const int id : ids(r, p.queries, 1)) of_queries.push_back(id);
        for (long b = 0; b < (own_keys ? batch : 1); ++b)
            // Of the first entry they do not fall, of the others they may.
            for (const int id : ids(r, p.keys, 1))
                of_keys.push_back(b > 0 && round % 2 == 0 ? id * 7 % 5 : id);
        p.visible = [=](reference::place i) {
            return of_queries[static_cast<std::size_t>((own_queries ? i.batch * queries : 0) + i.query)] ==
                   of_keys[static_cast<std::size_t>((own_keys ? i.batch * p.keys : 0) + i.key)];
        };
        check_call<float>(p, heed::documents(of_queries, of_keys));
    }
}

TEST_CASE("packed takes the offsets of documents that lie end to end") {
    support::random r(42);
    for (int round = 0; round < 60; ++round) {
        auto p = support::random_problem<float>(r);
        if (round % 5 == 4) p = support::problem<float>(r, 1, 2, 1, 0, 0, 6, 6);
        std::vector<int> offsets{0};
        const long documents = r.between(1, 6);
        for (long i = 0; i < documents; ++i)
            offsets.push_back(offsets.back() + static_cast<int>(r.between(i == 0, 60)));
        p.queries = p.keys = offsets.back();
        support::fill<float>(p, r);
        const auto document = [=](long position) {
            std::size_t d = 0;
            while (offsets[d + 1] <= position) ++d;
            return d;
        };
        p.visible = [=](reference::place i) {
            return document(i.query) == document(i.key) && i.key <= i.query;
        };
        check_call<float>(p, heed::packed(offsets), heed::causal);
    }
}

TEST_CASE("packed documents equal each document alone") {
    support::random r(43);
    const std::vector<int> offsets{0, 17, 17, 150, 151, 400};
    auto p = support::problem<float>(r, 1, 1, 1, 400, 400, 16, 16);
    const support::inputs<float> in(p);
    const auto whole = heed::attention(in.q, in.k, in.v, heed::packed(offsets));
    for (std::size_t d = 0; d + 1 < offsets.size(); ++d) {
        const long first = offsets[d], count = offsets[d + 1] - first;
        if (count == 0) continue;
        auto part = p;
        part.queries = part.keys = count;
        for (auto* x : {&part.q, &part.k, &part.v})
            *x = std::vector<double>(x->begin() + first * 16, x->begin() + (first + count) * 16);
        support::tensor<float> y(1, 1, count, 16);
        std::copy_n(whole.data() + first * 16, count * 16, y.data());
        support::check<float>(part, y);
    }
}
