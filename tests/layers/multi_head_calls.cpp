// SPDX-License-Identifier: MIT
// tests/layers/multi_head_calls.cpp: allocations of a multi-head layer, and every error a caller can make
#include <heed/thread_pool.hpp>

#include "support/allocation.hpp"
#include "support/multi_head_problem.hpp"

namespace {

using heed_test::contains;
using support::elements;
using layer_type = heed::multi_head_attention<float>;
using rows = support::tensor<float, 3>;

struct setup {
    support::random r{51};
    layer_type self = support::random_multi_head<float>({.width = 8, .heads = 2}, r);
    layer_type cross = support::random_multi_head<float>({.width = 8, .heads = 2, .memory_width = 6}, r);
    rows x = support::random_rows<float>(r, 2, 5, 8), memory = support::random_rows<float>(r, 2, 4, 6);
    rows y{2, 5, 8}, dx{2, 5, 8}, dm{2, 4, 6};
    layer_type::tape tape;
    layer_type::parameters g = heed::zeros_like(self.weights), g_cross = heed::zeros_like(cross.weights);
    layer_type::stream stream;
    heed::workspace work;
};

std::vector<float> bits_of(const layer_type::parameters& p) {
    std::vector<float> all;
    heed::for_each_parameter(
        [&](const std::string&, const auto& t) { all.insert(all.end(), t.data(), t.data() + t.size()); }, p);
    return all;
}

}  // namespace

TEST_CASE("a second training step allocates nothing, nor does a stream's next position") {
    const heed::thread_pool pool(2);
    setup s;
    const auto step = [&](const auto&... options) {
        s.self.forward_into(s.y, s.x, s.tape, heed::causal, heed::use(s.work), options...);
        s.self.backward_into(s.dx, s.y, s.x, s.tape, s.g, heed::causal, heed::use(s.work), options...);
    };
    layer_type::tape cross_tape;
    const auto cross_step = [&](const auto&... options) {
        s.cross.forward_into(s.y, s.x, s.memory, cross_tape, heed::use(s.work), options...);
        s.cross.backward_into(s.dx, s.dm, s.y, s.x, s.memory, cross_tape, s.g_cross, heed::use(s.work),
                              options...);
    };
    const auto counted = [](const auto& run) {
        run();
        const support::allocation_watch watch;
        run();
        return watch.count();
    };
    CHECK(counted([&] { step(); }) == 0);
    CHECK(counted([&] { step(heed::on(pool)); }) == 0);
    CHECK(counted([&] { cross_step(); }) == 0);
    CHECK(counted([&] { cross_step(heed::on(pool)); }) == 0);

    // Room for keys doubles: the fourth position finds place where the third made it.
    rows next(2, 1, 8), to(2, 1, 8);
    next.setConstant(0.5f);
    for (int i = 0; i < 3; ++i) s.self.extend_into(to, next, s.stream, heed::causal, heed::use(s.work));
    long count = 0;
    {
        const support::allocation_watch watch;
        s.self.extend_into(to, next, s.stream, heed::causal, heed::use(s.work));
        count = watch.count();
    }
    CHECK(count == 0);
}

TEST_CASE("configs that cannot be made") {
    const auto make = [](const heed::attention_config& c) { return layer_type(c); };
    CHECK_THROWS_WITH(make({}), contains("multi_head_attention: width is 0, needs at least 1"));
    CHECK_THROWS_WITH(make({.width = 8, .heads = 0}), contains("heads is 0, needs at least 1"));
    CHECK_THROWS_WITH(make({.width = 8, .heads = 4, .kv_heads = 3}),
                      contains("heads is 4, needs a multiple of kv_heads, 3"));
    CHECK_THROWS_WITH(make({.width = 8, .heads = 3}),
                      contains("a width of 8 does not divide into 3 heads; give head_dim"));
    CHECK_THROWS_WITH(make({.width = 8, .head_dim = -1}), contains("head_dim is -1"));
    CHECK_THROWS_WITH(make({.width = 8, .memory_width = -2}), contains("memory_width is -2"));
    CHECK_THROWS_WITH(make({.width = 8, .heads = 2, .head_dim = 3, .out_projection = false}),
                      contains("heads x head_dim is the width; it is 6, the width 8"));
    CHECK_THROWS_WITH(make({.width = 8, .out_bias = true, .out_projection = false}),
                      contains("out_bias is set, needs an output projection"));
    CHECK_THROWS_WITH(make({.width = 8, .rotary_positions = -1}), contains("rotary_positions is -1"));
    CHECK_THROWS_WITH(make({.width = 6, .heads = 2, .rotary_positions = 9}),
                      contains("head_dim is 3, rotary positions need an even one"));
    CHECK_THROWS_WITH(make({.width = 8, .rotary_positions = 9, .rotary_base = 0}), contains("base is 0"));
    CHECK_THROWS_WITH(layer_type()(rows(1, 1, 4)), contains("x has a width of 4, needs 0"));
}

