// SPDX-License-Identifier: MIT
// tests/layers/multi_head.cpp: multi-head attention of every shape against the reference, and its gradients
#include <heed/thread_pool.hpp>

#include "support/multi_head_problem.hpp"

namespace {

using heed::attention_config;
using support::elements, support::values;

// One of each kind, and combinations that a slip in the offsets of fused streams would show in.
std::vector<attention_config> shapes() {
    return {
        {.width = 12, .heads = 3},
        {.width = 12, .heads = 1, .in_bias = true},
        {.width = 12, .heads = 4, .kv_heads = 2, .out_bias = true},
        {.width = 10, .heads = 4, .kv_heads = 1, .head_dim = 3, .in_bias = true, .out_bias = true},
        {.width = 12, .heads = 3, .in_bias = true, .out_projection = false},
        {.width = 12, .heads = 6, .kv_heads = 3, .in_bias = true, .rotary_positions = 40},
        {.width = 8, .heads = 2, .head_dim = 6, .rotary_positions = 20, .rotary_base = 500},
        {.width = 12, .heads = 3, .memory_width = 7},
        {.width = 12, .heads = 4, .kv_heads = 2, .memory_width = 12, .in_bias = true, .out_bias = true},
        {.width = 10, .heads = 2, .head_dim = 4, .memory_width = 5, .in_bias = true, .rotary_positions = 30},
        {.width = 8, .heads = 2, .memory_width = 3, .out_projection = false},
    };
}

template <class T>
void against_reference(std::uint64_t seed) {
    support::random r(seed);
    for (const attention_config& c : shapes())
        for (int round = 0; round < 4; ++round) {
            const long batch = r.between(1, 3), n = r.between(1, 20), m = r.between(1, 20);
            const auto layer = support::random_multi_head<T>(c, r);
            const auto x = support::random_rows<T>(r, batch, n, c.width);
            const auto memory = support::random_rows<T>(r, batch, m, c.memory_width);
            const bool crosses = c.memory_width > 0;
            const auto y = crosses ? layer(x, memory) : layer(x);
            const auto want =
                reference::solve_layer(support::meant(layer, batch, n, m), values(x), values(memory));
            INFO("width " << c.width << ", heads " << c.heads << ", memory " << c.memory_width);
            CHECK(support::layer_error<T>(values(y), want) < support::layer_rounding);
        }
}

}  // namespace

TEST_CASE("self and cross attention of every shape are what the reference says") {
    against_reference<float>(1);
    against_reference<double>(2);
}

TEST_CASE("a matrix, a tensor of rank 4, a map and a view give the bits of a tensor of rank 3") {
    support::random r(3);
    const auto layer = support::random_multi_head<float>({.width = 12, .heads = 3}, r);
    const auto x = support::random_rows<float>(r, 6, 5, 12);
    const auto y = layer(x);
    support::tensor<float, 4> grid(2, 3, 5, 12);  // (batch, patch row, patch, width)
    std::copy(x.data(), x.data() + x.size(), grid.data());
    const support::tensor<float, 4> y_grid = layer(grid);
    CHECK(y_grid.dimension(1) == 3);
    CHECK(support::same_bits(y_grid.data(), y.data(), static_cast<std::size_t>(y.size())));

    using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    const matrix one = Eigen::Map<const matrix>(x.data() + 60, 5, 12);
    const matrix y_one = layer(one);
    CHECK(support::same_bits(y_one.data(), y.data() + 60, 60));
    const auto y_map = layer(Eigen::Map<const matrix>(x.data() + 60, 5, 12));
    CHECK(support::same_bits(y_map.data(), y.data() + 60, 60));

    support::tensor<float, 3> y_view(6, 5, 12);
    heed::multi_head_attention<float>::tape tape;
    const heed::view<const float> from(x.data(), {2, 3, 5, 12});
    layer.forward_into(heed::view<float>(y_view.data(), {2, 3, 5, 12}), from, tape);
    CHECK(support::same_bits(y_view.data(), y.data(), static_cast<std::size_t>(y.size())));
}

TEST_CASE("gradients of every shape are those of central differences") {
    support::random r(4);
    for (const attention_config& c : shapes()) {
        const auto layer = support::random_multi_head<double>(c, r);
        const auto x = support::random_rows<double>(r, 2, 5, c.width);
        const auto memory = support::random_rows<double>(r, 2, 4, c.memory_width);
        const auto errors = c.memory_width > 0 ? support::layer_gradient(layer, x, memory)
                                               : support::layer_gradient(layer, x, heed::causal);
        INFO("width " << c.width << ", heads " << c.heads << ": " << errors.text());
        CHECK(errors.worst() <= 1e-6);
    }
}

