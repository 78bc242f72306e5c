// SPDX-License-Identifier: MIT
// tests/linear/favor_long.cpp: random features of vectors of any length: means, states and gradients
//
// The directions are read from outside, by the features of unit vectors; then a row is
//     y_i = sum_j p_ij v_j,   p_ij = sum_m e^(a_im + b_jm) over its sum over j,
// a and b the exponents of the features, written down here with logarithms of sums in double.
#include <heed/state/linear.hpp>

#include "support/linear_call.hpp"

namespace {

constexpr std::uint64_t seed = 11;
using rows = std::vector<double>;

struct sample {
    long n, d, w, count;
    rows q, k, v, dy;

    sample(support::random& r, long n_, long d_, long w_, long count_, double size)
        : n(n_), d(d_), w(w_), count(count_) {
        const auto draw = [&](rows& x, long columns, double most) {
            x.resize(static_cast<std::size_t>(n * columns));
            for (double& number : x) number = static_cast<double>(static_cast<float>(r.uniform(-most, most)));
        };
        draw(q, d, size), draw(k, d, size), draw(v, w, 1), draw(dy, w, 1);
    }
    template <class T>
    support::tensor<T> tensor(const rows& x) const {
        return support::tensor4<T>(x, 1, 1, n, static_cast<long>(x.size()) / n);
    }
};

// (feature, input), such that a feature's exponent is <w, x> - |x|^2 / (2 sqrt d) and a constant.
rows directions(long d, long count) {
    support::tensor<double> x(1, d + 1, 1, d), one(1, d + 1, 1, 1), state(1, d + 1, count, 1);
    x.setZero(), one.setConstant(1);
    for (long f = 0; f < d; ++f) x(0, f, 0, f) = 1;
    (void)heed::linear_attention(x, x, one, heed::favor(count, seed), heed::unnormalised, heed::causal,
                                 heed::final_state(state));
    rows w(static_cast<std::size_t>(count * d));
    for (long m = 0; m < count; ++m)
        for (long f = 0; f < d; ++f)
            w[static_cast<std::size_t>(m * d + f)] =
                std::log(state(0, f, m, 0)) - std::log(state(0, d, m, 0)) + 0.5 / std::sqrt(double(d));
    return w;
}

struct answer {
    rows y, dq, dk, dv;
    double largest_exponent = 0;
};

answer solve(const sample& s, bool causal) {
    const rows w = directions(s.d, s.count);
    const auto at = [](long i) { return static_cast<std::size_t>(i); };
    const auto exponents = [&](const rows& x) {
        rows e(at(s.n * s.count));
        for (long i = 0; i < s.n; ++i)
            for (long m = 0; m < s.count; ++m)
                for (long f = 0; f < s.d; ++f) {
                    const double value = x[at(i * s.d + f)];
                    e[at(i * s.count + m)] +=
                        w[at(m * s.d + f)] * value - value * value * 0.5 / std::sqrt(double(s.d));
                }
        return e;
    };
    const rows a = exponents(s.q), b = exponents(s.k);
    answer out{rows(s.v.size()), rows(s.q.size()), rows(s.k.size()), rows(s.v.size()), 0};
    for (const rows* x : {&a, &b})
        for (const double e : *x) out.largest_exponent = std::fmax(out.largest_exponent, std::fabs(e));
    rows da(a.size()), db(b.size());
    for (long i = 0; i < s.n; ++i) {
        const long keys = causal ? i + 1 : s.n;
        double most = -HUGE_VAL, sum = 0;
        for (long j = 0; j < keys; ++j)
            for (long m = 0; m < s.count; ++m)
                most = std::fmax(most, a[at(i * s.count + m)] + b[at(j * s.count + m)]);
        rows p(at(keys * s.count));
        for (long j = 0; j < keys; ++j)
            for (long m = 0; m < s.count; ++m)
                sum += p[at(j * s.count + m)] =
                    std::exp(a[at(i * s.count + m)] + b[at(j * s.count + m)] - most);
        for (double& x : p) x /= sum;
        rows weight(at(keys)), slope(at(keys));
        for (long j = 0; j < keys; ++j) {
            for (long m = 0; m < s.count; ++m) weight[at(j)] += p[at(j * s.count + m)];
            for (long e = 0; e < s.w; ++e) {
                out.y[at(i * s.w + e)] += weight[at(j)] * s.v[at(j * s.w + e)];
                out.dv[at(j * s.w + e)] += weight[at(j)] * s.dy[at(i * s.w + e)];
            }
        }
        for (long j = 0; j < keys; ++j) {
            for (long e = 0; e < s.w; ++e)
                slope[at(j)] += s.dy[at(i * s.w + e)] * (s.v[at(j * s.w + e)] - out.y[at(i * s.w + e)]);
            for (long m = 0; m < s.count; ++m) {
                da[at(i * s.count + m)] += p[at(j * s.count + m)] * slope[at(j)];
                db[at(j * s.count + m)] += p[at(j * s.count + m)] * slope[at(j)];
            }
        }
    }
    const auto back = [&](const rows& de, const rows& x, rows& dx) {
        for (long i = 0; i < s.n; ++i)
            for (long m = 0; m < s.count; ++m)
                for (long f = 0; f < s.d; ++f)
                    dx[at(i * s.d + f)] += de[at(i * s.count + m)] *
                                           (w[at(m * s.d + f)] - x[at(i * s.d + f)] / std::sqrt(double(s.d)));
    };
    back(da, s.q, out.dq), back(db, s.k, out.dk);
    return out;
}

// An exponent is off by some ulp of its size, and so is the logarithm of a weight.
template <class T>
double allowed(const answer& a, double size) {
    return 32 * static_cast<double>(std::numeric_limits<support::sum_type<T>>::epsilon()) *
           (1 + a.largest_exponent) * size;
}

template <class T>
void check_forward(support::random& r, double size, bool causal) {
    for (const long count : {1L, 5L, 16L, 70L}) {
        const sample s(r, 150, 16, 5, count, size);
        const auto want = solve(s, causal);
        const auto q = s.tensor<T>(s.q), k = s.tensor<T>(s.k), v = s.tensor<T>(s.v);
        support::tensor<T> y = causal
                                   ? heed::linear_attention(q, k, v, heed::causal, heed::favor(count, seed))
                                   : heed::linear_attention(q, k, v, heed::favor(count, seed));
        INFO("numbers of " << size << ", " << count << " features, causal " << causal);
        CHECK(support::max_error(support::values(y), want.y) <=
              allowed<T>(want, 1) + (sizeof(T) == 2 ? 0.004 : 0));
    }
}

}  // namespace

