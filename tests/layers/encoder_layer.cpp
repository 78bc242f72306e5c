// SPDX-License-Identifier: MIT
// tests/layers/encoder_layer.cpp: encoder layers against their formula, their gradients, streams and bits
#include <heed/thread_pool.hpp>

#include "support/allocation.hpp"
#include "support/block_reference.hpp"

namespace {

using heed::norm_place, heed::activation;
using support::elements, support::positions_of, support::values;

std::vector<heed::encoder_config> configs() {
    return {
        {.attention = {.width = 12, .heads = 3}},
        {.attention = {.width = 12, .heads = 3, .in_bias = true, .out_bias = true},
         .feed_forward = {.hidden = 10, .activation = activation::gated_relu},
         .norm = norm_place::before},
        {.attention = {.width = 8, .heads = 4, .kv_heads = 2, .in_bias = true, .rotary_positions = 40},
         .feed_forward = {.width = 8, .bias = false},
         .norm = norm_place::before},
        {.attention = {.width = 6, .heads = 1, .out_projection = false},
         .feed_forward = {.hidden = 5, .activation = activation::relu}},
    };
}
template <class T>
heed::encoder_layer<T> make(const heed::encoder_config& c, support::random& r) {
    return support::with_random_weights(heed::encoder_layer<T>(c), r);
}

}  // namespace

TEST_CASE("an encoder layer is what its formula says") {
    support::random r(61);
    const auto each = [&](auto t) {
        using T = decltype(t);
        for (const auto& c : configs()) {
            const auto layer = make<T>(c, r);
            const auto x = support::random_rows<T>(r, 2, 11, c.attention.width);
            const auto want = support::solve_encoder(layer, {2, 11, 0}, values(x), [](reference::problem& p) {
                p.visible = [](reference::place i) { return i.key <= i.query && i.key >= i.query - 4; };
            });
            const auto y = layer(x, heed::causal, heed::window(4, 0));
            CHECK(support::layer_error<T>(values(y), want) < support::layer_rounding);
        }
    };
    each(float{});
    each(double{});
}

TEST_CASE("gradients of encoder layers are those of central differences") {
    support::random r(62);
    heed::workspace memory;
    for (const auto& c : configs()) {
        const auto layer = make<double>(c, r);
        const auto x = support::random_rows<double>(r, 2, 4, c.attention.width);
        const auto check = [&](const auto&... options) {
            const auto errors = support::layer_gradient(layer, x, options...);
            INFO(errors.text());
            CHECK(errors.worst() <= 1e-6);
        };
        check(heed::causal, heed::use(memory));
        check(heed::dropout(0.3, 5), heed::softcap(3));
    }
}

TEST_CASE("a stream gives what one forward gives") {
    support::random r(63);
    for (const auto& c : configs()) {
        const auto layer = make<double>(c, r);
        const auto x = support::random_rows<double>(r, 2, 12, c.attention.width);
        const auto whole = layer(x, heed::causal);
        heed::encoder_layer<double>::stream stream;
        for (long at = 0; at < 12;) {
            const long count = at == 2 ? 5 : 1;
            const auto y = layer.extend(positions_of(x, at, count), stream, heed::causal);
            CHECK(support::layer_error<double>(values(y), values(positions_of(whole, at, count))) <
                  support::layer_rounding);
            at += count;
        }
    }
}

