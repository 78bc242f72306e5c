// SPDX-License-Identifier: MIT
// tests/rotary.cpp: rotary position embedding against the formula in double, its layouts, and its errors
#include <functional>

#include <heed/rotary.hpp>
#include <heed/thread_pool.hpp>

#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/random.hpp"
#include "support/tensors.hpp"

namespace {

template <class T>
using caches = support::tensor<T, 3>;  // (batch or 1, position, pairs)

template <class T>
support::tensor<T> sample(support::random& r, long b, long h, long s, long d) {
    return support::tensor4<T>(support::normals<T>(r, static_cast<std::size_t>(b * h * s * d)), b, h, s, d);
}

// Any numbers, not a cosine and its sine: what belongs to which element then shows.
template <class T>
caches<T> angles(support::random& r, long batch, long positions, long pairs) {
    caches<T> t(batch, positions, pairs);
    for (long i = 0; i < t.size(); ++i) t.data()[i] = support::narrow<T>(r.uniform(-1, 1));
    return t;
}

// y in double. row(b, s) is the row of the caches, whose batch axis may be 1.
template <class T, class C, class Row>
std::vector<double> turned(const support::tensor<T>& x, const caches<C>& cos, const caches<C>& sin,
                           bool neighbours, const Row& row, double sign = 1) {
    auto y = support::values(x);
    const long d = x.dimension(3), pairs = cos.dimension(2);
    for (std::size_t at = 0, n = 0; n < y.size() / std::size_t(d); ++n, at += std::size_t(d)) {
        const long s = long(n) % x.dimension(2), b = long(n) / x.dimension(2) / x.dimension(1);
        for (long i = 0; i < pairs; ++i) {
            double& first = y[at + std::size_t(neighbours ? 2 * i : i)];
            double& second = y[at + std::size_t(neighbours ? 2 * i + 1 : i + pairs)];
            const double c = support::widen(cos(cos.dimension(0) == 1 ? 0 : b, row(b, s), i));
            const double t = sign * support::widen(sin(cos.dimension(0) == 1 ? 0 : b, row(b, s), i));
            const double a = first;
            first = a * c - second * t, second = second * c + a * t;
        }
    }
    return y;
}

// Two products and a sum in the type of sums, one rounding to T; |x|, |cos| and |sin| are below 8 and 1.
template <class T>
bool near(const support::tensor<T>& got, const std::vector<double>& want) {
    const auto y = support::values(got);
    using S = std::conditional_t<sizeof(T) == 8, double, float>;
    for (std::size_t i = 0; i < y.size(); ++i) {
        const double rounding = std::is_same_v<T, S> ? 0 : 0.51 * support::ulp<T>(want[i]);
        if (!(std::fabs(y[i] - want[i]) <= 32 * double(std::numeric_limits<S>::epsilon()) + rounding))
            return false;
    }
    return y.size() == want.size();
}

template <class T, class C>
void random_cases(std::uint64_t seed) {
    support::random r(seed);
    for (int round = 0; round < 60; ++round) {
        const long b = r.between(1, 3), h = r.between(1, 3), s = r.skewed(1, 40), d = r.skewed(1, 70);
        const long pairs = r.between(0, d / 2), rows = r.between(1, 50);
        const auto x = sample<T>(r, b, h, s, d);
        const bool by_batch = r.chance(0.5);
        const auto cos = angles<C>(r, by_batch ? b : 1, s + 2, pairs),
                   sin = angles<C>(r, by_batch ? b : 1, s + 2, pairs);
        const auto own = [](long, long position) { return position; };
        INFO("B:" << b << " H:" << h << " S:" << s << " D:" << d << " pairs:" << pairs);
        CHECK(near<T>(heed::rotary(x, cos, sin), turned(x, cos, sin, false, own)));
        CHECK(near<T>(heed::rotary(x, cos, sin, heed::interleaved), turned(x, cos, sin, true, own)));
        CHECK(near<T>(heed::rotary_backward(x, cos, sin), turned(x, cos, sin, false, own, -1)));

        const auto c = angles<C>(r, 1, rows, pairs), t = angles<C>(r, 1, rows, pairs);
        std::vector<int> ids(static_cast<std::size_t>(b * s));
        for (int& id : ids) id = static_cast<int>(r.between(0, rows - 1));
        const auto looked_up = [&](long batch, long position) {
            return long(ids[std::size_t(batch * s + position)]);
        };
        CHECK(near<T>(heed::rotary(x, c, t, heed::interleaved, heed::positions(ids)),
                      turned(x, c, t, true, looked_up)));
        CHECK(near<T>(heed::rotary_backward(x, c, t, heed::positions(ids)),
                      turned(x, c, t, false, looked_up, -1)));
        auto in_place = x;
        heed::rotary_into(in_place, in_place, c, t, heed::positions(ids));
        CHECK(near<T>(in_place, turned(x, c, t, false, looked_up)));
    }
}

}  // namespace

