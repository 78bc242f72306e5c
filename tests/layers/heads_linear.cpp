// SPDX-License-Identifier: MIT
// tests/layers/heads_linear.cpp: linear attention inside a multi-head layer
#include "support/heads_call.hpp"
#include "support/linear_reference.hpp"

namespace {

using heed::linear_heads;
using support::head_problem;
using support::numbers;

// The oracle with these settings.
template <class Change>
auto linear(Change change) {
    return [change](const head_problem& p) {
        reference::linear_problem l;
        l.batch = p.batch, l.heads = p.config.heads, l.kv_heads = p.config.kv_heads;
        l.queries = p.queries, l.keys = p.keys, l.d_k = l.d_v = p.config.head_dim;
        l.q = p.streams[0], l.k = p.streams[1], l.v = p.streams[2];
        change(l);
        return reference::solve_linear<double>(l).y;
    };
}
void make_causal(reference::linear_problem& l) { l.causal = true; }
void make_retention(reference::linear_problem& l) {
    l.causal = true, l.normalised = false, l.map = reference::features::identity;
    for (long h = 0; h < l.batch * l.kv_heads; ++h)
        for (long t = 0; t < l.keys; ++t)
            l.g.push_back(std::log1p(-std::exp2(-5.0 - static_cast<double>(h % l.kv_heads))));
}

const heed::attention_config plain{.width = 12, .heads = 3};
const heed::attention_config grouped{.width = 12,
                                     .heads = 4,
                                     .kv_heads = 2,
                                     .head_dim = 6,
                                     .in_bias = true,
                                     .out_bias = true,
                                     .rotary_positions = 200};
const heed::attention_config cross{.width = 12,
                                   .heads = 4,
                                   .kv_heads = 2,
                                   .head_dim = 4,
                                   .memory_width = 10,
                                   .in_bias = true,
                                   .rotary_positions = 20};
const heed::attention_config vision{.width = 12, .heads = 2, .in_bias = true, .out_projection = false};

}  // namespace

TEST_CASE("linear heads: forward") {
    const auto causal = linear(make_causal);
    support::check_forward<linear_heads>(plain, 2, 70, causal, heed::causal);
    support::check_forward<linear_heads>(grouped, 2, 70, causal, heed::causal);
    const auto full = linear([](auto&) {});
    support::check_forward<linear_heads>(vision, 2, 9, full);
    support::check_forward<linear_heads>(
        grouped, 2, 9, linear([](auto& l) { l.map = reference::features::taylor; }), heed::taylor);
    support::check_forward<linear_heads>(grouped, 1, 70, linear([](auto& l) {
                                             l.causal = true, l.normalised = false, l.scale = 0.5;
                                             l.map = reference::features::softmax;
                                         }),
                                         heed::causal, heed::softmax_features, heed::unnormalised,
                                         heed::scale(0.5));
    support::check_forward<linear_heads>(grouped, 2, 70, linear(make_retention), heed::retention);
    support::check_forward<linear_heads>(
        plain, 2, 70, linear([](auto& l) { l.normalised = false, l.map = reference::features::efficient; }),
        heed::efficient);
}

TEST_CASE("linear heads: gradients") {
    support::check_gradient<linear_heads>(grouped, 2, 7, heed::causal);
    support::check_gradient<linear_heads>(vision, 2, 7);
    support::check_gradient<linear_heads>(plain, 1, 7, heed::retention);
    support::check_gradient<linear_heads>(plain, 1, 6, heed::causal, heed::softmax_features);
    support::check_gradient<linear_heads>(plain, 1, 6, heed::causal, heed::favor(8, 1));
    support::check_gradient<linear_heads>(plain, 1, 6, heed::efficient);
}

TEST_CASE("linear heads: cross attention") {
    support::check_cross<linear_heads>(cross, 2, 5, 9, linear([](auto&) {}));
    support::check_cross<linear_heads>(
        cross, 1, 9, 5, linear([](auto& l) { l.normalised = false, l.map = reference::features::efficient; }),
        heed::efficient);
}

TEST_CASE("linear heads: streams") {
    support::check_stream<linear_heads>(grouped, 2, 70, heed::causal);
    support::check_stream<linear_heads>(plain, 1, 70, heed::retention);
    support::check_stream<linear_heads>(plain, 1, 20, heed::causal, heed::taylor);
    support::check_stream<linear_heads>(plain, 2, 20, heed::causal, heed::favor(8, 1));
}

const heed::attention_config over_memory{
    .width = 12, .heads = 4, .kv_heads = 2, .head_dim = 6, .memory_width = 10, .rotary_positions = 200};