TEST_CASE("the same bits on any number of threads and in any batch; a second step allocates nothing") {
    support::random r(64);
    for (const auto& c : configs()) {
        const auto layer = make<float>(c, r);
        const long width = c.attention.width;
        const auto x = support::random_rows<float>(r, 3, 40, width);
        const auto dy = support::random_rows<float>(r, 3, 40, width);
        support::tensor<float, 3> y(3, 40, width), dx(3, 40, width);
        heed::encoder_layer<float>::tape tape;
        heed::workspace memory;
        auto g = heed::zeros_like(layer.weights);
        const auto step = [&](const auto&... options) {
            layer.forward_into(y, x, tape, heed::causal, heed::dropout(0.1, 9), heed::use(memory),
                               options...);
            layer.backward_into(dx, dy, x, tape, g, heed::causal, heed::dropout(0.1, 9), heed::use(memory),
                                options...);
        };
        step();
        const auto y1 = elements(y), dx1 = elements(dx);
        const auto g1 = g;
        const heed::thread_pool pool(3);
        heed::set_zero(g);
        step(heed::on(pool));
        CHECK(support::same_bits(elements(y), y1));
        CHECK(support::same_bits(elements(dx), dx1));
        bool same = true;
        heed::for_each_parameter(
            [&](const std::string&, const auto& a, const auto& b) {
                same = same && support::same_bits(elements(a), elements(b));
            },
            g, g1);
        CHECK(same);
        long count = 0;
        {
            const support::allocation_watch watch;
            step();
            step(heed::on(pool));
            count = watch.count();
        }
        CHECK(count == 0);
        // The first entry alone.
        support::tensor<float, 3> lone =
            x.slice(Eigen::array<long, 3>{0, 0, 0}, Eigen::array<long, 3>{1, 40, width});
        const auto y_lone = layer(lone, heed::causal, heed::dropout(0.1, 9));
        CHECK(support::same_bits(y_lone.data(), y1.data(), static_cast<std::size_t>(40 * width)));
    }
}

// One position: its only weight is dropped or doubled, and so is every number of a branch.
TEST_CASE("dropout drops weights, and numbers of both branches, each by itself") {
    support::random r(65);
    const double p = 0.5;
    const heed::encoder_config c{.attention = {.width = 32, .heads = 1}, .norm = norm_place::before};
    auto layer = make<double>(c, r);
    const auto x = support::random_rows<double>(r, 200, 1, 32);
    // Shares of rows that are all 0, of numbers that are 0 in the others, and the factor on those that stay.
    struct shares {
        double rows, numbers;
        std::vector<bool> kept;
    };
    const auto look = [&](const auto& l, double factor, const auto&... drop) {
        const auto plain = l(x), y = l(x, drop...);
        double empty = 0, zeros = 0, wrong = 0;
        std::vector<bool> kept;
        for (long row = 0; row < 200; ++row) {
            long none = 0;
            for (long f = 0; f < 32; ++f) {
                const double d = y(row, 0, f) - x(row, 0, f), whole = plain(row, 0, f) - x(row, 0, f);
                kept.push_back(d != 0);
                none += d == 0;
                wrong += d != 0 && std::fabs(d - factor * whole) > 1e-12;
            }
            empty += none == 32;
            zeros += none == 32 ? 0 : static_cast<double>(none);
        }
        CHECK(wrong == 0);
        return shares{empty / 200, zeros / (32 * (200 - empty)), kept};
    };
    auto only_attention = layer;
    only_attention.weights.feed_forward.down.weight.setZero();
    only_attention.weights.feed_forward.down.bias.setZero();
    const auto a = look(only_attention, 4, heed::dropout(p, 7));
    CHECK(std::fabs(a.rows - p) < 0.15);
    CHECK(std::fabs(a.numbers - p) < 0.05);

    auto only_feed_forward = layer;
    only_feed_forward.weights.attention.out.weight.setZero();
    const auto f = look(only_feed_forward, 2, heed::dropout(p, 7));
    CHECK(f.rows == 0);
    CHECK(std::fabs(f.numbers - p) < 0.05);
    const auto other = look(only_feed_forward, 2, heed::dropout(p, 8));
    long alike = 0, same_seed = 0;
    for (std::size_t i = 0; i < f.kept.size(); ++i) {
        alike += f.kept[i] == other.kept[i];
        same_seed += f.kept[i] == a.kept[i];
    }
    CHECK(std::labs(alike - 3200) < 300);
    CHECK(std::labs(same_seed - 3200) < 900);  // rows whose weight was dropped keep nothing
    // A weight stands where a branch's first number does: one site for both would keep both or neither.
    long weight_alike = 0;
    for (std::size_t row = 0; row < 200; ++row) {
        bool weight = false;
        for (std::size_t at = row * 32; at < (row + 1) * 32; ++at) weight = weight || a.kept[at];
        weight_alike += weight == f.kept[row * 32];
    }
    CHECK(std::labs(weight_alike - 100) < 40);

    // Heads that do not take the option: the branches alone.
    struct steady_heads : heed::exact_heads {
        static constexpr bool takes(heed::option_kind kind) {
            return heed::exact_heads::takes(kind) && kind != heed::option_kind::dropout;
        }
    };
    heed::encoder_layer<double, steady_heads> steady(c);
    std::vector<const double*> from;
    heed::for_each_parameter([&](const std::string&, auto& t) { from.push_back(t.data()); },
                             only_attention.weights);
    std::size_t next = 0;
    heed::for_each_parameter(
        [&](const std::string&, auto& t) { std::copy_n(from[next++], t.size(), t.data()); }, steady.weights);
    CHECK(look(steady, 2, heed::dropout(p, 7)).rows == 0);
    CHECK(support::same_bits(elements(layer(x, heed::dropout(0, 1))), elements(layer(x))));
}

