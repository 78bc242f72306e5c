// SPDX-License-Identifier: MIT
// Which attention a length and a budget ask for, and a layer with it, made when the program runs.
#include <heed/recommend.hpp>

#include <cstdio>

int main() {
    // Exact attention, whatever it costs: nothing else computes the same.
    heed::attention_shape shape{.length = 20000, .head_dim = 64, .heads = 8, .causal = true};
    std::printf("%s\n\n", heed::recommend(shape).reason.c_str());

    // 20 microseconds a position for all heads, and a model that may be trained with another attention.
    shape.budget = 20e-6;
    shape.retrain = true;
    const heed::recommendation r = heed::recommend(shape);
    std::printf("%s\n\n", r.reason.c_str());

    const auto layer =
        heed::make_attention<float>({.sizes = {.width = 512, .heads = 8}, .use = r.use, .causal = true});
    Eigen::Tensor<float, 3, Eigen::RowMajor> x(1, 100, 512);
    x.setConstant(0.1f);
    const auto y = layer(x);
    std::printf("a layer of %s, %ld parameters: y[0, 99, 0] = %.4f\n", name_of(r.use).data(),
                static_cast<long>(heed::parameter_count(layer.weights)), static_cast<double>(y(0, 99, 0)));
    return r.use == heed::variant::gated_delta ? 0 : 1;
}