// Over a memory, positions in steps have the bits of the whole forward, by the first step's sums alone: the
// memory's keys and values are NaN from then on. The next call with `other` options reads them again.
template <class T, class Other, class... Options>
void check_memory(long keys, const Other& other, const Options&... options) {
    support::head_setup<T, linear_heads> s(over_memory, 2, 9, keys);
    const support::tensor<T, 3> whole = s.layer(s.x, s.memory, options...);
    const heed::thread_pool pool(3);
    typename decltype(s.layer)::stream stream, threaded;
    s.layer.remember(s.memory, stream);
    s.layer.remember(s.memory, threaded);
    for (const auto& [first, count] : {std::pair{0L, 1L}, {1L, 1L}, {2L, 6L}, {8L, 0L}, {8L, 1L}}) {
        const auto x = support::positions_of(s.x, first, count);
        const auto want = support::positions_of(whole, first, count);
        CHECK(support::same_rows<T>(s.layer.extend(x, stream, options...), want));
        CHECK(support::same_rows<T>(s.layer.extend(x, threaded, options..., heed::on(pool)), want));
        stream.rows.memory_projections.setConstant(std::numeric_limits<T>::quiet_NaN());
    }
    // Rotary positions have moved on, so the stream begins anew.
    stream = {}, s.layer.remember(s.memory, stream);
    (void)s.layer.extend(support::positions_of(s.x, 0, 3), stream, options...);
    const auto rest = support::positions_of(s.x, 3, 6);
    CHECK(support::same_rows<T>(s.layer.extend(rest, stream, other),
                                support::positions_of<T>(s.layer(s.x, s.memory, other), 3, 6)));

    // Another memory, of another length, takes the place of the first.
    const support::head_setup<T, linear_heads> next(over_memory, 2, 9, keys / 2);
    stream = {}, s.layer.remember(s.memory, stream);
    (void)s.layer.extend(support::positions_of(s.x, 0, 3), stream, options...);
    s.layer.remember(next.memory, stream);
    CHECK(support::same_rows<T>(s.layer.extend(rest, stream, options...),
                                support::positions_of<T>(s.layer(s.x, next.memory, options...), 3, 6)));
}

TEST_CASE("linear heads: a stream reads its memory once") {
    for (const long keys : {1L, 70L, 200L}) {
        CAPTURE(keys);
        check_memory<float>(keys, heed::relu);
        check_memory<double>(keys, heed::unnormalised);
        check_memory<float>(keys, heed::softmax_features, heed::efficient);
        check_memory<double>(keys, heed::elu1, heed::taylor, heed::unnormalised, heed::scale(0.5));
        check_memory<float>(keys, heed::favor(8, 2), heed::favor(8, 1), heed::scale(2));
        const auto square = heed::feature_map([](auto x) { return x * x; });
        check_memory<double>(keys, heed::elu1, square);
    }
    check_memory<float>(0, heed::relu);

    // Of one type and not the same: what a map has captured.
    const auto power = [](double shift) {
        return heed::feature_map([=](auto x) { return x * x + static_cast<decltype(x)>(shift); });
    };
    support::head_setup<double, linear_heads> s(over_memory, 2, 5, 70);
    decltype(s.layer)::stream stream;
    s.layer.remember(s.memory, stream);
    (void)s.layer.extend(support::positions_of(s.x, 0, 2), stream, power(1));
    CHECK(support::same_rows<double>(s.layer.extend(support::positions_of(s.x, 2, 3), stream, power(2)),
                                     support::positions_of<double>(s.layer(s.x, s.memory, power(2)), 2, 3)));

    // Steps allocate nothing once the stream has grown.
    heed::workspace memory;
    auto y = s.x;
    s.layer.extend_into(y, s.x, stream, heed::use(memory));
    const support::allocation_watch watch;
    s.layer.remember(s.memory, stream, heed::use(memory));
    s.layer.extend_into(y, s.x, stream, heed::use(memory));
    s.layer.extend_into(y, s.x, stream, heed::use(memory));
    CHECK(watch.count() == 0);
}

