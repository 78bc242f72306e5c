// SPDX-License-Identifier: MIT
// tests/layers/heads_native.cpp: native sparse attention inside a multi-head layer
#include "support/heads_call.hpp"
#include "support/native_reference.hpp"

namespace {

using heed::native_heads;
using support::head_problem;
using support::numbers;

const heed::native_blocks small{
    .compress_block = 4, .compress_stride = 2, .select_block = 4, .select_count = 3, .window = 5};

auto native(const heed::native_blocks& blocks, double scale) {
    return [blocks, scale](const head_problem& p) {
        native_reference::problem n;
        n.batch = p.batch, n.heads = p.config.heads, n.kv_heads = p.config.kv_heads;
        n.queries = n.keys = p.queries, n.d_k = n.d_v = p.config.head_dim;
        n.block = blocks.compress_block, n.stride = blocks.compress_stride;
        n.select_block = blocks.select_block, n.count = blocks.select_count, n.window = blocks.window;
        n.scale = scale;
        n.q = p.streams[0], n.k = p.streams[1], n.v = p.streams[2];
        for (const double g : p.streams[3]) n.gates.push_back(1 / (1 + std::exp(-g)));
        return native_reference::solve(n).y;
    };
}

const heed::attention_config plain{.width = 12, .heads = 3};
const heed::attention_config grouped{
    .width = 12, .heads = 4, .kv_heads = 2, .head_dim = 6, .in_bias = true, .rotary_positions = 200};

}  // namespace

TEST_CASE("native heads: forward") {
    support::check_forward<native_heads>(plain, 2, 40, native(small, 0.5), small);
    support::check_forward<native_heads>(grouped, 2, 40, native(small, 0.25), heed::causal, heed::scale(0.25),
                                         small);
    support::check_forward<native_heads>(plain, 1, 70, native({}, 0.5));
}

TEST_CASE("native heads: gradients") {
    support::check_gradient<native_heads>(plain, 1, 24, small);
    support::check_gradient<native_heads>(grouped, 2, 17, small, heed::causal);
}

TEST_CASE("native heads: streams") {
    support::check_stream<native_heads>(grouped, 2, 40, small);
    support::check_stream<native_heads>(plain, 1, 70, heed::causal);
}

TEST_CASE("native heads: threads and allocations") {
    support::check_calls<float, native_heads>(grouped, 2, 130, small);
    support::check_calls<double, native_heads>(plain, 2, 70, heed::causal);
}

// The compressed keys are made anew for other blocks, and after a call that threw.
TEST_CASE("native heads: a stream whose calls differ, or fail") {
    const support::head_setup<double, native_heads> s(plain, 1, 30);
    const Eigen::array<long, 3> from{0, 20, 0}, first{0, 0, 0}, size{1, 10, 12}, before{1, 20, 12};
    const support::tensor<double, 3> begin = s.x.slice(first, before), end = s.x.slice(from, size);
    const heed::native_blocks other{
        .compress_block = 6, .compress_stride = 3, .select_block = 6, .select_count = 3, .window = 4};
    decltype(s.layer)::stream stream;
    s.layer.extend(begin, stream, small);
    CHECK_THROWS_WITH(s.layer.extend(end, stream, small, heed::scale(HUGE_VAL)),
                      heed_test::contains("needs a finite number"));
    CHECK(stream.position == 20);
    const support::tensor<double, 3> y = s.layer.extend(end, stream, other);
    const support::tensor<double, 3> whole = s.layer(s.x, other);
    CHECK(support::relative_error(support::values(y), support::values(support::tensor<double, 3>(
                                                          whole.slice(from, size)))) < 1e-12);
}

TEST_CASE("native heads: what does not fit is refused") {
    CHECK_THROWS_WITH(
        (heed::multi_head_attention<float, native_heads>({.width = 12, .heads = 3, .memory_width = 12})),
        heed_test::contains("this attention has no cross form"));
    const support::head_setup<float, native_heads> s(plain, 2, 7);
    CHECK_THROWS_WITH(s.layer(s.x, heed::window(3, 0)),
                      heed_test::contains("got window(3, 0); this attention takes no mask but heed::causal"));
    decltype(s.layer)::stream stream;
    for (const auto& wrong : {heed::native_blocks{.compress_stride = 0}, heed::native_blocks{.window = 0}}) {
        CHECK_THROWS_AS(s.layer(s.x, wrong), heed::error);
        CHECK_THROWS_AS(s.layer.extend(s.x, stream, wrong), heed::error);
    }
    CHECK(stream.position == 0);
}