TEST_CASE("rows are the means that the exponents say") {
    support::random r(3701);
    for (const double size : {1.0, 8.0, 60.0})
        for (const bool causal : {false, true}) {
            check_forward<double>(r, size, causal);
            check_forward<float>(r, size, causal);
        }
    check_forward<Eigen::bfloat16>(r, 2.0, true);
    check_forward<Eigen::half>(r, 2.0, false);
}

TEST_CASE("a row stays a mean for any finite length") {
    support::random r(3702);
    for (const double size : {1e2, 1e4, 1e9, 1e15, 1e18})
        for (const bool causal : {false, true}) {
            sample s(r, 200, 8, 3, 20, size);
            for (std::size_t i = 0; i < s.v.size(); i += 3) s.v[i] = 1;
            const auto q = s.tensor<float>(s.q), k = s.tensor<float>(s.k), v = s.tensor<float>(s.v);
            const support::tensor<float> y =
                causal ? heed::linear_attention(q, k, v, heed::causal, heed::favor(20, seed))
                       : heed::linear_attention(q, k, v, heed::favor(20, seed));
            long wrong = 0;
            for (long i = 0; i < s.n; ++i) {
                wrong += !(std::fabs(y(0, 0, i, 0) - 1) <= 4e-6f);
                wrong += !(std::fabs(y(0, 0, i, 1)) <= 1.00001f);
            }
            INFO("numbers of " << size << ", causal " << causal);
            CHECK(wrong == 0);
        }
}