TEST_CASE("a forward that does not fit names what does not, and writes nothing") {
    setup s;
    s.y.setConstant(-77);
    const rows before = s.y;
    rows narrow(2, 5, 7), short_(2, 4, 8), lone(1, 5, 8), memory7(2, 4, 7), memory1(1, 4, 6);
    const auto self = [&](auto&& y, const auto& x, const auto&... o) {
        s.self.forward_into(y, x, s.tape, o...);
    };
    CHECK_THROWS_WITH(self(s.y, narrow), contains("forward_into: x has a width of 7, needs 8"));
    CHECK_THROWS_WITH(self(narrow, s.x), contains("y has a width of 7, needs 8"));
    CHECK_THROWS_WITH(self(short_, s.x), contains("y has 4 positions, x has 5"));
    CHECK_THROWS_WITH(self(lone, s.x), contains("y has 1 batch entries, x has 2"));
    CHECK_THROWS_WITH(self(s.x, s.x), contains("y overlaps x, needs memory of its own"));
    const heed::view<float> gaps(s.x.data(), {1, 1, 2, 8}, {40, 40, 16, 1});
    CHECK_THROWS_WITH(self(s.y, gaps), contains("x has a stride of 16 elements along axis 2"));
    CHECK_THROWS_WITH(self(s.y, s.x, heed::dropout(2.0, 1)), contains("dropout is 2"));
    CHECK_THROWS_WITH(s.self(s.x, s.memory), contains("made for self attention; give memory_width"));
    CHECK_THROWS_WITH(s.cross(s.x), contains("made for cross attention; needs memory behind x"));
    CHECK_THROWS_WITH(s.cross(s.x, memory7), contains("memory has a width of 7, needs 6"));
    CHECK_THROWS_WITH(s.cross(s.x, memory1), contains("memory has 1 batch entries, x has 2"));
    rows both(2, 9, 8);
    const heed::view<float> y_(both.data(), {1, 2, 5, 8});
    const heed::view<const float> m_(both.data() + 70, {1, 2, 4, 6});
    CHECK_THROWS_WITH(s.cross.forward_into(y_, s.x, m_, s.tape), contains("y overlaps memory"));
    const layer_type turned({.width = 8, .heads = 2, .rotary_positions = 4});
    CHECK_THROWS_WITH(turned(s.x), contains("reaches position 5, rotary positions were made for 4"));
    CHECK(support::same_bits(elements(s.y), elements(before)));
}

