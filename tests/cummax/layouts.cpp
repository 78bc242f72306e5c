// SPDX-License-Identifier: MIT
// tests/cummax/layouts.cpp: whatever the layout of a tensor, the bits of the dense one
//
// Every function that carries a running maximum, with inputs and outputs in layouts of their own: positions
// that are neighbours, rows a power of two apart, negative strides, features with gaps. What the dense calls
// compute is checked by the other tests of this folder.
#include <heed/thread_pool.hpp>

#include "support/cummax_problem.hpp"
#include "support/traps.hpp"

namespace {

using cummax_reference::shape;
using support::tensor;

constexpr int layouts = 8;

// A tensor in memory of its own, laid out one way or another, with room between what it holds.
template <class T>
struct laid_out {
    std::vector<T> memory;
    heed::view<T> view;

    laid_out(const shape& s, int layout) {
        const heed::index b = s.batch, h = s.heads, t = s.positions, f = s.features;
        const heed::index row = 64;  // a power of two, and longer than the axis
        const heed::index far_t = (t + row - 1) / row * row, far_f = (f + row - 1) / row * row;
        std::array<heed::index, 4> k{};
        switch (layout) {
            case 0:
                k = {h * t * f, t * f, f, 1};
                break;  // dense
            case 1:
                k = {h * f * t, f * t, 1, t};
                break;  // positions are neighbours
            case 2:
                k = {h * f * far_t, f * far_t, 1, far_t};
                break;  // and rows a power of two apart
            case 3:
                k = {t * h * f, f, h * f, 1};
                break;  // (b, position, head, feature)
            case 4:
                k = {h * t * far_f, t * far_f, -far_f, 1};
                break;  // from the last position
            case 5:
                k = {h * f * t, f * t, -1, t};
                break;  // and those are neighbours
            case 6:
                k = {h * t * 2 * f, t * 2 * f, 2 * f, 2};
                break;  // features apart
            default:
                k = {1, b, b * h, b * h * t};
                break;  // column-major
        }
        heed::index before = 0, size = 1;
        for (std::size_t axis = 0; axis < 4; ++axis) {
            const heed::index n = std::array{b, h, t, f}[axis];
            if (n > 0) (k[axis] < 0 ? before : size) += (n - 1) * (k[axis] < 0 ? -k[axis] : k[axis]);
        }
        memory.assign(static_cast<std::size_t>(before + size), static_cast<T>(-77.0f));
        view = heed::view<T>(memory.data() + before, {b, h, t, f}, k);
    }
    laid_out(const shape& s, int layout, const tensor<T>& x) : laid_out(s, layout) {
        each(s, [&](long b, long h, long t, long f) { view(b, h, t, f) = x(b, h, t, f); });
    }
    static void each(const shape& s, const auto& f) {
        for (long b = 0; b < s.batch; ++b)
            for (long h = 0; h < s.heads; ++h)
                for (long t = 0; t < s.positions; ++t)
                    for (long i = 0; i < s.features; ++i) f(b, h, t, i);
    }
    // Elements that differ from x's, and elements between them that were written.
    long wrong(const shape& s, const tensor<T>& x) const {
        std::vector<T> got, want;
        long held = 0;
        each(s, [&](long b, long h, long t, long f) {
            got.push_back(view(b, h, t, f)), want.push_back(x(b, h, t, f));
            held += view(b, h, t, f) == static_cast<T>(-77.0f);
        });
        long kept = 0;
        for (const T& m : memory) kept += m == static_cast<T>(-77.0f);
        return !support::same_numbers(got, want) +
               (kept - held != static_cast<long>(memory.size()) - static_cast<long>(got.size()));
    }
};

template <class T>
struct sheet {
    const shape& s;
    support::random& r;
    bool special;

