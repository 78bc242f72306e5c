// SPDX-License-Identifier: MIT
// tests/select/certified.cpp: the share of the mass that is promised is there, on every input
//
// Which keys were visited is read from the weights (a weight that underflowed counts as not visited); their
// true share is summed in double. Then coverage(t) may not exceed that share, must reach tau, and the output
// must be as near as it says: 2 (1 - c) max |v|, and rounding.
#include <heed/sparse.hpp>
#include <heed/thread_pool.hpp>

#include "support/allocation.hpp"
#include "support/check.hpp"
#include "support/traps.hpp"

namespace {

template <class T>
struct outcome {
    support::tensor<T> y;
    support::tensor<support::sum_type<T>, 3> coverage, lse;
    support::tensor<support::sum_type<T>> weights;
};

template <class T, class... Options>
outcome<T> solve(const reference::problem& p, const Options&... options) {
    const support::inputs<T> in(p);
    outcome<T> o{{p.batch, p.heads, p.queries, p.d_v},
                 {p.batch, p.heads, p.queries},
                 {p.batch, p.heads, p.queries},
                 {p.batch, p.heads, p.queries, p.keys}};
    heed::attention_into(o.y, in.q, in.k, in.v, options..., heed::coverage(o.coverage),
                         heed::logsumexp(o.lse), heed::weights(o.weights));
    return o;
}

// Checks a result; gives the share of visible keys that were visited.
template <class T>
double check_promise(const reference::problem& p, double tau, const outcome<T>& o) {
    const auto truth = support::truth_of<T>(p);
    const double eps = static_cast<double>(std::numeric_limits<support::sum_type<T>>::epsilon());
    const std::size_t keys = static_cast<std::size_t>(p.keys), columns = static_cast<std::size_t>(p.d_v);
    long low = 0, broken = 0, far = 0, wrong_lse = 0, visible = 0, visited = 0;
    const double top = support::max_abs(p.v);
    for (std::size_t row = 0; row < p.rows(); ++row) {
        const double c = static_cast<double>(o.coverage.data()[row]);
        double all = 0, kept = 0;
        for (std::size_t j = 0; j < keys; ++j) {
            const double weight = truth.weights[row * keys + j];
            const bool was = o.weights.data()[row * keys + j] != 0;
            all += weight;
            kept += was ? weight : 0;
            visible += truth.biased[row * keys + j] != -HUGE_VAL;
            visited += was;
        }
        low += static_cast<double>(static_cast<support::sum_type<T>>(tau)) > c || c > 1;
        // What no visible key is left of is promised whole; sums of weights are rounded in double.
        broken += all > 0 && kept / all < c * (1 - 1e-12);
        const double size = support::score_size(p, truth, row) + support::product_size(p, row);
        double rounding = 8 * eps * top * size;
        if constexpr (sizeof(T) == 2) rounding += support::ulp<T>(top);
        for (std::size_t f = 0; f < columns; ++f)
            far += !(std::fabs(support::widen(o.y.data()[row * columns + f]) - truth.y[row * columns + f]) <=
                     2 * (1 - c) * top + rounding);
        const double lse = static_cast<double>(o.lse.data()[row]), want = truth.lse[row];
        const double off = 8 * eps * (size + std::log1p(static_cast<double>(p.keys)));
        wrong_lse += lse != want && !(lse <= want + off && lse >= want + std::log(c) - off);
    }
    INFO(support::describe(p) << " tau " << tau << ", visited " << visited << " of " << visible);
    CHECK(low == 0);
    CHECK(broken == 0);
    CHECK(far == 0);
    CHECK(wrong_lse == 0);
    return visible == 0 ? 1 : static_cast<double>(visited) / static_cast<double>(visible);
}

// Keys that bounds find easy or hard.
enum class kind { noise, small, huge, equal, outlier, clusters, sizes, zero };
constexpr kind kinds[] = {kind::noise,   kind::small,    kind::huge,  kind::equal,
                          kind::outlier, kind::clusters, kind::sizes, kind::zero};

template <class T>
void make(reference::problem& p, kind what, support::random& r) {
    const auto key = [&](long h, long j, long f) -> double& {
        return p.k[static_cast<std::size_t>((h * p.keys + j) * p.d_k + f)];
    };
    for (double& q : p.q)
        q *= what == kind::small ? 1e-3 : what == kind::huge ? 100 : what == kind::zero ? 0 : 1;
    for (long h = 0; h < p.batch * p.kv_heads; ++h)
        for (long j = 0; j < p.keys; ++j) {
            const double size = what == kind::sizes ? std::exp2(static_cast<double>(j / 32 % 11 - 6)) : 1;
            for (long f = 0; f < p.d_k; ++f) {
                double& x = key(h, j, f);
                if (what == kind::equal) x = key(h, 0, f);
                if (what == kind::clusters) x = key(h, j / 64 * 64, f) * 3 + 0.05 * r.normal();
                if (what == kind::outlier && j == p.keys / 3) x *= 1000;
                x = support::widen(support::narrow<T>(x * size));
            }
        }
    for (double& q : p.q) q = support::widen(support::narrow<T>(q));
}

template <class T>
void every_kind(std::uint64_t seed, int rounds) {
    support::random r(seed);
    for (int round = 0; round < rounds; ++round)
        for (const kind what : kinds) {
            const long kv = r.between(1, 2);
            auto p = support::problem<T>(r, r.between(1, 2), kv * r.between(1, 5), kv, r.between(1, 3),
                                         r.skewed(1, 1500), r.skewed(1, 40), r.skewed(1, 20));
            make<T>(p, what, r);
            const double tau = r.chance(0.5) ? 0.99 : r.uniform(0.01, 1);
            heed::page_bounds<support::sum_type<T>> bounds(p.batch, p.kv_heads, p.d_k, r.skewed(1, 70));
            bounds.append(support::inputs<T>(p).k);
            check_promise<T>(p, tau, solve<T>(p, heed::certified(tau, bounds)));
        }
}

bool same(const support::tensor<float>& a, const support::tensor<float>& b) {
    return support::same_bits(support::elements(a), support::elements(b));
}

}  // namespace

