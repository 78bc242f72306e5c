// SPDX-License-Identifier: MIT
// tests/layers/sam_out_layer.cpp: the SamOut layer against its formula, differences, and its contract
#include <heed/layers/heads/blend.hpp>
#include <heed/layers/sam_out_layer.hpp>

#include "support/heads_check.hpp"
#include "support/maxstate_reference.hpp"

namespace {

using heads_reference::shape;
using heed_test::contains;
using reference::numbers;
using support::values;
using layer_type = heed::sam_out_layer<double>;
using table_type = support::tensor<double, 2>;

struct sizes {
    long batch, positions;
};

template <class T, class Heads = heed::maxstate_heads>
auto random_layer(const heed::sam_out_config& c, support::random& r) {
    heed::sam_out_layer<T, Heads> layer(c, 5);
    support::randomise(layer.weights, r, 0.4);
    return layer;
}
table_type random_table(support::random& r, long rows, long width) {
    table_type table(rows, width);
    support::fill_normal(table, r);
    return table;
}

reference::linear_layer linear_of(const heed::projection_parameters<double>& p) {
    return {values(p.weight), values(p.bias), static_cast<std::size_t>(p.weight.dimension(0)),
            static_cast<std::size_t>(p.weight.dimension(1))};
}
double at(const numbers& x, long i) { return x[static_cast<std::size_t>(i)]; }

// y = LN(alpha F(A(z)) + (1 - alpha) z), with positions z = [p; x] W and z added to y.
numbers solve(const layer_type& layer, const sizes& s, const numbers& x, const table_type* table) {
    const auto& w = layer.weights;
    const long width = layer.config().width, heads = layer.config().heads;
    numbers z = x;
    if (table != nullptr) {
        const long rows = static_cast<long>(table->dimension(0));
        numbers joined;
        for (long i = 0; i < s.batch * s.positions; ++i) {
            const long t = i % s.positions;
            for (long f = 0; f < width; ++f)
                joined.push_back((*table)(t % rows, f) + (t >= rows ? (*table)(t / rows, f) : 0));
            for (long f = 0; f < width; ++f) joined.push_back(at(x, i * width + f));
        }
        z = linear_of(w.join)(joined);
    }
    const shape h{s.batch, heads, s.positions, width / heads};
    const numbers attended =
        heads_reference::solve(z, h, {width, values(w.attention.in.weight), {}, {}, {}}, 3,
                               [](const shape& sh, const std::vector<numbers>& u) {
                                   return maxstate_reference::maxstate(sh, u[0], u[1], u[2], {});
                               });
    const numbers fed =
        reference::gated_feed_forward(attended, linear_of(w.feed_forward.up), linear_of(w.feed_forward.gate),
                                      linear_of(w.feed_forward.down));
    numbers mixed = z;
    for (std::size_t i = 0; i < mixed.size(); ++i) mixed[i] = w.alpha(0) * fed[i] + (1 - w.alpha(0)) * z[i];
    numbers y =
        reference::layer_norm(mixed, values(w.norm.weight), values(w.norm.bias), layer.config().epsilon);
    for (std::size_t i = 0; i < y.size() && table != nullptr; ++i) y[i] += z[i];
    return y;
}

std::vector<heed::sam_out_config> configs(bool positions) {
    return {{.width = 12, .heads = 3, .positions = positions},
            {.width = 7, .heads = 1, .hidden = 5, .positions = positions, .bias = false, .epsilon = 1e-3}};
}

}  // namespace

TEST_CASE("the SamOut layer computes what its formula says, in double and in float") {
    support::random r(21);
    for (const auto& c : configs(false))
        for (const sizes s : {sizes{2, 1}, sizes{2, 9}, sizes{1, 70}, sizes{3, 300}}) {
            const layer_type layer = random_layer<double>(c, r);
            const auto x = support::random_rows<double>(r, s.batch, s.positions, c.width);
            const numbers want = solve(layer, s, values(x), nullptr);
            INFO("width " << c.width << ", " << s.positions << " positions");
            CHECK(support::relative_error(values(layer(x, heed::causal)), want) <= 1e-12);
            const auto narrow = support::converted<heed::sam_out_layer<float>>(layer);
            const support::tensor<float, 3> near = x.cast<float>();
            CHECK(support::relative_error(values(narrow(near)), want) <= 1e-4);
        }
}

TEST_CASE("with positions it joins a table's rows, two of them from the table's length on") {
    support::random r(22);
    for (const auto& c : configs(true))
        for (const long rows : {3L, 9L, 40L}) {
            const sizes s{2, 9};
            const layer_type layer = random_layer<double>(c, r);
            const auto x = support::random_rows<double>(r, s.batch, s.positions, c.width);
            const table_type table = random_table(r, rows, c.width);
            INFO("width " << c.width << ", table of " << rows);
            const auto y = layer(x, table, heed::causal);
            CHECK(support::relative_error(values(y), solve(layer, s, values(x), &table)) <= 1e-12);
            const auto narrow = support::converted<heed::sam_out_layer<float>>(layer);
            const support::tensor<float, 3> near = x.cast<float>();
            const support::tensor<float, 2> near_table = table.cast<float>();
            CHECK(support::relative_error(values(narrow(near, near_table)), values(y)) <= 1e-4);
        }
}

