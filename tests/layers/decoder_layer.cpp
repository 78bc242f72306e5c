// SPDX-License-Identifier: MIT
// tests/layers/decoder_layer.cpp: decoder layers against their formula, their gradients, streams and bits
#include <heed/thread_pool.hpp>

#include "support/allocation.hpp"
#include "support/block_reference.hpp"

namespace {

using heed::norm_place, heed::activation;
using support::elements, support::positions_of, support::values;

std::vector<heed::decoder_config> configs() {
    return {
        {.attention = {.width = 12, .heads = 3}},
        {.attention = {.width = 12, .heads = 3, .in_bias = true, .out_bias = true},
         .cross_attention = {.memory_width = 7},
         .feed_forward = {.hidden = 10, .activation = activation::gated_relu},
         .norm = norm_place::before},
        {.attention = {.width = 8, .heads = 4, .kv_heads = 2, .rotary_positions = 40},
         .cross_attention = {.width = 8, .heads = 2, .memory_width = 5, .in_bias = true},
         .feed_forward = {.width = 8, .bias = false},
         .norm = norm_place::before},
    };
}
heed::index memory_width(const heed::decoder_config& c) {
    return c.cross_attention.memory_width > 0 ? c.cross_attention.memory_width : c.attention.width;
}
template <class T>
heed::decoder_layer<T> make(const heed::decoder_config& c, support::random& r) {
    return support::with_random_weights(heed::decoder_layer<T>(c), r);
}
const std::vector<int> lengths{6, 3};

}  // namespace

TEST_CASE("a decoder layer is what its formula says") {
    support::random r(71);
    const auto each = [&](auto t) {
        using T = decltype(t);
        for (const auto& c : configs()) {
            const auto layer = make<T>(c, r);
            const auto x = support::random_rows<T>(r, 2, 9, c.attention.width);
            const auto memory = support::random_rows<T>(r, 2, 6, memory_width(c));
            CHECK(support::layer_error<T>(values(layer(x, memory)),
                                          support::solve_decoder(layer, {2, 9, 6}, values(x),
                                                                 values(memory))) < support::layer_rounding);
            const auto want = support::solve_decoder(
                layer, {2, 9, 6}, values(x), values(memory),
                [](reference::problem& p) {
                    p.visible = [](reference::place i) { return i.key >= i.query - 3; };
                },
                [](reference::problem& p) {
                    p.visible = [](reference::place i) { return i.key < lengths[std::size_t(i.batch)]; };
                    p.softcap = 2;
                });
            const auto y = layer(x, memory, heed::window(3, 0),
                                 heed::for_memory(heed::key_lengths(lengths), heed::softcap(2)));
            CHECK(support::layer_error<T>(values(y), want) < support::layer_rounding);
        }
    };
    each(float{});
    each(double{});
}

TEST_CASE("gradients of decoder layers are those of central differences") {
    support::random r(72);
    heed::workspace memory_;
    for (const auto& c : configs()) {
        const auto layer = make<double>(c, r);
        const auto x = support::random_rows<double>(r, 2, 4, c.attention.width);
        const auto memory = support::random_rows<double>(r, 2, 6, memory_width(c));
        const auto check = [&](const auto&... options) {
            const auto errors = support::layer_gradient(layer, x, memory, options...);
            INFO(errors.text());
            CHECK(errors.worst() <= 1e-6);
        };
        check(heed::use(memory_));
        check(heed::dropout(0.3, 5), heed::alibi(), heed::for_memory(heed::key_lengths(lengths)));
    }
}

TEST_CASE("a decoder's stream gives what one forward gives") {
    support::random r(73);
    for (const auto& c : configs()) {
        const auto layer = make<double>(c, r);
        const auto x = support::random_rows<double>(r, 2, 12, c.attention.width);
        const auto memory = support::random_rows<double>(r, 2, 6, memory_width(c));
        const auto mask = heed::for_memory(heed::key_lengths(lengths));
        const auto whole = layer(x, memory, mask);
        heed::decoder_layer<double>::stream stream;
        layer.remember(memory, stream);
        for (long at = 0; at < 12;) {
            const long count = at == 2 ? 5 : 1;
            const auto y = layer.extend(positions_of(x, at, count), stream, mask);
            CHECK(support::layer_error<double>(values(y), values(positions_of(whole, at, count))) <
                  support::layer_rounding);
            at += count;
        }
    }
}