TEST_CASE("the promised share is kept on every kind of keys") {
    every_kind<float>(731, 12);
    every_kind<double>(732, 5);
    every_kind<Eigen::half>(733, 5);
}

TEST_CASE("where few keys stand out, the others are not read") {
    support::random r(734);
    auto p = support::problem<float>(r, 1, 4, 2, 1, 4096, 32, 16);
    make<float>(p, kind::clusters, r);
    for (long h = 0; h < 4; ++h)  // each head looks at a cluster
        for (long f = 0; f < 32; ++f)
            p.q[static_cast<std::size_t>(h * 32 + f)] =
                p.k[static_cast<std::size_t>((h / 2 * 4096 + 64 * (7 + 15 * h)) * 32 + f)];
    const double visited = check_promise<float>(p, 0.99, solve<float>(p, heed::certified(0.99)));
    CHECK(visited < 0.1);
    // All of it counts as visited where nothing may be left out.
    CHECK(check_promise<float>(p, 1, solve<float>(p, heed::certified(1))) <= 1);
}

TEST_CASE("noise is read whole, and the result is that of exact attention") {
    support::random r(735);
    auto p = support::problem<float>(r, 1, 6, 2, 2, 3000, 48, 12);
    const auto o = solve<float>(p, heed::certified(1));
    CHECK(check_promise<float>(p, 1, o) == 1);
    support::check<float>(p, o.y, &o.lse);
    for (long i = 0; i < o.coverage.size(); ++i) CHECK(o.coverage.data()[i] == 1);
}

TEST_CASE("masks, softcap and sinks go with it") {
    support::random r(736);
    for (int round = 0; round < 25; ++round) {
        auto p = support::problem<float>(r, 2, 4, 2, r.skewed(1, 40), r.skewed(1, 300), 9, 7);
        make<float>(p, kinds[r.between(0, 7)], r);
        p.softcap = 5;
        p.sinks = {0.5, -2, 3, 0};
        const std::vector<float> sinks(p.sinks.begin(), p.sinks.end());
        std::vector<long> lengths{r.between(0, p.keys), r.between(0, p.keys)};
        const long shift = p.keys - p.queries;
        p.visible = [=](reference::place i) {
            return i.key <= i.query + shift && i.key < lengths[static_cast<std::size_t>(i.batch)] &&
                   (i.key + i.head) % 9 != 4 && !(i.head == 1 && i.key < 40);
        };
        const auto mask = heed::mask_if(
            [](heed::at i) { return ((i.key + i.head) % 9 != 4) & !((i.head == 1) & (i.key < 40)); });
        const auto o = solve<float>(p, heed::certified(0.95), heed::softcap(5), heed::sinks(sinks),
                                    heed::causal, heed::key_lengths(lengths), mask);
        check_promise<float>(p, 0.95, o);
    }
}