TEST_CASE("gradients of the SamOut layer are those of differences") {
    support::random r(23);
    for (const auto& c : configs(false)) {
        const auto x = support::random_rows<double>(r, 2, 6, c.width);
        support::check_gradients_of(random_layer<double>(c, r), x);
        support::check_gradients_of(random_layer<double, heed::maxstate_super_mixed_heads>(c, r), x,
                                    heed::causal);
        support::check_gradients_of(
            random_layer<double, heed::blend_heads<heed::exact_heads, heed::cummax_heads>>(c, r), x,
            heed::causal);
    }
}

TEST_CASE("gradients with positions, of the table too, are those of differences") {
    support::random r(24);
    for (const auto& c : configs(true)) {
        layer_type layer = random_layer<double>(c, r);
        auto x = support::random_rows<double>(r, 2, 7, c.width);
        const auto dy = support::random_rows<double>(r, 2, 7, c.width);
        table_type table = random_table(r, 3, c.width), d_table = table;
        d_table.setConstant(support::gradient_start);
        auto gradients = heed::zeros_like(layer.weights);
        heed::for_each_parameter([](const std::string&, auto& g) { g.setConstant(support::gradient_start); },
                                 gradients);
        layer_type::tape tape;
        (void)layer.forward(x, table, tape);
        const auto dx = layer.backward(dy, x, table, tape, gradients, d_table);
        const auto loss = [&] { return support::inner_product(layer(x, table), dy); };
        support::gradient_errors errors;
        support::check_input(errors, "x", x, dx, loss);
        const table_type added = d_table - d_table.constant(support::gradient_start);
        support::check_input(errors, "positions", table, added, loss);
        support::check_parameters(errors, layer.weights, gradients, support::gradient_start, loss);
        INFO(errors.text());
        CHECK(errors.worst() <= 1e-6);
    }
}

TEST_CASE("gradients in float are those in double") {
    support::random r(25);
    const heed::sam_out_config c{.width = 24, .heads = 3};
    const layer_type layer = random_layer<double>(c, r);
    const auto x = support::random_rows<double>(r, 2, 40, c.width);
    const auto dy = support::random_rows<double>(r, 2, 40, c.width);
    const auto run = [&](const auto& one, const auto& from, const auto& up) {
        typename std::remove_cvref_t<decltype(one)>::tape tape;
        auto g = heed::zeros_like(one.weights);
        (void)one.forward(from, tape);
        std::vector<numbers> all{values(one.backward(up, from, tape, g))};
        heed::for_each_parameter([&](const std::string&, const auto& t) { all.push_back(values(t)); }, g);
        return all;
    };
    const support::tensor<float, 3> near = x.cast<float>(), near_dy = dy.cast<float>();
    const auto want = run(layer, x, dy);
    const auto got = run(support::converted<heed::sam_out_layer<float>>(layer), near, near_dy);
    for (std::size_t i = 0; i < want.size(); ++i) CHECK(support::relative_error(got[i], want[i]) <= 1e-4);
}

TEST_CASE("the SamOut layer's streams, threads and training steps") {
    support::random r(26);
    const heed::sam_out_config c{.width = 40, .heads = 4};
    const auto x = support::random_rows<float>(r, 2, 330, c.width);
    const auto layer = random_layer<float>(c, r);
    support::check_stream(0, layer, x, heed::causal);
    support::check_training(layer, x, heed::causal);
}

TEST_CASE("with positions: streams, threads and training steps") {
    support::random r(27);
    const auto layer = random_layer<float>({.width = 24, .heads = 2, .positions = true}, r);
    const auto x = support::random_rows<float>(r, 2, 90, 24), dy = support::random_rows<float>(r, 2, 90, 24);
    const support::tensor<float, 2> table = random_table(r, 16, 24).cast<float>();
    using rows = support::tensor<float, 3>;
    using layer_f = heed::sam_out_layer<float>;
    struct outcome {
        rows y, dx;
        support::tensor<float, 2> d_table;
        layer_f::parameters gradients;
    };
    const auto run = [&](const auto&... options) {
        outcome o{{}, {}, table, heed::zeros_like(layer.weights)};
        o.d_table.setZero();
        layer_f::tape tape;
        o.y = layer.forward(x, table, tape, options...);
        o.dx = layer.backward(dy, x, table, tape, o.gradients, o.d_table, options...);
        return o;
    };
    const outcome one = run();
    for (const int threads : {2, 3}) {
        const heed::thread_pool pool(threads);
        const outcome many = run(heed::on(pool));
        CHECK(support::same_rows(one.y, many.y));
        CHECK(support::same_rows(one.dx, many.dx));
        CHECK(support::same_bits(support::elements(one.d_table), support::elements(many.d_table)));
        CHECK(support::same_parameters(one.gradients, many.gradients));
    }

    rows parts = one.y;
    parts.setZero();
    layer_f::stream stream;
    long first = 0;
    for (const long n : {1L, 15L, 1L, 40L, 33L}) {
        const Eigen::array<long, 3> from{0, first, 0}, count{2, n, 24};
        const rows part = x.slice(from, count);
        parts.slice(from, count) = layer.extend(part, table, stream);
        first += n;
    }
    CHECK(first == 90);
    CHECK(support::same_rows(parts, one.y));

    heed::workspace memory;
    outcome o = one;
    layer_f::tape tape;
    const auto step = [&] {
        layer.forward_into(o.y, x, table, tape, heed::use(memory));
        layer.backward_into(o.dx, o.d_table, dy, x, table, tape, o.gradients, heed::use(memory));
    };
    step();
    const support::allocation_watch watch;
    step();
    CHECK(watch.count() == 0);
}

