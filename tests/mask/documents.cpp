// SPDX-License-Identifier: MIT
// tests/mask/documents.cpp: documents and packed, ragged sequences laid end to end
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