TEST_CASE("gradients in float are those in double") {
    support::random r(5);
    for (const attention_config& c : shapes()) {
        const auto layer = support::random_multi_head<float>(c, r);
        const auto wide = support::converted<heed::multi_head_attention<double>>(layer);
        const bool crosses = c.memory_width > 0;
        const auto x = support::random_rows<float>(r, 2, 9, c.width);
        const auto memory = support::random_rows<float>(r, 2, 7, c.memory_width);
        const auto dy = support::random_rows<float>(r, 2, 9, c.width);
        const auto run = [&](const auto& l, const auto& x_, const auto& m_, const auto& dy_) {
            typename std::remove_cvref_t<decltype(l)>::tape tape;
            auto g = heed::zeros_like(l.weights);
            auto dx = x_;
            auto dm = m_;
            if (crosses) {
                (void)l.forward(x_, m_, tape);
                l.backward_into(dx, dm, dy_, x_, m_, tape, g);
            } else {
                (void)l.forward(x_, tape);
                l.backward_into(dx, dy_, x_, tape, g);
            }
            std::vector<std::vector<double>> all{values(dx), values(dm)};
            heed::for_each_parameter([&](const std::string&, auto& t) { all.push_back(values(t)); }, g);
            return all;
        };
        using wide_rows = support::tensor<double, 3>;
        const auto got = run(layer, x, memory, dy);
        const auto want = run(wide, wide_rows(x.cast<double>()), wide_rows(memory.cast<double>()),
                              wide_rows(dy.cast<double>()));
        for (std::size_t i = 0; i < got.size(); ++i)
            CHECK(support::relative_error(got[i], want[i]) < 256 * 6e-8);
    }
}

TEST_CASE("the same bits on any number of threads, for any batch, and in any place of it") {
    support::random r(6);
    for (const attention_config& c : shapes()) {
        if (c.memory_width > 0) continue;
        const auto layer = support::random_multi_head<float>(c, r);
        const auto x = support::random_rows<float>(r, 5, 17, c.width);
        const auto dy = support::random_rows<float>(r, 5, 17, c.width);
        const auto run = [&](const auto& x_, const auto& dy_, auto& g, const auto&... options) {
            heed::multi_head_attention<float>::tape tape;
            auto y = layer.forward(x_, tape, heed::causal, options...);
            auto dx = layer.backward(dy_, x_, tape, g, heed::causal, options...);
            return std::pair(elements(y), elements(dx));
        };
        auto g = heed::zeros_like(layer.weights);
        const auto [y, dx] = run(x, dy, g);
        for (const int threads : {2, 3}) {
            const heed::thread_pool pool(threads);
            auto g_threads = heed::zeros_like(layer.weights);
            CHECK(run(x, dy, g_threads, heed::on(pool)) == std::pair(y, dx));
            bool same = true;
            heed::for_each_parameter(
                [&](const std::string&, const auto& a, const auto& b) {
                    same = same && support::same_bits(elements(a), elements(b));
                },
                g, g_threads);
            CHECK(same);
        }
        // What stands behind a position changes no bit of it.
        support::tensor<float, 3> other = x;
        for (long b = 0; b < 5; ++b)
            for (long f = 0; f < c.width; ++f) other(b, 16, f) = -x(b, 16, f);
        const auto y_other = layer(other, heed::causal);
        for (long b = 0; b < 5; ++b)
            CHECK(support::same_bits(y_other.data() + b * 17 * c.width, y.data() + b * 17 * c.width,
                                     static_cast<std::size_t>(16 * c.width)));
        // Entries 3 and 1 of the batch, alone and in that order.
        const long entry = 17 * c.width;
        support::tensor<float, 3> x2(2, 17, c.width), dy2(2, 17, c.width);
        for (const long b : {0, 1}) {
            const long from = b == 0 ? 3 : 1;
            std::copy_n(x.data() + from * entry, entry, x2.data() + b * entry);
            std::copy_n(dy.data() + from * entry, entry, dy2.data() + b * entry);
        }
        const auto [y2, dx2] = run(x2, dy2, g);
        for (const long b : {0, 1}) {
            const long from = b == 0 ? 3 : 1;
            const std::size_t n = static_cast<std::size_t>(entry);
            CHECK(support::same_bits(y2.data() + b * entry, y.data() + from * entry, n));
            CHECK(support::same_bits(dx2.data() + b * entry, dx.data() + from * entry, n));
        }
    }
}