TEST_CASE("a new SamOut layer: alpha is a half, hidden twice the width, no output projection") {
    const heed::sam_out_layer<float> layer({.width = 16, .heads = 4, .positions = true});
    CHECK(layer.weights.alpha(0) == 0.5f);
    CHECK(layer.config().hidden == 32);
    CHECK(layer.weights.join.weight.dimension(0) == 32);
    CHECK(layer.weights.attention.out.weight.size() == 0);
    CHECK(heed::parameter_count(layer.weights) ==
          32 * 16 + 16 * 48 + 2 * (16 * 32 + 32) + 32 * 16 + 16 + 2 * 16 + 1);
}

TEST_CASE("what a caller of a SamOut layer can get wrong") {
    support::random r(28);
    CHECK_THROWS_WITH(layer_type(heed::sam_out_config{}),
                      contains("sam_out_layer: width is 0, needs at least 1"));
    CHECK_THROWS_WITH(layer_type({.width = 8, .heads = 3}), contains("does not divide into 3 heads"));
    CHECK_THROWS_WITH(layer_type({.width = 8, .hidden = -1}), contains("hidden is -1, needs at least 1"));
    CHECK_THROWS_WITH(layer_type({.width = 8, .epsilon = -1}), contains("epsilon is -1"));
    const layer_type plain({.width = 8, .heads = 2}), placed({.width = 8, .heads = 2, .positions = true});
    const auto x = support::random_rows<double>(r, 2, 5, 8);
    const table_type table = random_table(r, 2, 8), long_table = random_table(r, 4, 8);
    layer_type::tape tape;
    layer_type::stream stream;
    auto y = x;
    y.setConstant(-1);
    const auto before = y;
    CHECK_THROWS_WITH(plain(x, table), contains("this layer joins no positions; give .positions = true"));
    CHECK_THROWS_WITH(placed(x), contains("this layer joins positions; needs their table behind x"));
    CHECK_THROWS_WITH(placed.forward_into(y, x, table, tape),
                      contains("reaches position 5, a table of 2 rows serves 4"));
    CHECK_THROWS_WITH(placed.forward_into(y, x, random_table(r, 4, 7), tape),
                      contains("positions has a width of 7, needs 8"));
    CHECK_THROWS_WITH(placed.forward_into(y, x, support::random_rows<double>(r, 2, 4, 8), tape),
                      contains("positions has 2 batch entries, needs 1"));
    CHECK_THROWS_WITH(plain.forward_into(y, support::random_rows<double>(r, 2, 5, 7), tape),
                      contains("x has a width of 7, needs 8"));
    CHECK_THROWS_WITH(plain.forward_into(y, support::random_rows<double>(r, 2, 4, 8), tape),
                      contains("y has 5 positions, x has 4"));
    CHECK_THROWS_WITH(plain.forward_into(y, x, tape, heed::window(2, 0)),
                      contains("this attention takes no mask but heed::causal"));
    CHECK(support::same_rows(y, before));

    auto g = heed::zeros_like(plain.weights), g_placed = heed::zeros_like(placed.weights);
    CHECK_THROWS_WITH(plain.backward_into(y, x, x, tape, g),
                      contains("tape is empty: its forward was refused"));
    (void)plain.forward(x, tape);
    CHECK_THROWS_WITH(plain.backward_into(y, x, x, tape, g_placed), contains("gradients.join"));
    CHECK_THROWS_WITH(plain.backward_into(y, y, x, tape, g), contains("dx overlaps dy"));
    auto d_table = table;
    (void)placed.forward(x, long_table, tape);
    CHECK_THROWS_WITH(placed.backward_into(y, d_table, x, x, long_table, tape, g_placed),
                      contains("d_positions has 2 positions, positions has 4"));
    CHECK(support::same_rows(y, before));
    (void)plain.extend(x, stream);
    CHECK_THROWS_WITH(plain.extend(support::random_rows<double>(r, 1, 1, 8), stream),
                      contains("x has 1 batch entries, the stream runs with 2"));
}
