// SPDX-License-Identifier: MIT
// tests/layers/error_names.cpp: an error of the attention inside a layer names the layer's method that was
// called
#include <cmath>
#include <string>

#include <heed/layers.hpp>

#include "support/catch.hpp"

namespace {

using rows = Eigen::Tensor<float, 3, Eigen::RowMajor>;
using heed_test::contains;

template <class Call>
void check_name(const Call& call, const std::string& method, const std::string& words) {
    INFO(method);
    CHECK_THROWS_WITH(call(), contains("heed::multi_head_attention" + method + ": ") && contains(words));
}

// Options that no call of these heads can have, forward and in a stream.
template <class Heads, class Wrong, class... Others>
void check_names(const std::string& words, const Wrong& wrong, const Others&... others) {
    const heed::multi_head_attention<float, Heads> layer({.width = 8, .heads = 2});
    typename decltype(heed::multi_head_attention<float, Heads>(layer))::tape tape;
    typename decltype(heed::multi_head_attention<float, Heads>(layer))::stream stream;
    rows x(1, 4, 8);
    x.setRandom();
    rows y = x;
    check_name([&] { layer(x, wrong, others...); }, "", words);
    check_name([&] { layer.forward(x, tape, wrong, others...); }, "::forward", words);
    check_name([&] { layer.forward_into(y, x, tape, wrong, others...); }, "::forward_into", words);
    check_name([&] { layer.extend(x, stream, wrong, others...); }, "::extend", words);
}
template <class Heads, class... Others>
void check_window(const Others&... others) {
    check_names<Heads>("got window(2, 0); this attention takes no mask but heed::causal", heed::window(2, 0),
                       others...);
}

}  // namespace

TEST_CASE("a mask that the attention of a layer does not take") {
    check_window<heed::linear_heads>();
    check_window<heed::linear_heads>(heed::causal);
    check_window<heed::linear_heads>(heed::retention);
    check_window<heed::gated_delta_heads>();
    check_window<heed::native_heads>();
    check_window<heed::cummax_heads>();
    check_window<heed::maxstate_heads>();
    check_window<heed::maxstate_super_heads>();
    check_window<heed::maxstate_super_mixed_heads>();
}

TEST_CASE("a number that the attention of a layer does not take") {
    const auto infinite = heed::scale(HUGE_VAL);
    check_names<heed::exact_heads>("needs a finite number", infinite);
    check_names<heed::psa_heads>("needs a finite number", infinite, heed::psa(0.5));
    check_names<heed::native_heads>("needs a finite number", infinite);
    check_names<heed::linear_heads>("needs a finite number", infinite, heed::causal);
    check_names<heed::gated_delta_heads>("needs a finite number", infinite);
    check_names<heed::cummax_heads>("needs a finite number", heed::hybrid(HUGE_VAL));
}

TEST_CASE("a backward of linear heads is refused by name") {
    const heed::multi_head_attention<float, heed::linear_heads> layer({.width = 8, .heads = 2});
    decltype(heed::multi_head_attention<float, heed::linear_heads>(layer))::tape tape;
    auto gradients = heed::zeros_like(layer.weights);
    rows x(1, 4, 8);
    x.setRandom();
    layer.forward(x, tape, heed::causal);
    check_name([&] { layer.backward(x, x, tape, gradients, heed::window(2, 0)); }, "::backward",
               "got window(2, 0)");
}