// A sequence in two calls: the state goes from the first to the second, its gradient back.
TEST_CASE("linear heads: states between calls") {
    const support::head_setup<double, linear_heads> s(plain, 2, 70);
    const auto whole = support::values(s.layer(s.x, heed::causal));
    support::training_step<double, linear_heads> full(s);
    full.run(heed::causal);

    using Eigen::array;
    const array<long, 3> at[2] = {{0, 0, 0}, {0, 40, 0}}, size[2] = {{2, 40, 12}, {2, 30, 12}};
    support::tensor<double> state(2, 3, 4, 5), d_state(2, 3, 4, 5);
    const support::tensor<double, 3> x0 = s.x.slice(at[0], size[0]), x1 = s.x.slice(at[1], size[1]);
    const support::tensor<double, 3> dy0 = full.dy.slice(at[0], size[0]), dy1 = full.dy.slice(at[1], size[1]);
    decltype(s.layer)::tape first, second;
    const support::tensor<double, 3> y0 = s.layer.forward(x0, first, heed::causal, heed::final_state(state));
    const support::tensor<double, 3> y1 =
        s.layer.forward(x1, second, heed::causal, heed::initial_state(state));
    auto gradients = heed::zeros_like(s.layer.weights);
    const support::tensor<double, 3> dx1 =
        s.layer.backward(dy1, x1, second, gradients, heed::causal, heed::initial_state(state),
                         heed::initial_state_gradient(d_state));
    const support::tensor<double, 3> dx0 =
        s.layer.backward(dy0, x0, first, gradients, heed::causal, heed::final_state(state),
                         heed::final_state_gradient(d_state));

    support::tensor<double, 3> y(s.x), dx(s.x);
    y.slice(at[0], size[0]) = y0, y.slice(at[1], size[1]) = y1;
    dx.slice(at[0], size[0]) = dx0, dx.slice(at[1], size[1]) = dx1;
    CHECK(support::apart(y, whole) < 1e-12);
    CHECK(support::apart(dx, support::values(full.dx)) < 1e-12);
    CHECK(support::relative_error(support::values(gradients.in.weight),
                                  support::values(full.gradients.in.weight)) < 1e-12);
}

TEST_CASE("linear heads: a decay and a beta of the caller's own") {
    support::random r(9);
    support::tensor<double, 3> g(2, 3, 7), beta(2, 3, 7), dg(2, 3, 7), dbeta(2, 3, 7);
    for (long i = 0; i < g.size(); ++i) g.data()[i] = -r.uniform(), beta.data()[i] = 0.3 * r.uniform();
    const auto rule = [&](auto& l) {
        l.causal = true, l.normalised = false, l.map = reference::features::identity;
        l.g = support::values(g), l.beta = support::values(beta);
    };
    const support::head_setup<double, linear_heads> s(plain, 2, 7);
    const auto model = heed::gated_delta_net(g, beta);
    CHECK(support::apart(s.layer(s.x, model), support::expected(s, linear(rule))) < 1e-12);

    decltype(s.layer)::tape tape;
    auto dy = s.layer.forward(s.x, tape, model);
    support::fill_normal(dy, r);
    auto gradients = heed::zeros_like(s.layer.weights);
    s.layer.backward(dy, s.x, tape, gradients, model, heed::decay_gradient(dg), heed::delta_gradient(dbeta));
    const auto loss = [&] { return support::inner_product(s.layer(s.x, model), dy); };
    CHECK(support::relative_error(support::values(dg), support::central_differences(g, loss)) < 1e-6);
    CHECK(support::relative_error(support::values(dbeta), support::central_differences(beta, loss)) < 1e-6);
}

TEST_CASE("linear heads: what does not fit is refused") {
    const support::head_setup<float, linear_heads> s(plain, 2, 7);
    decltype(s.layer)::stream stream;
    CHECK_THROWS_WITH(s.layer.extend(s.x, stream, heed::elu1),
                      heed_test::contains("a stream of linear attention needs heed::causal"));
    CHECK(stream.position == 0);
    s.layer.extend(s.x, stream, heed::causal);
    CHECK_THROWS_WITH(s.layer.extend(s.x, stream, heed::causal, heed::taylor),
                      heed_test::contains("the state is"));
    CHECK_THROWS_WITH(s.layer(s.x, heed::window(3, 0)),
                      heed_test::contains("got window(3, 0); this attention takes no mask but heed::causal"));
    const support::head_setup<float, linear_heads> other(cross, 2, 5, 9);
    CHECK_THROWS_WITH(other.layer(other.x, other.memory, heed::causal),
                      heed_test::contains("causal linear attention needs as many"));
}

TEST_CASE("linear heads: threads and allocations") {
    support::check_calls<float, linear_heads>(grouped, 2, 130, heed::causal);
    support::check_calls<double, linear_heads>(vision, 2, 130);
    support::check_calls<float, linear_heads>(plain, 2, 70, heed::retention);
}
