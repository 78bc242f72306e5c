// SPDX-License-Identifier: MIT
// tests/arguments/calls.cpp: what holds for every variant alike: heed::causal given twice, gradients of float
// that come into calls of half or bfloat16, outputs in the place of temporaries, and the name in an error
#include <heed/heed.hpp>

#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/random.hpp"
#include "support/tensors.hpp"

namespace {

using heed_test::contains;
using support::tensor;

template <class T>
tensor<T> sample(support::random& r, long b, long h, long s, long d) {
    return support::tensor4<T>(support::normals<T>(r, static_cast<std::size_t>(b * h * s * d)), b, h, s, d);
}
template <class T>
bool same(const tensor<T>& a, const tensor<T>& b) {
    return support::same_bits(support::values(a), support::values(b));
}
// The same numbers as float, and again with every second number of a row left away, as rows of a view.
template <class T>
tensor<float> as_float(const tensor<T>& x) {
    return support::tensor4<float>(support::values(x), x.dimension(0), x.dimension(1), x.dimension(2),
                                   x.dimension(3));
}

// call(dy) gives gradients; those of dy in T and of the same numbers in float are the same bits, where float
// rows stand side by side and where they do not.
template <class T, class Call>
void check_dy(const tensor<T>& dy, const Call& call) {
    const auto want = call(dy);
    const tensor<float> wide = as_float(dy);
    tensor<float> spread(dy.dimension(0), dy.dimension(1), dy.dimension(2), 2 * dy.dimension(3));
    spread.setConstant(std::numeric_limits<float>::quiet_NaN());
    for (long i = 0; i < wide.size(); ++i) spread.data()[2 * i] = wide.data()[i];
    const heed::view<const float> apart(spread.data(), heed::as_view(wide).extents,
                                        {heed::as_view(spread).strides[0], heed::as_view(spread).strides[1],
                                         heed::as_view(spread).strides[2], 2});
    for (const auto& got : {call(wide), call(apart)})
        for (std::size_t i = 0; i < want.size(); ++i) {
            CAPTURE(i);
            CHECK(same(got[i], want[i]));
        }
}
template <class T, class G>
std::vector<tensor<T>> three(const G& g) {
    return {g.q, g.k, g.v};
}
template <class T, class G>
std::vector<tensor<T>> of_cummax(const G& g) {
    return {g.o, g.a1, g.a2};
}

}  // namespace

TEMPLATE_TEST_CASE("a gradient that comes in may be float", "", Eigen::half, Eigen::bfloat16) {
    using T = TestType;
    support::random r(71);
    const auto q = sample<T>(r, 2, 4, 21, 8), k = sample<T>(r, 2, 2, 21, 8), v = sample<T>(r, 2, 2, 21, 8);
    const auto dy = sample<T>(r, 2, 4, 21, 8), o = sample<T>(r, 2, 4, 21, 8), a = sample<T>(r, 2, 4, 21, 8);
    check_dy(dy, [&](const auto& g) {
        return three<T>(heed::linear_attention_backward(g, q, k, v, heed::causal));
    });
    check_dy(dy, [&](const auto& g) { return three<T>(heed::linear_attention_backward(g, q, k, v)); });
    check_dy(dy, [&](const auto& g) {
        return three<T>(heed::psa_backward(g, q, k, v, heed::causal, heed::psa(0.5)));
    });
    const auto gates = sample<T>(r, 2, 4, 21, 3);
    check_dy(dy, [&](const auto& g) {
        return three<T>(
            heed::native_sparse_attention_backward(g, q, k, v, gates, heed::native_blocks{4, 2, 8, 3, 8}));
    });
    check_dy(dy, [&](const auto& g) { return of_cummax<T>(heed::cummax_attention_backward(g, o, a, q)); });
    check_dy(dy, [&](const auto& g) {
        return of_cummax<T>(heed::cummax_attention_backward(g, o, a, q, heed::hybrid(0.5)));
    });
    check_dy(dy, [&](const auto& g) { return of_cummax<T>(heed::maxstate_backward(g, o, a, q)); });
    check_dy(dy, [&](const auto& g) {
        const auto d = heed::maxstate_super_backward(g, o, a, q, dy, {0.5, 0.25, 2});
        return std::vector<tensor<T>>{d.a, d.b, d.c, d.d};
    });
    for (const auto axis : {heed::along::position, heed::along::head, heed::along::feature})
        check_dy(dy,
                 [&](const auto& g) { return std::vector<tensor<T>>{heed::cummax_backward(g, o, axis)}; });
    check_dy(dy,
             [&](const auto& g) { return std::vector<tensor<T>>{heed::polynomial_softmax_backward(g, o)}; });
}

