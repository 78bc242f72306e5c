// SPDX-License-Identifier: MIT
// tests/attention/backward_poison.cpp: what a mask hides changes no bit of a gradient
//
// A key, a value, or a row of q and dy becomes NaN or infinite. Gradients of queries that do not see the
// key, and of keys that the row does not see, keep their bits; those that do, and every gradient of the
// poisoned row, tell of a NaN. The poisoned call runs on several threads, which changes no bit either.
#include <heed/thread_pool.hpp>

#include "support/attention_gradient_call.hpp"
#include "support/traps.hpp"

namespace {

constexpr double poisons[] = {std::numeric_limits<double>::quiet_NaN(), HUGE_VAL, -HUGE_VAL};

const heed::thread_pool lanes(3);

// Rows of `width` numbers whose bits differ where `touched` says they must not.
long changed(const support::tensor<float>& a, const support::tensor<float>& b,
             const std::function<bool(long)>& touched) {
    const long width = a.dimension(3), rows = a.size() / width;
    long wrong = 0;
    for (long i = 0; i < rows; ++i)
        wrong += !touched(i) && !support::same_bits(a.data() + i * width, b.data() + i * width,
                                                    static_cast<std::size_t>(width));
    return wrong;
}
bool all_nan(const support::tensor<float>& a, long row) {
    bool nan = true;
    for (long f = 0; f < a.dimension(3); ++f) nan = nan && std::isnan(a.data()[row * a.dimension(3) + f]);
    return nan;
}

template <class... Options>
void poison_keys(support::random& r, const reference::problem& p, int count, const Options&... options) {
    const auto seed = r.bits();
    support::random same(seed);
    const support::backward_inputs<float> in(p, same, options...);
    const auto clean = in.gradients(p, options...);
    for (int n = 0; n < count; ++n) {
        auto bad = p;
        const long b = r.between(0, p.batch - 1), kv = r.between(0, p.kv_heads - 1),
                   j = r.between(0, p.keys - 1), row = (b * p.kv_heads + kv) * p.keys + j;
        const double with = poisons[r.between(0, 2)];
        const bool key = r.chance(0.6), value = !key || r.chance(0.5);
        if (key) support::overwrite(r, bad.k, row * p.d_k, p.d_k, with);
        if (value) support::overwrite(r, bad.v, row * p.d_v, p.d_v, with);
        support::random again(seed);
        const support::backward_inputs<float> poisoned(bad, again, options...);
        const auto got = poisoned.gradients(bad, options..., heed::on(lanes));
        const auto sees = [&](long query_row) {
            const long i = query_row % p.queries, h = query_row / p.queries % p.heads;
            const long batch = query_row / p.queries / p.heads;
            return batch == b && h / (p.heads / p.kv_heads) == kv && p.visible({batch, h, i, j});
        };
        // A key is touched when a query that sees the poison sees it.
        const auto key_touched = [&](long key_row) {
            for (long q = 0; q < static_cast<long>(p.rows()); ++q) {
                const long h = q / p.queries % p.heads, batch = q / p.queries / p.heads;
                if (sees(q) && (batch * p.kv_heads + h / (p.heads / p.kv_heads)) == key_row / p.keys &&
                    p.visible({batch, h, q % p.queries, key_row % p.keys}))
                    return true;
            }
            return false;
        };
        INFO(support::describe(p) << ", " << with << " in " << (key ? "k " : "") << (value ? "v " : "")
                                  << "of batch " << b << " head " << kv << " key " << j);
        CHECK(changed(got.q, clean.q, sees) + changed(got.k, clean.k, key_touched) +
                  changed(got.v, clean.v, key_touched) ==
              0);
        long kept = 0;
        if (std::isnan(with))
            for (long q = 0; q < static_cast<long>(p.rows()); ++q) kept += sees(q) && !all_nan(got.q, q);
        CHECK(kept == 0);
    }
}

// NaN in q and dy of one row.
template <class... Options>
void poison_rows(support::random& r, const reference::problem& p, int count, const Options&... options) {
    const support::backward_inputs<float> in(p, r, options...);
    const auto clean = in.gradients(p, options...);
    for (int n = 0; n < count; ++n) {
        auto bad = in;
        const long row = r.between(0, static_cast<long>(p.rows()) - 1);
        const long i = row % p.queries, h = row / p.queries % p.heads, b = row / p.queries / p.heads;
        const float with = static_cast<float>(poisons[r.between(0, 2)]);
        const bool query = r.chance(0.5), from = !query || r.chance(0.5);
        if (query) support::overwrite(r, bad.q, row * p.d_k, p.d_k, with);
        if (from) support::overwrite(r, bad.dy, row * p.d_v, p.d_v, with);
        heed::attention_into(bad.y, bad.q, bad.k, bad.v, options..., heed::logsumexp(bad.lse));
        const auto got = bad.gradients(p, options..., heed::on(lanes));
        bool empty = true;
        for (long j = 0; j < p.keys; ++j) empty = empty && !p.visible({b, h, i, j});
        const auto key_touched = [&](long key_row) {
            return key_row / p.keys == b * p.kv_heads + h / (p.heads / p.kv_heads) &&
                   p.visible({b, h, i, key_row % p.keys});
        };
        INFO(support::describe(p) << ", " << with << " in " << (query ? "q " : "") << (from ? "dy " : "")
                                  << "of batch " << b << " head " << h << " query " << i);
        CHECK(changed(got.q, clean.q, [&](long q) { return q == row && !empty; }) +
                  changed(got.k, clean.k, key_touched) + changed(got.v, clean.v, key_touched) ==
              0);
        if (std::isnan(with) && !empty) CHECK(all_nan(got.q, row));
    }
}

template <class F>
void for_cases(std::uint64_t seed, const F& f) {
    const heed_test::without_traps quiet;
    support::for_gradient_problems<float>(seed, 24, f);
}

}  // namespace