TEST_CASE("a backward that does not fit names what does not, and adds to nothing") {
    setup s;
    (void)s.self.forward(s.x, s.tape);
    const rows dy = s.x;
    rows one(2, 4, 8), x4(2, 4, 8), narrow(2, 5, 7);
    s.dx.setConstant(-77);
    const rows dx_before = s.dx;
    const auto backward = [&](auto& dx, const auto& dy_, const auto& x, auto& g, const auto&... o) {
        s.self.backward_into(dx, dy_, x, s.tape, g, o...);
    };
    CHECK_THROWS_WITH(backward(narrow, dy, s.x, s.g), contains("dx has a width of 7, needs 8"));
    CHECK_THROWS_WITH(backward(s.dx, one, s.x, s.g), contains("dy has 4 positions, x has 5"));
    CHECK_THROWS_WITH(backward(one, x4, one, s.g), contains("tape holds 2 x 5 positions of x"));
    rows same = s.x;
    CHECK_THROWS_WITH(backward(same, dy, same, s.g), contains("dx overlaps x"));
    CHECK_THROWS_WITH(backward(same, same, s.x, s.g), contains("dx overlaps dy"));
    CHECK_THROWS_WITH(backward(s.dx, dy, s.x, s.g_cross),
                      contains("gradients.in.weight has 8 entries along axis 1, the parameter has 24"));
    rows bias(2, 3, 3);
    CHECK_THROWS_WITH(backward(s.dx, dy, s.x, s.g, heed::bias(bias)),
                      contains("bias is given, and was not to the tape's forward"));
    // A tape of another layer.
    const layer_type other({.width = 8, .heads = 2, .kv_heads = 1});
    auto g_other = heed::zeros_like(other.weights);
    CHECK_THROWS_WITH(
        other.backward(dy, s.x, s.tape, g_other),
        contains("positions of x, of 24 features; needs the forward of this call, 2 x 5 of 16"));

    layer_type::tape tape;
    (void)s.cross.forward(s.x, s.memory, tape);
    rows m3(2, 3, 6), dm3(2, 3, 6), big(2, 9, 8);
    const auto cross = [&](auto&& dx, auto&& dm, const auto& m) {
        s.cross.backward_into(dx, dm, dy, s.x, m, tape, s.g_cross);
    };
    CHECK_THROWS_WITH(cross(s.dx, dm3, m3), contains("tape holds 2 x 4 positions of memory"));
    CHECK_THROWS_WITH(cross(s.dx, dm3, s.memory), contains("d_memory has 3 positions, memory has 4"));
    CHECK_THROWS_WITH(cross(s.dx, s.memory, s.memory), contains("d_memory overlaps memory"));
    const heed::view<float> dx_(big.data(), {1, 2, 5, 8}), dm_(big.data() + 75, {1, 2, 4, 6});
    CHECK_THROWS_WITH(cross(dx_, dm_, s.memory), contains("d_memory overlaps dx"));
    CHECK(support::max_abs(bits_of(s.g)) == 0);
    CHECK(support::max_abs(bits_of(s.g_cross)) == 0);
    CHECK(support::same_bits(elements(s.dx), elements(dx_before)));
}

TEST_CASE("the tape of a forward that was refused is empty until the next one succeeds") {
    setup s;
    const rows x = support::random_rows<float>(s.r, 2, 7, 8);
    const std::vector<int> lengths{7, 7, 7};
    auto g = heed::zeros_like(s.self.weights);
    layer_type::tape tape;
    (void)s.self.forward(support::random_rows<float>(s.r, 2, 5, 8), tape);
    CHECK_THROWS_AS(s.self.forward(x, tape, heed::key_lengths(lengths)), heed::error);
    CHECK_THROWS_WITH(s.self.backward(x, x, tape, g), contains("tape is empty: its forward was refused"));
    CHECK(support::max_abs(bits_of(g)) == 0);
    (void)s.self.forward(x, tape);
    const auto dx = s.self.backward(x, x, tape, g);
    layer_type::tape fresh;
    (void)s.self.forward(x, fresh);
    CHECK(support::same_bits(elements(dx), elements(s.self.backward(x, x, fresh, g))));
}

TEST_CASE("a stream that cannot go on stays as it was") {
    setup s;
    const rows next = support::random_rows<float>(s.r, 2, 1, 8);
    const rows lone = support::random_rows<float>(s.r, 1, 1, 8);
    layer_type::stream untroubled;
    (void)s.self.extend(next, s.stream, heed::causal);
    (void)s.self.extend(next, untroubled, heed::causal);
    CHECK_THROWS_WITH(s.self.extend(lone, s.stream, heed::causal),
                      contains("::extend: x has 1 batch entries, the stream runs with 2"));
    // Refused by the attention, when the keys had been taken in.
    CHECK_THROWS_WITH(s.self.extend(next, s.stream, heed::dropout(1.0, 7)), contains("dropout is 1"));
    CHECK(s.stream.position == 1);
    const auto y = s.self.extend(next, s.stream, heed::causal);
    const auto want = s.self.extend(next, untroubled, heed::causal);
    CHECK(support::same_bits(elements(y), elements(want)));

    layer_type::stream fresh;
    CHECK_THROWS_WITH(s.cross.extend(next, fresh), contains("call remember(memory, stream) first"));
    s.cross.remember(s.memory, fresh);
    CHECK_THROWS_WITH(s.cross.extend(lone, fresh), contains("x has 1 batch entries, the stream runs with 2"));
    CHECK_THROWS_WITH(s.self.remember(s.memory, fresh), contains("made for self attention"));
    CHECK_THROWS_WITH(s.cross.remember(next, fresh), contains("memory has a width of 8, needs 6"));
    const layer_type turned({.width = 8, .heads = 2, .rotary_positions = 1});
    layer_type::stream brief;
    (void)turned.extend(next, brief, heed::causal);
    CHECK_THROWS_WITH(turned.extend(next, brief, heed::causal), contains("reaches position 2"));
}