TEST_CASE("states carry the exponents: steps, parts, and states that merge") {
    support::random r(3703);
    for (const double size : {1.0, 8.0, 60.0}) {
        const long count = 16;
        const sample s(r, 140, 16, 4, count, size);
        const auto want = solve(s, true), all = solve(s, false);
        const auto q = s.tensor<float>(s.q), k = s.tensor<float>(s.k), v = s.tensor<float>(s.v);
        const auto map = heed::favor(count, seed);
        INFO("numbers of " << size);
        for (const long step : {1L, 7L, 70L}) {
            support::tensor<float> state(1, 1, count, 5), y(1, 1, 140, 4);
            state.setZero();
            for (long first = 0; first < 140; first += step) {
                const auto cut = [&](auto& t) { return heed::as_view(t).slice_positions(first, step); };
                heed::linear_attention_into(cut(y), cut(q), cut(k), cut(v), heed::causal, map,
                                            heed::state(state));
            }
            CHECK(support::max_error(support::values(y), want.y) <= 4 * allowed<float>(want, 1));
        }
        using parts = heed::linear_state<float>;
        parts whole(1, 1, count, 4), left = whole, middle = whole, right = whole;
        const auto take = [&](parts& to, long first, long last) {
            const auto cut = [&](const auto& t) {
                return heed::as_view(t).slice_positions(first, last - first);
            };
            to.absorb(cut(k), cut(v), map);
        };
        take(left, 0, 3), take(middle, 3, 80), take(right, 80, 140);
        for (const bool right_first : {false, true}) {
            parts sum = left;
            if (right_first) {
                parts late = middle;
                late.merge(right);
                sum.merge(late);
            } else {
                sum.merge(middle), sum.merge(right);
            }
            sum.merge(whole);  // an empty one
            support::tensor<float> y(1, 1, 140, 4);
            sum.finish_into(y, q, map);
            CHECK(support::max_error(support::values(y), all.y) <= 4 * allowed<float>(all, 1));
        }
    }
}

TEST_CASE("gradients are those of the means, also through a state") {
    support::random r(3704);
    for (const double size : {1.0, 8.0, 60.0})
        for (const long count : {3L, 24L}) {
            const sample s(r, 140, 9, 4, count, size);
            const auto q = s.tensor<double>(s.q), k = s.tensor<double>(s.k), v = s.tensor<double>(s.v),
                       dy = s.tensor<double>(s.dy);
            const auto map = heed::favor(count, seed);
            INFO("numbers of " << size << ", " << count << " features");
            const auto check = [&](const auto& dq, const auto& dk, const auto& dv, const answer& want) {
                CHECK(support::max_error(support::values(dq), want.dq) <=
                      16 * allowed<double>(want, support::max_abs(want.dq)));
                CHECK(support::max_error(support::values(dk), want.dk) <=
                      16 * allowed<double>(want, support::max_abs(want.dk)));
                CHECK(support::max_error(support::values(dv), want.dv) <=
                      16 * allowed<double>(want, support::max_abs(want.dv)));
            };
            const auto full = heed::linear_attention_backward(dy, q, k, v, map);
            check(full.q, full.k, full.v, solve(s, false));
            const auto want = solve(s, true);
            const auto whole = heed::linear_attention_backward(dy, q, k, v, map, heed::causal);
            check(whole.q, whole.k, whole.v, want);
            // In two parts: what the second finds of the state is what the first is given.
            support::tensor<double> zero(1, 1, count, 5), state = zero, flow = zero, first_flow = zero;
            zero.setZero();
            support::tensor<double> dq(q.dimensions()), dk(q.dimensions()), dv(v.dimensions());
            const long at = 66;
            const auto left = [&](auto& t) { return heed::as_view(t).slice_positions(0, at); };
            const auto right = [&](auto& t) { return heed::as_view(t).slice_positions(at, 140 - at); };
            (void)heed::linear_attention(left(q), left(k), left(v), heed::causal, map,
                                         heed::initial_state(zero), heed::final_state(state));
            heed::linear_attention_backward_into(
                right(dq), right(dk), right(dv), right(dy), right(q), right(k), right(v), heed::causal, map,
                heed::initial_state(state), heed::initial_state_gradient(flow));
            heed::linear_attention_backward_into(left(dq), left(dk), left(dv), left(dy), left(q), left(k),
                                                 left(v), heed::causal, map, heed::initial_state(zero),
                                                 heed::initial_state_gradient(first_flow),
                                                 heed::final_state_gradient(flow));
            check(dq, dk, dv, want);
        }
}