    tensor<T> numbers(bool with_special = false) const {
        return support::cummax_tensor<T>(
            support::cummax_numbers<T, double>(r, s.size(), with_special && special), s, s.positions);
    }
    laid_out<T> as(const tensor<T>& x) const { return {s, static_cast<int>(r.between(0, layouts - 1)), x}; }
    laid_out<T> room() const { return {s, static_cast<int>(r.between(0, layouts - 1))}; }
    void check(const laid_out<T>& got, const tensor<T>& want) const { CHECK(got.wrong(s, want) == 0); }
};

template <class T>
void check_scan(const sheet<T>& x, const auto&... options) {
    const tensor<T> of = x.numbers(true), dy = x.numbers();
    const auto in = x.as(of), g = x.as(dy);
    auto y = x.room(), values = x.room(), dx = x.room();
    tensor<T> unused(of);
    Eigen::Tensor<std::int64_t, 4, Eigen::RowMajor> wide(of.dimensions());
    Eigen::Tensor<std::uint32_t, 4, Eigen::RowMajor> narrow(of.dimensions());
    const auto want = heed::cummax_with_index(of, options...);
    heed::cummax_into(y.view, in.view, options...);
    heed::cummax_with_index_into(values.view, wide, in.view, options...);
    heed::cummax_with_index_into(unused, narrow, of, options...);
    heed::cummax_backward_into(dx.view, g.view, in.view, options...);
    x.check(y, want.values), x.check(values, want.values);
    x.check(dx, heed::cummax_backward(dy, of, options...));
    long other = 0;
    for (long i = 0; i < of.size(); ++i)
        other += wide.data()[i] != want.indices.data()[i] ||
                 static_cast<std::int32_t>(narrow.data()[i]) != want.indices.data()[i];
    CHECK(other == 0);
    auto in_place = in;
    const heed::thread_pool pool(3);
    heed::cummax_into(in_place.view, in_place.view, options..., heed::on(pool));
    x.check(in_place, want.values);
}

template <class T>
void check_attention(const sheet<T>& x, const auto&... options) {
    const tensor<T> o = x.numbers(true), a1 = x.numbers(), a2 = x.numbers(), dy = x.numbers();
    const auto lo = x.as(o), l1 = x.as(a1), l2 = x.as(a2), lg = x.as(dy);
    auto y = x.room(), d0 = x.room(), d1 = x.room(), d2 = x.room();
    heed::cummax_attention_into(y.view, lo.view, l1.view, l2.view, options...);
    x.check(y, heed::cummax_attention(o, a1, a2, options...));
    heed::cummax_attention_backward_into(d0.view, d1.view, d2.view, lg.view, lo.view, l1.view, l2.view,
                                         options...);
    const auto want = heed::cummax_attention_backward(dy, o, a1, a2, options...);
    x.check(d0, want.o), x.check(d1, want.a1), x.check(d2, want.a2);
}

template <class T>
void check_maxstate(const sheet<T>& x) {
    const tensor<T> o = x.numbers(), a1 = x.numbers(), a2 = x.numbers(), dy = x.numbers();
    const auto lo = x.as(o), l1 = x.as(a1), l2 = x.as(a2), lg = x.as(dy);
    auto y = x.room(), d0 = x.room(), d1 = x.room(), d2 = x.room(), d3 = x.room();
    heed::maxstate_into(y.view, lo.view, l1.view, l2.view);
    x.check(y, heed::maxstate(o, a1, a2));
    heed::maxstate_backward_into(d0.view, d1.view, d2.view, lg.view, lo.view, l1.view, l2.view);
    const auto want = heed::maxstate_backward(dy, o, a1, a2);
    x.check(d0, want.o), x.check(d1, want.a1), x.check(d2, want.a2);

    const std::array<double, 3> k{0.5, -0.25, 0.75};
    std::array<double, 3> dk{};
    using S = support::sum_of<T>;
    tensor<S, 2> mix(x.s.heads, 5 * x.s.heads);
    for (long i = 0; i < mix.size(); ++i) mix.data()[i] = static_cast<S>(x.r.normal());
    const auto mixed = heed::head_mix(mix);
    heed::maxstate_super_into(y.view, lo.view, l1.view, l2.view, lg.view, k, mixed);
    x.check(y, heed::maxstate_super(o, a1, a2, dy, k, mixed));
    heed::maxstate_super_backward_into(d0.view, d1.view, d2.view, d3.view, dk, lg.view, lo.view, l1.view,
                                       l2.view, lg.view, k, mixed);
    const auto super = heed::maxstate_super_backward(dy, o, a1, a2, dy, k, mixed);
    x.check(d0, super.a), x.check(d1, super.b), x.check(d2, super.c), x.check(d3, super.d);
}

template <class T>
void check_all(const shape& s, support::random& r, bool special) {
    const heed_test::without_traps quiet(special);
    const sheet<T> x{s, r, special};
    INFO(support::describe(s) << ", elements of " << sizeof(T) << " bytes");
    check_scan(x), check_scan(x, heed::reverse);
    check_scan(x, heed::along::head), check_scan(x, heed::along::feature);
    check_scan(x, heed::along::feature, heed::reverse);
    check_attention(x), check_attention(x, heed::along::feature);
    check_maxstate(x);
}

}  // namespace