TEST_CASE("every element type against the formula") {
    random_cases<float, float>(3001);
    random_cases<double, double>(3002);
    random_cases<Eigen::half, Eigen::half>(3003);
    random_cases<Eigen::half, float>(3004);
    random_cases<Eigen::bfloat16, Eigen::bfloat16>(3005);
    random_cases<Eigen::bfloat16, float>(3006);
}

TEST_CASE("features beyond the caches are copied to the bit, NaN too") {
    support::random r(3007);
    auto x = sample<Eigen::half>(r, 1, 2, 3, 7);
    for (long s = 0; s < 3; ++s)
        x(0, 1, s, 6) = Eigen::half_impl::raw_uint16_to_half(static_cast<std::uint16_t>(0x7c01 + s));
    const auto cos = angles<float>(r, 1, 3, 2), sin = angles<float>(r, 1, 3, 2);
    const support::tensor<Eigen::half> y = heed::rotary(x, cos, sin);
    for (long h = 0; h < 2; ++h)
        for (long s = 0; s < 3; ++s) CHECK(support::same_bits(&y(0, h, s, 4), &x(0, h, s, 4), 3));
}

TEST_CASE("layouts, ranks and threads give the bits of the plain call") {
    support::random r(3008);
    const long b = 2, h = 3, s = 5, d = 8;
    const auto x = sample<float>(r, b, h, s, d);
    const auto cos = angles<float>(r, 1, s, 4), sin = angles<float>(r, 1, s, 4);
    const support::tensor<float> want = heed::rotary(x, cos, sin);
    const heed::thread_pool pool(3);
    CHECK(support::same_bits(support::elements(heed::rotary(x, cos, sin, heed::on(pool))),
                             support::elements(want)));

    const Eigen::array<int, 4> order{0, 2, 1, 3};
    support::tensor<float> swapped = x.shuffle(order), to(b, s, h, d);
    heed::rotary_into(heed::bshd(to), heed::bshd(swapped), cos, sin);
    const support::tensor<float> back = to.shuffle(order);
    CHECK(support::same_bits(support::elements(back), support::elements(want)));

    const Eigen::TensorMap<support::tensor<float, 3>> flat(swapped.data(), b, s, h * d);
    const auto split = heed::rotary(heed::split_heads(flat, h), cos, sin);
    CHECK(support::same_bits(support::elements(split), support::elements(want)));

    const Eigen::Tensor<float, 4> column_major = x.swap_layout();
    const Eigen::Tensor<float, 4> turned_back = heed::rotary(heed::reversed(column_major), cos, sin);
    CHECK(support::same_bits(support::elements(turned_back), support::elements(want)));

    using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    const matrix rows = Eigen::Map<const matrix>(x.data(), s, d),
                 c = Eigen::Map<const matrix>(cos.data(), s, 4);
    const matrix t = Eigen::Map<const matrix>(sin.data(), s, 4);
    const matrix one = heed::rotary(rows, c, t);
    CHECK(support::same_bits(one.data(), want.data(), std::size_t(s * d)));

    // One buffer for q and k: y is x, elements of one head two apart.
    std::vector<float> fused(std::size_t(2 * x.size()), 5.0f);
    heed::view<float> part(fused.data(), {b, h, s, d}, {2 * h * s * d, 2 * s * d, 2 * d, 2});
    for (long i = 0; i < x.size(); ++i) fused[std::size_t(2 * i)] = x.data()[i];
    heed::rotary_into(part, part, cos, sin);
    long wrong = 0;
    for (long i = 0; i < x.size(); ++i)
        wrong += fused[std::size_t(2 * i)] != want.data()[i] || fused[std::size_t(2 * i + 1)] != 5;
    CHECK(wrong == 0);
}

TEST_CASE("the table's angles: a product of turned rows depends on the distance alone") {
    const auto t = heed::rotary_table<double>(64, 6, 100);
    CHECK(t.cos.dimension(0) == 64);
    CHECK(t.cos.dimension(1) == 3);
    CHECK(t.cos(0, 2) == 1);
    CHECK(std::fabs(t.sin(7, 1) - std::sin(7 * std::pow(100, -1.0 / 3))) < 1e-15);
    support::random r(3009);
    support::tensor<double, 2> q(64, 6), k(64, 6);
    for (long f = 0; f < 6; ++f) {
        const double a = r.normal(), b = r.normal();
        for (long p = 0; p < 64; ++p) q(p, f) = a, k(p, f) = b;
    }
    const support::tensor<double, 2> x = heed::rotary(q, t.cos, t.sin), y = heed::rotary(k, t.cos, t.sin);
    const auto product = [&](long i, long j) {
        double sum = 0;
        for (long f = 0; f < 6; ++f) sum += x(i, f) * y(j, f);
        return sum;
    };
    CHECK(std::fabs(product(40, 33) - product(9, 2)) < 1e-13);
    CHECK(std::fabs(product(40, 33) - product(33, 40)) > 1e-3);
    const support::tensor<double, 2> again = heed::rotary_backward(x, t.cos, t.sin);
    CHECK(support::max_error(support::values(again), support::values(q)) < 1e-14);
    CHECK(heed::rotary_table<float>(0, 4).cos.size() == 0);
}

