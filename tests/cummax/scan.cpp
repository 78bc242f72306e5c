// SPDX-License-Identifier: MIT
// tests/cummax/scan.cpp: the running maximum along every axis, its index and its backward
//
// Ties, both zeros, NaN and -inf; the same file is compiled with -ffast-math as scan_fast_math.
#include <heed/state.hpp>
#include <heed/thread_pool.hpp>

#include "support/cummax_problem.hpp"
#include "support/traps.hpp"

namespace {

template <class T>
bool is_nan(T x) {  // by bits, for the build with -ffast-math
    unsigned long long bits = 0;
    std::memcpy(&bits, &x, sizeof x);
    if constexpr (sizeof(T) == 8) return (bits & 0x7fffffffffffffffull) > 0x7ff0000000000000ull;
    if constexpr (sizeof(T) == 4) return (bits & 0x7fffffffull) > 0x7f800000ull;
    if constexpr (std::is_same_v<T, Eigen::half>) return (bits & 0x7fffull) > 0x7c00ull;
    return (bits & 0x7fffull) > 0x7f80ull;
}
template <class T>
bool equal_bits(T a, T b) {
    return (is_nan(a) && is_nan(b)) || std::memcmp(&a, &b, sizeof a) == 0;
}

struct wanted {
    std::array<long, 4> size;
    long length(int axis) const { return size[static_cast<std::size_t>(axis)]; }
};

// Compares with a loop along the axis; in `bad` what differs.
template <class T, class Y, class I>
long differences(const support::tensor<T>& x, const Y& y, const I& indices, int axis, bool back) {
    long bad = 0;
    const std::array<long, 4> n{long(x.dimension(0)), long(x.dimension(1)), long(x.dimension(2)),
                                long(x.dimension(3))};
    std::array<long, 4> at{};
    const std::size_t along = static_cast<std::size_t>(axis);
    const auto element = [&](const auto& t, const std::array<long, 4>& i) {
        return t(i[0], i[1], i[2], i[3]);
    };
    std::array<long, 4> outer = n;
    outer[along] = n[along] == 0 ? 0 : 1;
    for (at[0] = 0; at[0] < outer[0]; ++at[0])
        for (at[1] = 0; at[1] < outer[1]; ++at[1])
            for (at[2] = 0; at[2] < outer[2]; ++at[2])
                for (at[3] = 0; at[3] < outer[3]; ++at[3]) {
                    auto i = at;
                    long from = -1;
                    T most{};
                    for (long step = 0; step < n[along]; ++step) {
                        i[along] = back ? n[along] - 1 - step : step;
                        const T now = element(x, i);
                        const bool takes = from < 0 || is_nan(now) || (!is_nan(most) && now >= most);
                        if (takes) most = now, from = i[along];
                        bad += !equal_bits(element(y, i), most) || element(indices, i) != from;
                    }
                }
    return bad;
}

template <class T, class... Options>
void check(const support::tensor<T>& x, int axis, bool back, const Options&... options) {
    const auto r = heed::cummax_with_index(x, options...);
    const auto y = heed::cummax(x, options...);
    INFO("axis " << axis << (back ? " back" : "") << " of (" << x.dimension(0) << ", " << x.dimension(1)
                 << ", " << x.dimension(2) << ", " << x.dimension(3) << ")");
    CHECK(differences(x, r.values, r.indices, axis, back) == 0);
    CHECK(differences(x, y, r.indices, axis, back) == 0);
    auto in_place = x;
    const heed::thread_pool pool(3);
    heed::cummax_into(in_place, in_place, options..., heed::on(pool));
    CHECK(differences(x, in_place, r.indices, axis, back) == 0);

    // A gradient goes where the index says.
    support::random random(static_cast<std::uint64_t>(x.size()));
    support::tensor<T> dy(x), want(x);
    want.setConstant(T(0));
    for (long i = 0; i < dy.size(); ++i)
        dy.data()[i] = static_cast<T>(static_cast<float>(random.between(-3, 3)));
    for (long b = 0; b < x.dimension(0); ++b)
        for (long h = 0; h < x.dimension(1); ++h)
            for (long t = 0; t < x.dimension(2); ++t)
                for (long f = 0; f < x.dimension(3); ++f) {
                    std::array<long, 4> to{b, h, t, f};
                    to[static_cast<std::size_t>(axis)] = r.indices(b, h, t, f);
                    T& sum = want(to[0], to[1], to[2], to[3]);
                    sum = static_cast<T>(sum + dy(b, h, t, f));
                }
    const auto dx = heed::cummax_backward(dy, x, options...);
    support::tensor<T> threaded(x);
    heed::cummax_backward_into(threaded, dy, x, options..., heed::on(pool));
    long wrong = 0;
    for (long i = 0; i < dx.size(); ++i)
        wrong += !(dx.data()[i] == want.data()[i]) || !equal_bits(dx.data()[i], threaded.data()[i]);
    CHECK(wrong == 0);
}

template <class T>
void check_all(support::random& r) {
    const cummax_reference::shape s{r.between(1, 2), r.skewed(1, 20), r.skewed(1, 200), r.skewed(1, 150)};
    const bool special = r.chance(0.7);
    const heed_test::without_traps quiet(special);
    const auto x =
        support::cummax_tensor<T>(support::cummax_numbers<T, double>(r, s.size(), special), s, s.positions);
    check(x, 2, false), check(x, 2, false, heed::along::position), check(x, 2, true, heed::reverse);
    check(x, 1, false, heed::along::head), check(x, 1, true, heed::reverse, heed::along::head);
    check(x, 3, false, heed::along::feature), check(x, 3, true, heed::along::feature, heed::reverse);
}

}  // namespace

