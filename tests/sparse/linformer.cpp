// SPDX-License-Identifier: MIT
// tests/sparse/linformer.cpp: attention over mixtures of the keys, against both products in double
#include <heed/sparse.hpp>
#include <heed/thread_pool.hpp>

#include "support/allocation.hpp"
#include "support/call.hpp"

namespace {

struct projections {
    long heads, rank;
    std::vector<double> e, f;  // (heads, rank, keys)
};

template <class T>
projections random_projections(support::random& r, const reference::problem& p, long heads, long rank) {
    const auto size = static_cast<std::size_t>(heads * rank * p.keys);
    const double deviation = 1 / std::sqrt(double(p.keys));
    return {heads, rank, support::normals<T>(r, size, deviation), support::normals<T>(r, size, deviation)};
}

// Mixtures of x (batch, kv_head, key, d), or of the magnitudes of both factors.
std::vector<double> mix(const reference::problem& p, const projections& by, const std::vector<double>& w,
                        const std::vector<double>& x, long d, bool magnitudes) {
    std::vector<double> y(static_cast<std::size_t>(p.batch * p.kv_heads * by.rank * d));
    for (long head = 0; head < p.batch * p.kv_heads; ++head)
        for (long i = 0; i < by.rank; ++i)
            for (long c = 0; c < d; ++c) {
                double sum = 0;
                const long of = by.heads == 1 ? 0 : head % p.kv_heads;
                for (long j = 0; j < p.keys; ++j) {
                    const double term = w[static_cast<std::size_t>((of * by.rank + i) * p.keys + j)] *
                                        x[static_cast<std::size_t>((head * p.keys + j) * d + c)];
                    sum += magnitudes ? std::fabs(term) : term;
                }
                y[static_cast<std::size_t>((head * by.rank + i) * d + c)] = sum;
            }
    return y;
}

// The largest error as a share of what is allowed: that of figure R3, with the magnitudes of the mixtures'
// terms in the place of the keys' and values', and with the rounding of the mixtures to their type.
template <class T>
std::pair<double, double> excess(const reference::problem& p, const projections& by,
                                 const std::vector<double>& y, const std::vector<double>& lse) {
    reference::problem m = p;
    m.keys = by.rank;
    m.k = mix(p, by, by.e, p.k, p.d_k, false);
    m.v = mix(p, by, by.f, p.v, p.d_v, false);
    const auto k_size = mix(p, by, by.e, p.k, p.d_k, true), v_size = mix(p, by, by.f, p.v, p.d_v, true);
    const auto truth = reference::solve<double>(m);
    const double eps = static_cast<double>(std::numeric_limits<support::sum_type<T>>::epsilon()) +
                       (sizeof(T) == 2 ? 0.5 * static_cast<double>(std::numeric_limits<T>::epsilon()) : 0);
    const double scale = p.scale ? *p.scale : 1 / std::sqrt(double(p.d_k));
    double worst = 0, worst_lse = 0;
    for (std::size_t row = 0; row < p.rows(); ++row) {
        const long r = static_cast<long>(row), head = r / p.queries;
        const long kv = head / p.heads * p.kv_heads + head % p.heads / (p.heads / p.kv_heads);
        double size = 0;
        for (long j = 0; j < by.rank; ++j) {
            double sum = 0;
            for (long f = 0; f < p.d_k; ++f)
                sum += std::fabs(p.q[static_cast<std::size_t>(r * p.d_k + f)]) *
                       k_size[static_cast<std::size_t>((kv * by.rank + j) * p.d_k + f)];
            size = std::fmax(size, 1 + scale * sum);
        }
        worst_lse = std::fmax(worst_lse, std::fabs(lse[row] - truth.lse[row]) /
                                             (4 * eps * (size + std::log1p(double(by.rank)))));
        for (long f = 0; f < p.d_v; ++f) {
            double mass = 0;
            for (long j = 0; j < by.rank; ++j)
                mass += truth.weights[row * static_cast<std::size_t>(by.rank) + static_cast<std::size_t>(j)] *
                        v_size[static_cast<std::size_t>((kv * by.rank + j) * p.d_v + f)];
            const std::size_t at = row * static_cast<std::size_t>(p.d_v) + static_cast<std::size_t>(f);
            double allowed = 4 * eps * mass * size;
            if (sizeof(T) == 2) allowed += 0.5 * support::ulp<T>(truth.y[at]) * (1 + 1e-3);
            worst = std::fmax(worst, std::fabs(y[at] - truth.y[at]) / allowed);
        }
    }
    return {worst, worst_lse};
}

template <class T, class... Options>
void check_linformer(const reference::problem& p, const projections& by, const Options&... options) {
    using S = support::sum_type<T>;
    const support::inputs<T> in(p);
    const auto e = support::tensor4<T>(by.e, 1, by.heads, by.rank, p.keys);
    const auto f = support::tensor4<T>(by.f, 1, by.heads, by.rank, p.keys);
    support::tensor<T> y(p.batch, p.heads, p.queries, p.d_v);
    support::tensor<S, 3> lse(p.batch, p.heads, p.queries);
    y.setConstant(static_cast<T>(-77.0f));
    lse.setConstant(S(-77));
    heed::linformer_into(y, in.q, in.k, in.v, e, f, heed::logsumexp(lse), options...);
    const auto [off, off_lse] = excess<T>(p, by, support::values(y), support::values(lse));
    INFO(support::describe(p) << " rank " << by.rank);
    CHECK(off <= 1);
    CHECK(off_lse <= 1);
}

}  // namespace