TEST_CASE("nothing to turn") {
    const caches<float> none(1, 4, 0), some(1, 0, 2);
    support::random r(3010);
    const auto x = sample<float>(r, 1, 2, 4, 3);
    CHECK(support::same_bits(support::elements(heed::rotary(x, none, none)), support::elements(x)));
    CHECK(heed::rotary(support::tensor<float>(2, 3, 0, 8), some, some).size() == 0);
    CHECK(heed::rotary(support::tensor<float>(0, 3, 4, 8), caches<float>(1, 9, 2), caches<float>(1, 9, 2))
              .size() == 0);
}

#if defined(__cpp_exceptions)
namespace {

void fails(const std::function<void()>& call, const std::string& words) {
    std::string text = "no error";
    try {
        call();
    } catch (const heed::error& e) {
        text = e.what();
    }
    INFO("'" << text << "' should say '" << words << "'");
    CHECK(text.find(words) != std::string::npos);
}

}  // namespace

TEST_CASE("what does not fit is named, and nothing is written") {
    support::tensor<float> x(2, 3, 4, 8), y(2, 3, 4, 8);
    x.setConstant(1), y.setConstant(77);
    const caches<float> c(1, 4, 4), s(1, 4, 4);
    const auto with = [&](const caches<float>& cos, const caches<float>& sin, const std::string& words) {
        fails([&] { heed::rotary_into(y, x, cos, sin); }, "heed::rotary_into: " + words);
        fails([&] { (void)heed::rotary_backward(x, cos, sin); }, "heed::rotary_backward: " + words);
    };
    with(caches<float>(1, 3, 4), s, "cos has 3 positions, needs the 4");
    with(c, caches<float>(1, 3, 4), "sin has 3 positions, needs the 4");
    with(caches<float>(1, 4, 5), s, "cos has 5 angles a position, needs at most half of the 8 features");
    with(caches<float>(3, 4, 4), s,
         "cos is (1, 3, 4, 4), needs (position, pairs) or (batch, position, pairs)");
    with(c, caches<float>(1, 4, 3), "sin is (1, 4, 3), cos is (1, 4, 4)");
    support::tensor<float> longer(2, 3, 5, 8);
    fails([&] { heed::rotary_into(longer, x, c, s); }, "y has 5 positions, x has 4");
    fails([&] { heed::rotary_backward_into(longer, x, c, s); }, "dx has 5 positions, dy has 4");

    std::vector<int> ids{0, 1, 2};
    fails([&] { heed::rotary_into(y, x, c, s, heed::positions(ids)); },
          "positions has 3 ids, needs 4 or 2 x 4");
    ids = {0, 1, 2, 4};
    fails([&] { heed::rotary_into(y, x, c, s, heed::positions(ids)); },
          "positions[3] is 4, needs a row of the 4");
    ids = {0, -1, 2, 3};
    fails([&] { heed::rotary_into(y, x, c, s, heed::positions(ids)); }, "positions[1] is -1");
    ids = {0, 1, 2, 3};
    const caches<float> by_batch(2, 4, 4);
    fails([&] { heed::rotary_into(y, x, by_batch, by_batch, heed::positions(ids)); },
          "needs (position, pairs) to look ids up in");

    heed::view<float> whole = heed::as_view(x), shifted(x.data() + 1, {2, 3, 4, 7}, whole.strides);
    fails(
        [&] {
            heed::rotary_into(shifted, heed::view<float>(x.data(), {2, 3, 4, 7}, whole.strides),
                              caches<float>(1, 4, 3), caches<float>(1, 4, 3));
        },
        "y overlaps x, needs to be x itself");
    const caches<float> narrow(1, 4, 2);
    fails(
        [&] {
            heed::rotary_into(heed::view<float>(const_cast<float*>(narrow.data()), {1, 1, 2, 4}),
                              heed::view<float>(x.data(), {1, 1, 2, 4}), narrow, caches<float>(1, 4, 2));
        },
        "y overlaps cos, needs memory of its own");
    fails([&] { (void)heed::rotary_table<float>(3, 5); },
          "heed::rotary_table: dim is 5, needs an even number");
    fails([&] { (void)heed::rotary_table<float>(-1, 4); }, "heed::rotary_table: positions is -1");
    fails([&] { (void)heed::rotary_table<float>(1, 4, 0); }, "heed::rotary_table: base is 0");
    for (long i = 0; i < y.size(); ++i) REQUIRE(y.data()[i] == 77);
    for (long i = 0; i < x.size(); ++i) REQUIRE(x.data()[i] == 1);
}
#endif