TEST_CASE("rows that see nothing are empty and lose nothing") {
    support::random r(737);
    auto p = support::problem<float>(r, 1, 2, 1, 5, 3, 6, 6);
    p.visible = [](reference::place i) { return i.key <= i.query - 2; };
    const auto o = solve<float>(p, heed::certified(0.5), heed::causal);
    support::check<float>(p, o.y, &o.lse);
    for (long i = 0; i < 2; ++i) CHECK(o.coverage(0, 0, i) == 1);
    const auto none = support::problem<float>(r, 1, 2, 1, 5, 0, 6, 6);
    const auto empty = solve<float>(none, heed::certified(0.5), heed::causal);
    CHECK(support::positive_zero(empty.y.data(), static_cast<std::size_t>(empty.y.size())));
    CHECK(empty.coverage(0, 1, 4) == 1);
}

TEST_CASE("NaN and infinities: hidden ones change no bit, seen ones reach their rows") {
    const heed_test::without_traps by_design;
    support::random r(738);
    for (int round = 0; round < 20; ++round) {
        auto p = support::problem<float>(r, 1, 4, 2, 2, 300, 8, 6);
        make<float>(p, round % 2 == 0 ? kind::noise : kind::clusters, r);
        const std::vector<long> lengths{250};
        const auto clean = solve<float>(p, heed::certified(0.9), heed::key_lengths(lengths)).y;
        for (long h = 0; h < 2; ++h)
            std::fill_n(p.k.begin() + (h * 300 + r.between(250, 299)) * 8, 8, std::nan(""));
        CHECK(same(clean, solve<float>(p, heed::certified(0.9), heed::key_lengths(lengths)).y));
        p.k[static_cast<std::size_t>(r.between(0, 249) * 8 + 3)] = std::nan("");  // of the first key head
        const auto y = solve<float>(p, heed::certified(0.9), heed::key_lengths(lengths)).y;
        for (long h = 0; h < 4; ++h) CHECK(std::isnan(y(0, h, 0, 0)) == (h < 2));
    }
}

TEST_CASE("carried bounds, threads and batches change no bit") {
    support::random r(739);
    auto p = support::problem<float>(r, 3, 6, 2, 3, 2000, 16, 12);
    make<float>(p, kind::clusters, r);
    const support::inputs<float> in(p);
    const auto y = heed::attention(in.q, in.k, in.v, heed::certified(0.97));
    heed::page_bounds<float> bounds(3, 2, 16, 32);
    bounds.append(in.k);
    CHECK(same(y, heed::attention(in.q, in.k, in.v, heed::certified(0.97, bounds))));
    for (const int threads : {2, 5}) {
        const heed::thread_pool pool(threads);
        CHECK(same(y, heed::attention(in.q, in.k, in.v, heed::certified(0.97), heed::on(pool))));
    }
    const auto part = [](const auto& t) { return heed::as_view(t).slice_batch(1, 1); };
    const auto one = heed::attention(part(in.q), part(in.k), part(in.v), heed::certified(0.97));
    CHECK(support::same_bits(one.data(), y.data() + one.size(), static_cast<std::size_t>(one.size())));
}

TEST_CASE("a certified call with a workspace that has grown allocates nothing; errors come first") {
    using heed_test::contains;
    support::random r(740);
    const auto p = support::problem<float>(r, 1, 4, 2, 2, 2000, 12, 12);
    const support::inputs<float> in(p);
    support::tensor<float> y(1, 4, 2, 12);
    support::tensor<float, 3> coverage(1, 4, 2), flat(1, 4, 3);
    heed::workspace memory;
    const auto call = [&](double tau, auto& kept) {
        heed::attention_into(y, in.q, in.k, in.v, heed::certified(tau), heed::coverage(kept),
                             heed::use(memory));
    };
    call(0.9, coverage);
    long counted = -1;
    {
        const support::allocation_watch watch;
        call(0.9, coverage);
        counted = watch.count();
    }
    CHECK(counted == 0);
    y.setConstant(77);
    const heed_test::without_traps by_design;
    for (const double tau : {0.0, -1.0, 1.01, std::nan("")})
        CHECK_THROWS_WITH(call(tau, coverage), contains("needs a share of the mass above 0 and at most 1"));
    CHECK_THROWS_WITH(call(0.9, flat), contains("heed::attention_into: coverage is (1, 1, 4, 3), needs"));
    const heed::view<float> overlapping(y.data(), {1, 1, 4, 2});
    CHECK_THROWS_WITH(call(0.9, overlapping), contains("coverage overlaps y"));
    heed::page_bounds<float> old(1, 2, 12, 16);
    CHECK_THROWS_WITH(heed::attention_into(y, in.q, in.k, in.v, heed::certified(0.9, old)),
                      contains("the bounds of certified hold 0 keys, k has 2000; append the keys that came"));
    CHECK(y.data()[0] == 77);
}