TEST_CASE("heed::causal may be given as often as wanted") {
    support::random r(72);
    const auto q = sample<float>(r, 1, 2, 9, 8), gates = sample<float>(r, 1, 2, 9, 3);
    CHECK(same(heed::attention(q, q, q, heed::causal, heed::causal), heed::attention(q, q, q, heed::causal)));
    CHECK(same(heed::linear_attention(q, q, q, heed::causal, heed::causal),
               heed::linear_attention(q, q, q, heed::causal)));
    CHECK(same(heed::linear_attention(q, q, q, heed::retention, heed::causal),
               heed::linear_attention(q, q, q, heed::retention)));
    CHECK(same(heed::linear_attention_backward(q, q, q, q, heed::causal, heed::causal).k,
               heed::linear_attention_backward(q, q, q, q, heed::causal).k));
    CHECK(same(heed::native_sparse_attention(q, q, q, gates, heed::causal, heed::causal),
               heed::native_sparse_attention(q, q, q, gates)));
    CHECK(same(heed::native_sparse_attention_backward(q, q, q, q, gates, heed::causal).gates,
               heed::native_sparse_attention_backward(q, q, q, q, gates).gates));
    // A window is of the same type, and another mask.
    CHECK_THROWS_WITH(heed::linear_attention(q, q, q, heed::causal, heed::window(3, 0)),
                      contains("heed::linear_attention: got window(3, 0); this attention takes no mask but"));
    CHECK_THROWS_WITH(
        heed::native_sparse_attention(q, q, q, gates, heed::window(3, 0)),
        contains("heed::native_sparse_attention: got window(3, 0); this attention takes no mask but"));
}

TEST_CASE("an error has the name that the caller wrote") {
    tensor<float> q(1, 2, 3, 4), less(1, 2, 3, 3), y(1, 2, 3, 4), gates(1, 2, 3, 3);
    q.setZero(), less.setZero(), gates.setZero();
    const auto says = [](const auto& call, const std::string& text) { CHECK_THROWS_WITH(call(), text); };
    const std::string differ = ": k has 3 features, q has 4", other = ": a1 has 3 features, o has 4";
    says([&] { (void)heed::attention(q, less, q); }, "heed::attention" + differ);
    says([&] { heed::attention_into(y, q, less, q); }, "heed::attention_into" + differ);
    says([&] { (void)heed::linear_attention(q, less, q); }, "heed::linear_attention" + differ);
    says([&] { heed::linear_attention_into(y, q, less, q); }, "heed::linear_attention_into" + differ);
    says([&] { (void)heed::linear_attention_backward(q, q, less, q); },
         "heed::linear_attention_backward" + differ);
    says([&] { (void)heed::native_sparse_attention(q, less, q, gates); },
         "heed::native_sparse_attention" + differ);
    says([&] { (void)heed::psa_backward(q, q, less, q, heed::psa(0.5)); }, "heed::psa_backward" + differ);
    says([&] { (void)heed::cummax_attention(q, less, q); }, "heed::cummax_attention" + other);
    says([&] { heed::maxstate_into(y, q, less, q); }, "heed::maxstate_into" + other);
    says([&] { (void)heed::maxstate_backward(q, q, less, q); }, "heed::maxstate_backward" + other);
    heed::cummax_state<float> state(1, 2, 4);
    says([&] { (void)state.attend(q, less, q); }, "heed::cummax_state::attend" + other);
    says([&] { (void)heed::cummax_backward(less, q); }, "heed::cummax_backward: dy has 3 features, x has 4");
    says([&] { heed::attention_into(less, q, q, q); }, "heed::attention_into: y has 3 features, q has 4");
    tensor<float> v(1, 2, 3, 5);
    v.setZero();
    says([&] { heed::attention_into(y, q, q, v); }, "heed::attention_into: y has 4 features, v has 5");
}