TEST_CASE("values, indices and gradients along every axis, both ways") {
    support::random r(21);
    for (int round = 0; round < 12; ++round) {
        check_all<float>(r);
        if (round % 3 == 0) check_all<double>(r);
        if (round % 3 == 1) check_all<Eigen::half>(r);
        if (round % 3 == 2) check_all<Eigen::bfloat16>(r);
    }
}

TEST_CASE("automatic takes positions, else heads, else features") {
    const heed_test::without_traps quiet;
    support::random r(22);
    const auto made = [&](long heads, long positions) {
        const cummax_reference::shape s{2, heads, positions, 7};
        return support::cummax_tensor<float>(support::cummax_numbers<float, double>(r, s.size(), true), s,
                                             positions);
    };
    check(made(3, 5), 2, false, heed::along::automatic);
    check(made(3, 1), 1, false, heed::along::automatic);
    check(made(1, 1), 3, false, heed::along(heed::along::automatic));
}

TEST_CASE("a matrix, a view and a column-major tensor") {
    support::random r(23);
    Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> m(9, 4);
    Eigen::Tensor<float, 2> column(4, 9);
    support::tensor<float> x(1, 1, 9, 4);
    for (long t = 0; t < 9; ++t)
        for (long f = 0; f < 4; ++f)
            m(t, f) = column(f, t) = x(0, 0, t, f) = static_cast<float>(r.between(-3, 3));
    const auto a = heed::cummax_with_index(m);
    const auto b = heed::cummax_with_index(heed::as_view(x));
    const Eigen::Tensor<float, 2> c = heed::cummax(heed::reversed(column));
    long different = 0;
    for (long t = 0; t < 9; ++t)
        for (long f = 0; f < 4; ++f)
            different += a.values(t, f) != b.values(0, 0, t, f) || a.indices(t, f) != b.indices(0, 0, t, f) ||
                         c(f, t) != b.values(0, 0, t, f);
    CHECK(different == 0);
}

TEST_CASE("a state merges: identity, any split, any tree, to the bit") {
    const heed_test::without_traps quiet;
    support::random r(24);
    for (int round = 0; round < 60; ++round) {
        const cummax_reference::shape s{r.between(1, 2), r.between(1, 3), r.skewed(1, 90), r.skewed(1, 40)};
        const auto x = support::cummax_tensor<float>(
            support::cummax_numbers<float, double>(r, s.size(), true), s, s.positions);
        heed::cummax_state<float> whole(s.batch, s.heads, s.features);
        whole.absorb(x);
        std::vector<heed::cummax_state<float>> parts;
        for (long first = 0; first < s.positions;) {
            const long count = r.between(1, s.positions - first);
            parts.emplace_back(s.batch, s.heads, s.features);
            parts.back().absorb(heed::as_view(x).slice_positions(first, count));
            if (r.chance(0.3)) parts.emplace_back(s.batch, s.heads, s.features);
            first += count;
        }
        while (parts.size() > 1) {
            const auto i = static_cast<std::size_t>(r.between(0, static_cast<long>(parts.size()) - 2));
            parts[i].merge(parts[i + 1]);
            parts.erase(parts.begin() + static_cast<long>(i) + 1);
        }
        long different = 0;
        for (long i = 0; i < whole.maxima().size(); ++i)
            different += !equal_bits(whole.maxima().data()[i], parts[0].maxima().data()[i]);
        CHECK(different == 0);
        support::tensor<float> last(s.batch, s.heads, 1, s.features);
        whole.finish_into(last);
        const auto y = heed::cummax(x);
        for (long b = 0; b < s.batch; ++b)
            for (long h = 0; h < s.heads; ++h)
                for (long f = 0; f < s.features; ++f)
                    different += !equal_bits(last(b, h, 0, f), y(b, h, s.positions - 1, f));
        CHECK(different == 0);
    }
}