TEST_CASE("linformer is attention over the mixtures") {
    support::for_problems<float>(301, 60, [](reference::problem& p, support::random& r) {
        const auto by = random_projections<float>(r, p, r.chance(0.5) ? p.kv_heads : 1, r.skewed(1, 150));
        check_linformer<float>(p, by);
    });
}

TEST_CASE("linformer of other elements and with options") {
    support::random r(302);
    const auto with = [&](auto element) {
        using T = decltype(element);
        auto p = support::problem<T>(r, 2, 4, 2, 40, 300, 24, 20);
        p.softcap = 3, p.scale = 0.25;
        check_linformer<T>(p, random_projections<T>(r, p, 2, 70), heed::softcap(3), heed::scale(0.25));
    };
    with(double());
    with(Eigen::half());
    with(Eigen::bfloat16());
}

TEST_CASE("the bits of linformer depend on no thread, batch or grouping") {
    support::random r(303);
    const auto p = support::problem<float>(r, 3, 4, 2, 70, 500, 16, 16);
    const auto by = random_projections<float>(r, p, 1, 140);
    const support::inputs<float> in(p);
    const auto e = support::tensor4<float>(by.e, 1, 1, 140, 500),
               f = support::tensor4<float>(by.f, 1, 1, 140, 500);
    const auto y = heed::linformer(in.q, in.k, in.v, e, f);
    for (const int threads : {2, 5}) {
        const heed::thread_pool pool(threads);
        const auto z = heed::linformer(in.q, in.k, in.v, e, f, heed::on(pool));
        CHECK(support::same_bits(y.data(), z.data(), static_cast<std::size_t>(y.size())));
    }
    const auto last = [](const auto& t) { return heed::as_view(t).slice_batch(2, 1); };
    const auto z = heed::linformer(last(in.q), last(in.k), last(in.v), e, f);
    CHECK(support::same_bits(y.data() + 2 * z.size(), z.data(), static_cast<std::size_t>(z.size())));
    // Identity projections give attention itself.
    support::tensor<float, 2> one(500, 500);
    one.setZero();
    for (long i = 0; i < 500; ++i) one(i, i) = 1;
    const auto exact = heed::attention(in.q, in.k, in.v);
    const auto same = heed::linformer(in.q, in.k, in.v, one, one);
    CHECK(support::same_bits(exact.data(), same.data(), static_cast<std::size_t>(exact.size())));
}