TEST_CASE("a decoder's bits do not depend on threads or batch; a second step allocates nothing") {
    support::random r(74);
    for (const auto& c : configs()) {
        const auto layer = make<float>(c, r);
        const long width = c.attention.width;
        const auto x = support::random_rows<float>(r, 3, 20, width);
        const auto dy = support::random_rows<float>(r, 3, 20, width);
        const auto memory = support::random_rows<float>(r, 3, 30, memory_width(c));
        support::tensor<float, 3> y(3, 20, width), dx(3, 20, width), dm(3, 30, memory_width(c));
        heed::decoder_layer<float>::tape tape;
        heed::workspace work;
        auto g = heed::zeros_like(layer.weights);
        const auto drop = heed::dropout(0.1, 9);
        const auto step = [&](const auto&... options) {
            layer.forward_into(y, x, memory, tape, drop, heed::use(work), options...);
            layer.backward_into(dx, dm, dy, x, memory, tape, g, drop, heed::use(work), options...);
        };
        step();
        const auto y1 = elements(y), dx1 = elements(dx), dm1 = elements(dm);
        const auto g1 = g;
        const heed::thread_pool pool(3);
        heed::set_zero(g);
        step(heed::on(pool));
        CHECK(support::same_bits(elements(y), y1));
        CHECK(support::same_bits(elements(dx), dx1));
        CHECK(support::same_bits(elements(dm), dm1));
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
        const auto first = [](const support::tensor<float, 3>& t) {
            return support::tensor<float, 3>(t.slice(
                Eigen::array<long, 3>{0, 0, 0}, Eigen::array<long, 3>{1, t.dimension(1), t.dimension(2)}));
        };
        const auto lone = layer(first(x), first(memory), drop);
        CHECK(support::same_bits(lone.data(), y1.data(), static_cast<std::size_t>(20 * width)));
    }
}

// With one position each way, a layer of which one part is left shows what its two sites keep: the only
// weight of a row, and the numbers of the branch in the rows whose weight stayed.
TEST_CASE("the five dropout sites of a decoder layer drop each by itself") {
    support::random r(77);
    const long rows = 200, width = 32;
    const auto layer =
        make<double>({.attention = {.width = width, .heads = 1}, .norm = norm_place::before}, r);
    const auto x = support::random_rows<double>(r, rows, 1, width);
    const auto memory = support::random_rows<double>(r, rows, 1, width);
    struct sites {
        std::vector<bool> weight, number;
    };
    const auto look = [&](bool self, bool cross, bool feed_forward) {
        auto part = layer;
        if (!self) part.weights.attention.out.weight.setZero();
        if (!cross) part.weights.cross_attention.out.weight.setZero();
        if (!feed_forward) heed::set_zero(part.weights.feed_forward.down);
        const auto y = part(x, memory, heed::dropout(0.5, 7));
        sites kept;
        for (long row = 0; row < rows; ++row) {
            bool any = false;
            for (long f = 0; f < width; ++f) {
                kept.number.push_back(y(row, 0, f) != x(row, 0, f));
                any = any || kept.number.back();
            }
            kept.weight.push_back(any);
        }
        return kept;
    };
    const sites parts[] = {look(true, false, false), look(false, true, false), look(false, false, true)};
    const auto independent = [](long alike, long all) {
        CHECK(std::fabs(static_cast<double>(alike) / static_cast<double>(all) - 0.5) < 0.15);
    };
    for (std::size_t a = 0; a < 3; ++a)
        for (std::size_t b = 0; b < a; ++b) {
            INFO(a << " and " << b);
            long rows_alike = 0, numbers = 0, numbers_alike = 0;
            for (std::size_t row = 0; row < std::size_t(rows); ++row) {
                rows_alike += parts[a].weight[row] == parts[b].weight[row];
                if (!parts[a].weight[row] || !parts[b].weight[row]) continue;
                for (std::size_t at = row * std::size_t(width); at < (row + 1) * std::size_t(width);
                     ++at, ++numbers)
                    numbers_alike += parts[a].number[at] == parts[b].number[at];
            }
            independent(rows_alike, rows);
            independent(numbers_alike, numbers);
        }
    // A weight stands where a branch's first number does: one site for both would keep both or neither.
    for (std::size_t a = 0; a < 2; ++a)
        for (const sites& b : parts) {
            long seen = 0, alike = 0;
            for (std::size_t row = 0; row < std::size_t(rows); ++row)
                if (b.weight[row]) {
                    ++seen;
                    alike += parts[a].weight[row] == b.number[row * std::size_t(width)];
                }
            independent(alike, seen);
        }
}

