// SPDX-License-Identifier: MIT
// tests/properties/poison.cpp: what a mask hides changes no bit; what a query sees does (R8)
//
// One key (or value) at a time becomes NaN, an infinity or a huge number. Every row that may not
// see it must keep its bits, every row that sees a NaN must become NaN in its scores.
#include "support/call.hpp"
#include "support/traps.hpp"

namespace {

constexpr double poisons[] = {std::numeric_limits<double>::quiet_NaN(), HUGE_VAL, -HUGE_VAL, 3.4e38, -3.4e38};

struct outcome {
    support::tensor<float> y;
    support::tensor<float, 3> lse;
};

template <class... Options>
outcome solve(const reference::problem& p, const Options&... options) {
    const support::inputs<float> in(p);
    outcome o{{p.batch, p.heads, p.queries, p.d_v}, {p.batch, p.heads, p.queries}};
    heed::attention_into(o.y, in.q, in.k, in.v, options..., heed::logsumexp(o.lse));
    return o;
}

// Poisons one position of k, of v, or of both, in one batch entry and key head: all its features, or some
// (a vector of 16 lanes may look clean, or all but its tail).
void poison(support::random& r, reference::problem& p, long b, long kv, long j, bool key, bool value,
            double with) {
    const long row = (b * p.kv_heads + kv) * p.keys + j;
    if (key) support::overwrite(r, p.k, row * p.d_k, p.d_k, with);
    if (value) support::overwrite(r, p.v, row * p.d_v, p.d_v, with);
}

template <class... Options>
void cases(support::random& r, reference::problem p, int count, const Options&... options) {
    const outcome clean = solve(p, options...);
    for (int i = 0; i < count; ++i) {
        auto bad = p;
        const long b = r.between(0, p.batch - 1), kv = r.between(0, p.kv_heads - 1),
                   j = r.between(0, p.keys - 1);
        const bool value = r.chance(0.6), key = !value || r.chance(0.5);
        const double with = poisons[r.between(0, 4)];
        poison(r, bad, b, kv, j, key, value, with);
        const outcome got = solve(bad, options...);
        long changed = 0, kept = 0;
        for (long row = 0; row < static_cast<long>(p.rows()); ++row) {
            const long query = row % p.queries, head = row / p.queries % p.heads;
            const long batch = row / p.queries / p.heads;
            const bool sees = batch == b && head / (p.heads / p.kv_heads) == kv &&
                              (!p.visible || p.visible({batch, head, query, j}));
            const float* y = got.y.data() + row * p.d_v;
            if (!sees) {
                changed +=
                    !support::same_bits(y, clean.y.data() + row * p.d_v, static_cast<std::size_t>(p.d_v));
                changed += !support::same_bits(got.lse.data() + row, clean.lse.data() + row, 1);
            } else if (std::isnan(with)) {
                const double* const v = bad.v.data() + ((b * p.kv_heads + kv) * p.keys + j) * p.d_v;
                for (long f = 0; f < p.d_v; ++f) kept += (key || std::isnan(v[f])) && !std::isnan(y[f]);
                if (key) kept += !std::isnan(got.lse.data()[row]);
            }
        }
        INFO(support::describe(p) << ", " << with << " in " << (key ? "k " : "") << (value ? "v " : "")
                                  << "of batch " << b << " head " << kv << " key " << j);
        CHECK(changed == 0);
        CHECK(kept == 0);
    }
}

}  // namespace

TEST_CASE("poison behind a causal mask") {
    const heed_test::without_traps quiet;
    support::for_problems<float>(601, 110, [](reference::problem& p, support::random& r) {
        const long offset = r.chance(0.5) ? p.keys - p.queries : r.between(-p.queries, p.keys);
        p.visible = [=](reference::place i) { return i.key <= i.query + offset; };
        cases(r, p, 8, heed::causal_from(offset));
    });
}

TEST_CASE("poison beyond the key lengths") {
    const heed_test::without_traps quiet;
    support::for_problems<float>(602, 90, [](reference::problem& p, support::random& r) {
        std::vector<long> lengths(static_cast<std::size_t>(p.batch));
        for (long& n : lengths) n = r.between(0, p.keys);
        p.visible = [=](reference::place i) { return i.key < lengths[static_cast<std::size_t>(i.batch)]; };
        cases(r, p, 8, heed::key_lengths(lengths));
    });
}

TEST_CASE("poison behind a dense mask") {
    const heed_test::without_traps quiet;
    support::for_problems<float>(603, 110, [](reference::problem& p, support::random& r) {
        support::tensor<bool> m(1, p.heads, p.queries, p.keys);
        const double density = r.uniform();
        for (long i = 0; i < m.size(); ++i) m.data()[i] = r.chance(density);
        p.visible = [&](reference::place i) { return m(0, i.head, i.query, i.key); };
        cases(r, p, 8, heed::mask(m));
    });
}

TEST_CASE("poison behind a bias of -inf") {
    const heed_test::without_traps quiet;
    support::for_problems<float>(604, 90, [](reference::problem& p, support::random& r) {
        support::tensor<float, 2> bias(p.queries, p.keys);
        for (long i = 0; i < bias.size(); ++i)
            bias.data()[i] = r.chance(0.4) ? -HUGE_VALF : static_cast<float>(r.normal());
        p.visible = [&](reference::place i) { return bias(i.query, i.key) != -HUGE_VALF; };
        cases(r, p, 8, heed::bias(bias));
    });
}

TEST_CASE("poison reaches exactly the rows that see it, without any mask") {
    const heed_test::without_traps quiet;
    support::for_problems<float>(605, 60, [](reference::problem& p, support::random& r) { cases(r, p, 5); });
}

TEST_CASE("NaN in one query stays in its row") {
    const heed_test::without_traps quiet;
    support::for_problems<float>(606, 60, [](reference::problem& p, support::random& r) {
        const outcome clean = solve(p, heed::causal);
        const long bad_row = r.between(0, static_cast<long>(p.rows()) - 1);
        p.q[static_cast<std::size_t>(bad_row * p.d_k + r.between(0, p.d_k - 1))] = std::nan("");
        const outcome got = solve(p, heed::causal);
        long changed = 0;
        for (long row = 0; row < static_cast<long>(p.rows()); ++row)
            if (row != bad_row)
                changed += !support::same_bits(got.y.data() + row * p.d_v, clean.y.data() + row * p.d_v,
                                               static_cast<std::size_t>(p.d_v));
        const long query = bad_row % p.queries;
        if (query + p.keys - p.queries >= 0) {
            CHECK(std::isnan(got.y.data()[bad_row * p.d_v]));
            CHECK(std::isnan(got.lse.data()[bad_row]));
        }
        CHECK(changed == 0);
    });
}