TEST_CASE("linformer reads strided tensors, writes y over q, and without keys writes +0") {
    support::random r(304);
    const auto p = support::problem<float>(r, 2, 4, 2, 30, 90, 16, 16);
    const auto by = random_projections<float>(r, p, 2, 10);
    const support::inputs<float> in(p);
    const auto e = support::tensor4<float>(by.e, 1, 2, 10, 90),
               f = support::tensor4<float>(by.f, 1, 2, 10, 90);
    const auto y = heed::linformer(in.q, in.k, in.v, e, f);
    const auto turned = [](const auto& t, auto& room) {
        room = t.shuffle(std::array<int, 4>{0, 1, 3, 2});
        return heed::transposed(room);
    };
    support::tensor<float> a, b, c, d;
    auto q = in.q;
    heed::linformer_into(q, q, turned(in.k, a), turned(in.v, b), turned(e, c), turned(f, d));
    CHECK(support::same_bits(y.data(), q.data(), static_cast<std::size_t>(y.size())));

    support::tensor<float> none(2, 2, 0, 16);
    support::tensor<float, 2> nothing(10, 0);
    support::tensor<float, 3> lse(2, 4, 30);
    const auto z = heed::linformer(in.q, none, none, nothing, nothing, heed::logsumexp(lse));
    CHECK(support::positive_zero(z.data(), static_cast<std::size_t>(z.size())));
    CHECK(lse(1, 3, 29) == -std::numeric_limits<float>::infinity());
}

TEST_CASE("linformer and patterns allocate nothing in a workspace that has grown") {
    support::random r(305);
    const auto p = support::problem<float>(r, 1, 4, 2, 200, 300, 16, 16);
    const auto by = random_projections<float>(r, p, 1, 64);
    const support::inputs<float> in(p);
    const auto e = support::tensor4<float>(by.e, 1, 1, 64, 300),
               f = support::tensor4<float>(by.f, 1, 1, 64, 300);
    support::tensor<float> y(1, 4, 200, 16);
    const std::vector<int> ids{7, 150};
    const heed::block_mask blocks([](long q, long k) { return q != k; }, 200, 300, 64, 64);
    heed::workspace memory;
    const auto calls = [&] {
        heed::linformer_into(y, in.q, in.k, in.v, e, f, heed::use(memory));
        heed::attention_into(y, in.q, in.k, in.v, heed::longformer(32, ids), heed::blocks(blocks),
                             heed::random_blocks(2, 64, 1), heed::use(memory));
    };
    calls();
    long counted = 0;
    {
        const support::allocation_watch watch;
        calls();
        counted = watch.count();
    }
    CHECK(counted == 0);
}

TEST_CASE("what is wrong with a call of linformer, and nothing is written") {
    support::tensor<float> q(2, 4, 5, 8), k(2, 2, 7, 8), v(2, 2, 7, 6), y(2, 4, 5, 6), e(1, 2, 3, 7),
        f(1, 2, 3, 7);
    y.setConstant(77);
    const auto fails = [&](const auto& e_, const auto& f_, const std::string& words) {
        std::string text = "no error";
        try {
            heed::linformer_into(y, q, k, v, e_, f_);
        } catch (const heed::error& error) {
            text = error.what();
        }
        INFO(text);
        CHECK(text.find("heed::linformer_into: " + words) == 0);
        CHECK(y(1, 3, 4, 5) == 77);
    };
    fails(support::tensor<float>(1, 2, 3, 6), f, "k_projection has 6 columns, k has 7 positions");
    fails(e, support::tensor<float>(1, 2, 3, 8), "v_projection has 8 columns, v has 7 positions");
    fails(support::tensor<float>(2, 2, 3, 7), f, "k_projection has 2 batch entries, needs 1");
    fails(e, support::tensor<float>(1, 4, 3, 7), "v_projection has 4 heads, needs 1 or the 2 of v");
    fails(e, support::tensor<float>(1, 2, 4, 7), "v_projection has 4 rows, k_projection has 3");
    const heed::view<float> over(y.data(), {1, 1, 3, 7}, {0, 0, 7, 1});
    fails(over, f, "y overlaps k_projection, needs memory of its own");
}