#if defined(__cpp_exceptions)
TEST_CASE("what does not fit a decoder layer is named") {
    using heed_test::contains;
    using layer_type = heed::decoder_layer<float>;
    const auto make_ = [](const heed::decoder_config& c) { return layer_type(c); };
    CHECK_THROWS_WITH(make_({.attention = {.width = 8}, .feed_forward = {.width = 9}}),
                      contains("decoder_layer: feed_forward.width is 9, needs the attention's, 8, or 0"));
    CHECK_THROWS_WITH(make_({.attention = {.width = 8, .memory_width = 4}}),
                      contains("attention.memory_width is 4, needs 0; that of the memory is"));
    CHECK_THROWS_WITH(make_({.attention = {.width = 8}, .cross_attention = {.width = 6, .memory_width = 4}}),
                      contains("cross_attention.width is 6, needs the attention's, 8, or 0"));
    layer_type layer({.attention = {.width = 8, .heads = 2}, .cross_attention = {.memory_width = 6}});
    support::random r(76);
    const auto x = support::random_rows<float>(r, 2, 5, 8), dy = support::random_rows<float>(r, 2, 5, 8);
    const auto memory = support::random_rows<float>(r, 2, 4, 6);
    support::tensor<float, 3> y(2, 5, 8), dm(2, 4, 6), dm3(2, 3, 6), lone(1, 4, 6), m3(2, 3, 6),
        same = memory;
    layer_type::tape tape;
    layer_type::stream stream;
    auto g = heed::zeros_like(layer.weights);
    y.setConstant(-77);
    CHECK_THROWS_WITH(layer(x, x), contains("heed::decoder_layer: memory has a width of 8, needs 6"));
    CHECK_THROWS_WITH(layer(x, lone), contains("memory has 1 batch entries, x has 2"));
    CHECK_THROWS_WITH(layer(memory, memory), contains("x has a width of 6, needs 8"));
    CHECK_THROWS_WITH(layer.forward_into(y, y, memory, tape), contains("y overlaps x"));
    CHECK_THROWS_WITH(layer.extend(x, stream), contains("call remember(memory, stream) first"));
    CHECK_THROWS_WITH(layer.remember(x, stream), contains("remember: memory has a width of 8, needs 6"));
    const auto backward = [&](auto& dx_, auto& dm_, const auto& m) {
        layer.backward_into(dx_, dm_, dy, x, m, tape, g);
    };
    CHECK_THROWS_WITH(backward(y, dm, memory), contains("tape holds a forward of 0 x 0 positions"));
    (void)layer.forward(x, memory, tape);
    CHECK_THROWS_WITH(backward(y, dm3, memory), contains("d_memory has 3 positions, memory has 4"));
    CHECK_THROWS_WITH(backward(y, dm3, m3), contains("tape holds 2 x 4 positions of memory"));
    CHECK_THROWS_WITH(backward(y, same, same), contains("d_memory overlaps memory"));
    for (const float v : elements(y)) REQUIRE(v == -77);
    heed::for_each_parameter(
        [&](const std::string&, auto& t) { REQUIRE(support::max_abs(elements(t)) == 0); }, g);
    layer.remember(memory, stream);
    CHECK(layer.extend(x, stream).dimension(1) == 5);
    CHECK(stream.attention.position == 5);
}
#endif