TEST_CASE("causal_from, with rows that see nothing") {
    for_cases(3171, [](reference::problem& p, support::random& r) {
        const long offset = r.between(-p.queries, p.keys - 1);
        p.visible = [=](reference::place i) { return i.key <= i.query + offset; };
        poison_keys(r, p, 6, heed::causal_from(offset));
        poison_rows(r, p, 6, heed::causal_from(offset));
    });
}

TEST_CASE("a tensor of bool, behind a softcap") {
    for_cases(3172, [](reference::problem& p, support::random& r) {
        support::tensor<bool, 2> mask(p.queries, p.keys);
        const double density = r.uniform(0.05, 0.9);
        for (long i = 0; i < mask.size(); ++i) mask.data()[i] = r.chance(density);
        p.visible = [&](reference::place i) { return mask(i.query, i.key); };
        p.softcap = 3;
        poison_keys(r, p, 6, heed::mask(mask), heed::softcap(3));
        poison_rows(r, p, 6, heed::mask(mask), heed::softcap(3));
    });
}

TEST_CASE("a bias of -inf hides as a mask does") {
    for_cases(3173, [](reference::problem& p, support::random& r) {
        support::tensor<float, 2> bias(p.queries, p.keys);
        const double density = r.uniform(0.05, 0.9);
        for (long i = 0; i < bias.size(); ++i) bias.data()[i] = r.chance(density) ? 0.5f : -HUGE_VALF;
        p.visible = [&](reference::place i) { return bias(i.query, i.key) > -1; };
        poison_keys(r, p, 6, heed::bias(bias));
        poison_rows(r, p, 6, heed::bias(bias));
    });
}

TEST_CASE("an empty row with a sink: NaN in its dy goes nowhere") {
    const heed_test::without_traps quiet;
    support::random r(3174);
    auto p = support::problem<float>(r, 1, 2, 1, 70, 90, 5, 6);
    std::vector<float> sinks{0.5f, -1.0f};
    support::backward_inputs<float> in(p, r, heed::causal_from(-10), heed::sinks(sinks));
    std::vector<float> clean(2), poisoned(2);
    Eigen::TensorMap<support::tensor<float, 1>> to(clean.data(), 2), poisoned_to(poisoned.data(), 2);
    const auto options = [&](auto& t, const auto& call) {
        return call(heed::causal_from(-10), heed::sinks(sinks), heed::sinks_gradient(t));
    };
    const auto run = [&](const auto&... o) { return in.gradients(p, o...); };
    const auto a = options(to, run);
    for (long i = 0; i < 10; ++i)
        for (long f = 0; f < 6; ++f) in.dy(0, i % 2, i, f) = std::numeric_limits<float>::quiet_NaN();
    const auto b = options(poisoned_to, run);
    CHECK(a == b);
    CHECK(clean == poisoned);
}