namespace {

// What comes of rows of a state whose level only a code holds, once sums decay: in float, where they have
// one, as in double, where e^-50 is a number like others.
struct after_decay {
    static constexpr long at = 66, count = 12;
    rows merged, late_favor, called, dk, dv;
    long in_code = 0;
    double terms = 0;  // the largest that cancel in a key's gradient where it is nearly all of its row

    template <class T>
    static after_decay of(const sample& s) {
        const auto q = s.tensor<T>(s.q), k = s.tensor<T>(s.k), v = s.tensor<T>(s.v), dy = s.tensor<T>(s.dy);
        const auto map = heed::favor(count, seed);
        const auto left = [](const auto& t) { return heed::as_view(t).slice_positions(0, at); };
        const auto right = [](const auto& t) { return heed::as_view(t).slice_positions(at, 140 - at); };
        support::tensor<T, 3> g(1, 1, 140 - at);
        g.setConstant(T(-0.05));
        after_decay x;
        const auto finished = [&](const heed::linear_state<T>& state) {
            support::tensor<T> y(1, 1, 140, 4);
            state.finish_into(y, q, map);
            return support::values(y);
        };
        heed::linear_state<T> early(1, 1, count, 4), late(early);
        early.absorb(left(k), left(v), map);
        const auto kept = early;
        late.absorb(right(k), right(v), map, heed::decay(g));
        early.merge(late);
        x.merged = finished(early);
        late.absorb(left(k), left(v), map);
        early = kept, early.merge(late);
        x.late_favor = finished(early);

        support::tensor<T> state(1, 1, count, 5), flow = state, y(1, 1, 140 - at, 4);
        state = kept.sums();
        for (long f = 0; f < count; ++f) x.in_code += state(0, 0, f, 4) < 0;
        y = heed::linear_attention(right(q), right(k), right(v), heed::causal, map, heed::normalised,
                                   heed::decay(g), heed::initial_state(state));
        x.called = support::values(y);
        support::tensor<T> dq(q.dimensions()), dk(k.dimensions()), dv(v.dimensions());
        const auto left_of = [](auto& t) { return heed::as_view(t).slice_positions(0, at); };
        const auto right_of = [](auto& t) { return heed::as_view(t).slice_positions(at, 140 - at); };
        heed::linear_attention_backward_into(right_of(dq), right_of(dk), right_of(dv), right(dy), right(q),
                                             right(k), right(v), heed::causal, map, heed::normalised,
                                             heed::decay(g), heed::initial_state(state),
                                             heed::initial_state_gradient(flow));
        support::tensor<T> zero(1, 1, count, 5), none(1, 1, at, 4);
        zero.setZero(), none.setZero();
        heed::linear_attention_backward_into(left_of(dq), left_of(dk), left_of(dv), none, left(q), left(k),
                                             left(v), heed::causal, map, heed::initial_state(zero),
                                             heed::final_state_gradient(flow));
        x.dk = support::values(dk), x.dv = support::values(dv);
        for (long i = 0; i < flow.size(); ++i)
            x.terms = std::fmax(x.terms, std::fabs(double(flow.data()[i]) * double(state.data()[i])));
        return x;
    }
};

}  // namespace

TEST_CASE("rows in code decay, merge and flow back as the sums that they stand for") {
    support::random r(3705);
    long in_code = 0;
    for (int round = 0; round < 20; ++round) {
        sample s(r, 140, 9, 4, after_decay::count, 13);
        for (double& number : s.q) number = static_cast<double>(static_cast<float>(number / 32));
        const auto got = after_decay::of<float>(s), want = after_decay::of<double>(s);
        in_code += got.in_code;
        CHECK(want.in_code == 0);
        const auto check = [](const char* what, const rows& x, const rows& y, double lost = 0) {
            INFO(what);
            CHECK(support::max_error(x, y) <= 2e-4 * support::max_abs(y) + lost);
        };
        check("merged", got.merged, want.merged);
        check("late_favor", got.late_favor, want.late_favor);
        check("called", got.called, want.called);
        check("dk", got.dk, want.dk,
              8 * static_cast<double>(std::numeric_limits<float>::epsilon()) * want.terms);
        check("dv", got.dv, want.dv);
    }
    CHECK(in_code > 10);
}