TEST_CASE("inputs and outputs in any layout, widths that are no multiple of a pack, every element type") {
    support::random r(51);
    for (int round = 0; round < 24; ++round) {
        const shape s{r.between(1, 2), r.between(1, 4), r.skewed(1, 90), r.skewed(1, 70)};
        const bool special = r.chance(0.5);
        if (round % 2 == 0) check_all<float>(s, r, special);
        if (round % 8 == 1) check_all<double>(s, r, special);
        if (round % 8 == 3) check_all<Eigen::half>(s, r, special);
        if (round % 8 == 5) check_all<Eigen::bfloat16>(s, r, special);
    }
}

TEST_CASE("no positions, no heads, no features, no batch, in any layout") {
    support::random r(52);
    for (const shape s : {shape{2, 3, 0, 5}, {2, 0, 4, 5}, {0, 3, 4, 5}, {2, 3, 4, 0}})
        for (int round = 0; round < 4; ++round) check_all<float>(s, r, false);
}

TEST_CASE("long rows, one behind the other: more than a step, few rows and many, in parts by threads") {
    const heed_test::without_traps quiet;
    support::random r(53);
    const heed::thread_pool pool(3);
    for (const long positions : {1L, 15L, 16L, 17L, 2047L, 2048L, 2049L, 6200L})
        for (const long rows : {1L, 3L, 4L, 9L}) {
            const bool special = r.chance(0.5);
            const heed_test::without_traps quiet(special);
            const shape s{1, 1, rows, positions}, across{1, 1, positions, rows};
            const auto x = support::cummax_tensor<float>(
                support::cummax_numbers<float, double>(r, s.size(), special), s, rows);
            tensor<float> turned(1, 1, positions, rows);
            for (long t = 0; t < positions; ++t)
                for (long f = 0; f < rows; ++f) turned(0, 0, t, f) = x(0, 0, f, t);
            const auto check = [&](const auto& got, const auto& want) {
                long wrong = 0;
                for (long t = 0; t < positions; ++t)
                    for (long f = 0; f < rows; ++f) {
                        const float a = got.values(0, 0, f, t), b = want.values(0, 0, t, f);
                        wrong += !(std::isnan(a) && std::isnan(b)) && !support::same_bits(&a, &b, 1);
                        wrong += got.indices(0, 0, f, t) != want.indices(0, 0, t, f);
                    }
                INFO(positions << " positions of " << rows << " rows");
                CHECK(wrong == 0);
            };
            check(heed::cummax_with_index(x, heed::along::feature), heed::cummax_with_index(turned));
            check(heed::cummax_with_index(x, heed::along::feature, heed::reverse),
                  heed::cummax_with_index(turned, heed::reverse));
            const auto one = heed::cummax(x, heed::along::feature);
            CHECK(support::same_tensors(one, heed::cummax(x, heed::along::feature, heed::on(pool))));
            CHECK(support::same_tensors(one, heed::cummax_with_index(x, heed::along::feature).values));
        }
}
