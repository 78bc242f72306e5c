// SPDX-License-Identifier: MIT
// tests/layers/parameters.cpp: the names and numbers of parameters, visited together
#include <heed/layers.hpp>

#include "support/allocation.hpp"
#include "support/catch.hpp"

namespace {

// A user's own model, with a vector of layers.
struct model {
    Eigen::Tensor<float, 2, Eigen::RowMajor> embedding{5, 4};
    std::vector<heed::encoder_layer<float>::parameters> layers;
    heed::projection<float>::parameters out;

    template <class F, class... P>
    static void each(F&& f, P&... p) {
        heed::visit("embedding", f, p.embedding...);
        heed::visit("layers", f, p.layers...);
        heed::visit("out", f, p.out...);
    }
};

model make() {
    model m;
    m.embedding.setConstant(1);
    for (const std::uint64_t seed : {1, 2})
        m.layers.push_back(
            heed::encoder_layer<float>({.attention = {.width = 4, .in_bias = true}}, seed).weights);
    m.out = heed::projection<float>({.inputs = 4, .outputs = 5}).weights;
    return m;
}

}  // namespace

TEST_CASE("every tensor has the name of the way to it") {
    const model m = make();
    std::vector<std::string> names;
    heed::index count = 0;
    heed::for_each_parameter(
        [&](const std::string& name, const auto& t) {
            names.push_back(name);
            count += t.size();
        },
        m);
    CHECK(names.size() == 1 + 2 * 16 + 2);
    CHECK(names[0] == "embedding");
    CHECK(names[1] == "layers.0.attention.in.weight");
    CHECK(names[2] == "layers.0.attention.in.bias");
    CHECK(names[17] == "layers.1.attention.in.weight");
    CHECK(names[16] == "layers.0.norm2.bias");
    CHECK(names.back() == "out.bias");
    CHECK(count == heed::parameter_count(m));
    CHECK(heed::parameter_count(m.layers[0]) == 4 * 12 + 12 + 16 + 2 * 4 * 16 + 16 + 4 + 4 * 4);
}

TEST_CASE("a step visits parameters, gradients and moments together") {
    model m = make();
    model g = heed::zeros_like(m), moments = heed::zeros_like(m);
    heed::for_each_parameter([](const std::string&, auto& t) { t.setConstant(2); }, g);
    heed::for_each_parameter(
        [](const std::string& name, auto& w, const auto& d, auto& v) {
            v = 0.5f * d;
            if (name == "embedding") w -= v;
        },
        m, g, moments);
    CHECK(m.embedding(3, 2) == 0);
    CHECK(moments.layers[1].norm1.weight(3) == 1);
    heed::set_zero(g);
    CHECK(g.out.bias(0) == 0);
}

TEST_CASE("checks of gradients allocate nothing, and name the one that does not fit") {
    const model m = make();
    model g = heed::zeros_like(m);
    long count = 0;
    {
        const support::allocation_watch watch;
        heed::detail::check_gradients<float>("learn", m, g, {}, {});
        count = watch.count();
    }
    CHECK(count == 0);
#if defined(__cpp_exceptions)
    g.layers[1].feed_forward.down.bias.resize(3);
    CHECK_THROWS_WITH(
        heed::detail::check_gradients<float>("learn", m, g, {}, {}),
        "heed::learn: gradients.layers.1.feed_forward.down.bias has 3 entries along axis 0, the "
        "parameter has 4; heed::zeros_like(weights) makes a struct that fits");
#endif
}