#if defined(__cpp_exceptions)
TEST_CASE("what does not fit is named") {
    using heed_test::contains;
    using layer_type = heed::encoder_layer<float>;
    const auto make = [](const heed::encoder_config& c) { return layer_type(c); };
    CHECK_THROWS_WITH(make({}), contains("multi_head_attention: width is 0"));
    CHECK_THROWS_WITH(make({.attention = {.width = 8}, .feed_forward = {.width = 9}}),
                      contains("encoder_layer: feed_forward.width is 9, needs the attention's, 8, or 0"));
    CHECK_THROWS_WITH(make({.attention = {.width = 8, .memory_width = 4}}),
                      contains("encoder_layer: attention.memory_width is 4, needs 0"));
    layer_type layer({.attention = {.width = 8, .heads = 2}});
    support::random r(66);
    const auto x = support::random_rows<float>(r, 2, 5, 8), dy = support::random_rows<float>(r, 2, 5, 8);
    support::tensor<float, 3> y(2, 5, 8), narrow(2, 5, 7), less(2, 4, 8);
    layer_type::tape tape;
    auto g = heed::zeros_like(layer.weights);
    y.setConstant(-77);
    CHECK_THROWS_WITH(layer(narrow), contains("heed::encoder_layer: x has a width of 7, needs 8"));
    CHECK_THROWS_WITH(layer.forward_into(less, x, tape), contains("y has 4 positions, x has 5"));
    CHECK_THROWS_WITH(layer.forward_into(y, y, tape), contains("y overlaps x"));
    CHECK_THROWS_WITH(layer.forward_into(y, x, tape, heed::dropout(1.5, 3)), contains("dropout is 1.5"));
    CHECK_THROWS_WITH(layer.backward_into(y, dy, x, tape, g),
                      contains("backward_into: tape holds a forward of 0 x 0 positions, x has 2 x 5"));
    (void)layer.forward(x, tape);
    CHECK_THROWS_WITH(layer.backward_into(y, less, x, tape, g), contains("dy has 4 positions, x has 5"));
    CHECK_THROWS_WITH(layer.backward_into(y, y, x, tape, g), contains("dx overlaps dy"));
    CHECK_THROWS_WITH(layer.backward_into(y, dy, x, tape, g, heed::dropout(-1, 3)),
                      contains("dropout is -1"));
    auto other =
        heed::zeros_like(layer_type({.attention = {.width = 8}, .feed_forward = {.hidden = 4}}).weights);
    CHECK_THROWS_WITH(layer.backward_into(y, dy, x, tape, other),
                      contains("gradients.feed_forward.up.weight has 4 entries along axis 1"));
    for (const float v : elements(y)) REQUIRE(v == -77);
    const auto gap = parameter_count(g);
    heed::for_each_parameter(
        [&](const std::string&, auto& t) { REQUIRE(support::max_abs(elements(t)) == 0); }, g);
    CHECK(gap == 4 * 64 + 2 * 8 * 32 + 32 + 8 + 4 * 8);
    // A forward that ended early leaves a tape that no backward takes.
    support::tensor<float, 2> bias(3, 3);
    CHECK_THROWS_WITH(layer.forward_into(y, x, tape, heed::bias(bias)), contains("bias has 3 queries"));
    CHECK_THROWS_WITH(layer.backward_into(y, dy, x, tape, g), contains("tape holds a forward of 0 x 0"));
}
#endif
