// SPDX-License-Identifier: MIT
// tests/linear/error.cpp: every way to call linear attention wrongly: the text, and that nothing was written
//
// A text names the function, the argument, what it got and what it needs.
#include <functional>

#include <heed/state/linear.hpp>

#include "support/linear_call.hpp"

namespace {

using tensor4 = support::tensor<float>;
using tensor3 = support::tensor<float, 3>;

struct fixture {
    tensor4 q{2, 4, 5, 8}, k{2, 2, 5, 8}, v{2, 2, 5, 6}, y{2, 4, 5, 6};
    tensor4 dq{2, 4, 5, 8}, dk{2, 2, 5, 8}, dv{2, 2, 5, 6}, dy{2, 4, 5, 6};
    tensor3 g{2, 2, 5}, beta{2, 2, 5};
    tensor4 feature_g{2, 2, 5, 8}, state{2, 2, 8, 7}, plain_state{2, 2, 8, 6};
    fixture() {
        for (tensor4* t : {&q, &k, &v, &dy, &feature_g}) t->setZero();
        g.setZero(), beta.setZero();
        for (tensor4* t : {&y, &dq, &dk, &dv, &state, &plain_state}) t->setConstant(77);
    }
    bool untouched() const {
        bool same = true;
        for (const tensor4* t : {&y, &dq, &dk, &dv, &state, &plain_state})
            for (long i = 0; i < t->size(); ++i) same = same && t->data()[i] == 77;
        return same;
    }
    // The call must fail, say all of these words, and write nothing.
    void fails(const std::function<void()>& call, const std::vector<std::string>& words) {
        std::string text = "no error";
        try {
            call();
        } catch (const heed::error& e) {
            text = e.what();
        }
        for (const std::string& word : words) {
            INFO("'" << text << "' should say '" << word << "'");
            CHECK(text.find(word) != std::string::npos);
        }
        INFO(text);
        CHECK(untouched());
    }
    template <class... Options>
    void option_fails(const std::vector<std::string>& words, const Options&... options) {
        fails([&] { heed::linear_attention_into(y, q, k, v, heed::causal, options...); }, words);
    }
    template <class... Options>
    void backward_fails(const std::vector<std::string>& words, const Options&... options) {
        fails(
            [&] { heed::linear_attention_backward_into(dq, dk, dv, dy, q, k, v, heed::causal, options...); },
            words);
    }
};

}  // namespace

TEST_CASE("shapes that do not fit together") {
    fixture f;
    const auto with = [&](const tensor4& q, const tensor4& k, const tensor4& v,
                          std::vector<std::string> words) {
        words.push_back("heed::linear_attention_into: ");
        f.fails([&] { heed::linear_attention_into(f.y, q, k, v); }, words);
        words.back() = "heed::linear_attention: ";
        f.fails([&] { (void)heed::linear_attention(q, k, v); }, words);
        words.back() = "heed::linear_attention_backward_into: ";
        f.fails([&] { heed::linear_attention_backward_into(f.dq, f.dk, f.dv, f.dy, q, k, v); }, words);
        words.back() = "heed::linear_attention_backward: ";
        f.fails([&] { (void)heed::linear_attention_backward(f.dy, q, k, v); }, words);
    };
    with(f.q, tensor4(2, 2, 9, 8), f.v, {"v has 5 positions", "k has 9"});
    with(f.q, tensor4(3, 2, 5, 8), f.v, {"k has 3 batch entries", "q has 2"});
    with(f.q, f.k, tensor4(2, 4, 5, 6), {"v has 4 heads", "k has 2"});
    with(f.q, tensor4(2, 3, 5, 8), tensor4(2, 3, 5, 6), {"q has 4 heads", "3"});
    with(f.q, tensor4(2, 2, 5, 9), f.v, {"k has 9 features", "q has 8"});
    with(tensor4(2, 4, 5, 0), tensor4(2, 2, 5, 0), f.v, {"q has 0 features"});
    with(f.q, f.k, tensor4(2, 2, 5, 0), {"v has 0 features"});
}

TEST_CASE("causal calls have a query for each key") {
    fixture f;
    const tensor4 k(2, 2, 7, 8), v(2, 2, 7, 6);
    f.fails([&] { heed::linear_attention_into(f.y, f.q, k, v, heed::causal); },
            {"heed::linear_attention_into: q has 5 positions, k has 7", "state"});
}

TEST_CASE("results of the wrong size") {
    fixture f;
    tensor4 y(2, 4, 6, 6);
    f.fails([&] { heed::linear_attention_into(y, f.q, f.k, f.v); }, {"y has 6 positions", "q has 5"});
    tensor4 wide(2, 4, 5, 8);
    f.fails([&] { heed::linear_attention_into(wide, f.q, f.k, f.v); }, {"y has 8 features", "v has 6"});
    tensor4 bad(2, 2, 4, 8);
    f.fails([&] { heed::linear_attention_backward_into(f.dq, bad, f.dv, f.dy, f.q, f.k, f.v); },
            {"dk has 4 positions", "k has 5"});
    f.fails([&] { heed::linear_attention_backward_into(bad, f.dk, f.dv, f.dy, f.q, f.k, f.v); },
            {"dq has 2 heads", "q has 4"});
    f.fails([&] { heed::linear_attention_backward_into(f.dq, f.dk, bad, f.dy, f.q, f.k, f.v); },
            {"dv has 4 positions", "v has 5"});
    f.fails([&] { heed::linear_attention_backward_into(f.dq, f.dk, f.dv, bad, f.q, f.k, f.v); },
            {"dy has 2 heads", "4"});
}

TEST_CASE("decays and betas that do not fit") {
    fixture f;
    const tensor3 long_g(2, 2, 6), heads_g(2, 4, 5);
    const tensor4 wide_g(2, 2, 5, 7);
    f.option_fails({"heed::linear_attention_into: the decay has 6 positions, needs 5 or 1"},
                   heed::decay(long_g));
    f.option_fails({"the decay has 4 heads, needs 2 or 1"}, heed::decay(heads_g));
    f.option_fails({"the decay has 7 features, needs 8 or 1"}, heed::decay(wide_g));
    f.option_fails({"beta has 6 positions, needs 5 or 1"}, heed::delta(long_g));
    f.option_fails({"beta has four axes, needs (batch, kv_head, position)"}, heed::delta(f.feature_g));
    f.backward_fails({"heed::linear_attention_backward_into: the decay has 6 positions"},
                     heed::decay(long_g));
}

TEST_CASE("states of the wrong shape") {
    fixture f;
    f.option_fails({"heed::linear_attention_into: the state is (2, 2, 8, 6), needs (2, 2, 8, 7)"},
                   heed::state(f.plain_state));
    f.option_fails({"the initial state is (2, 2, 8, 6), needs (2, 2, 8, 7)"},
                   heed::initial_state(f.plain_state));
    f.option_fails({"the final state is (2, 2, 8, 6), needs (2, 2, 8, 7)"}, heed::final_state(f.plain_state));
    f.option_fails({"the state is (2, 2, 8, 7), needs (2, 2, 8, 6)"}, heed::state(f.state), heed::decay(f.g));
    f.option_fails({"the state is (2, 2, 8, 7), needs (2, 2, 45, 7)"}, heed::state(f.state), heed::taylor);
    f.backward_fails({"the initial state's gradient is (2, 2, 8, 6), needs (2, 2, 8, 7)"},
                     heed::initial_state_gradient(f.plain_state));
    f.backward_fails({"the final state's gradient is (2, 2, 8, 6), needs (2, 2, 8, 7)"},
                     heed::final_state_gradient(f.plain_state));
}

TEST_CASE("gradients of gates of the wrong shape") {
    fixture f;
    tensor3 long_g(2, 2, 6);
    f.backward_fails({"the decay's gradient", "needs"}, heed::decay(f.g), heed::decay_gradient(long_g));
    f.backward_fails({"the gradient of beta", "needs"}, heed::delta(f.beta), heed::delta_gradient(long_g));
    f.backward_fails({"the decay's gradient has 3 axes, the decay has 4"}, heed::decay(f.feature_g),
                     heed::decay_gradient(long_g));
}

TEST_CASE("outputs that overlap") {
    fixture f;
    f.fails([&] { heed::linear_attention_into(f.k, f.q, f.k, tensor4(2, 2, 5, 8)); }, {"y"});
    tensor4 q(2, 2, 5, 8), v(2, 2, 5, 8);
    q.setZero(), v.setZero();
    f.fails([&] { heed::linear_attention_into(f.k, q, f.k, v); },
            {"heed::linear_attention_into: y overlaps k, needs memory of its own"});
    f.fails([&] { heed::linear_attention_into(v, q, f.k, v); }, {"y overlaps v"});
    // y one row further down than q
    tensor4 rows(1, 1, 6, 8);
    rows.setZero();
    const auto all = heed::as_view(rows);
    f.fails(
        [&] {
            heed::linear_attention_into(all.slice_positions(1, 5), all.slice_positions(0, 5),
                                        tensor4(1, 1, 5, 8), tensor4(1, 1, 5, 8));
        },
        {"y overlaps q, needs to be q itself or memory of its own"});
    heed::view<float> flat(f.y.data(), {2, 4, 5, 6}, {0, 0, 0, 1});
    f.fails([&] { heed::linear_attention_into(flat, f.q, f.k, f.v); }, {"y has strides (0, 0, 0, 1)"});

    // The state shares memory with an input, the output, a gate.
    const auto part = [](tensor4& t, long d_k, long d_v) {
        return heed::view<float>(t.data(), {1, 1, d_k, d_v});
    };
    tensor4 x(1, 1, 9, 8), k(1, 1, 9, 8), w(1, 1, 9, 8), y(1, 1, 9, 8);
    for (tensor4* t : {&x, &k, &w, &y}) t->setZero();
    f.fails([&] { heed::linear_attention_into(y, x, k, w, heed::causal, heed::state(part(k, 8, 9))); },
            {"the state overlaps k"});
    f.fails([&] { heed::linear_attention_into(y, x, k, w, heed::causal, heed::final_state(part(x, 8, 9))); },
            {"the final state overlaps q"});
    f.fails([&] { heed::linear_attention_into(y, x, k, w, heed::causal, heed::state(part(y, 8, 9))); },
            {"overlaps"});
    tensor4 g(1, 1, 9, 8);
    g.setZero();
    f.fails(
        [&] {
            heed::linear_attention_into(y, x, k, w, heed::causal, heed::decay(g),
                                        heed::final_state(part(g, 8, 8)));
        },
        {"overlaps the decay"});
    f.fails([&] { heed::linear_attention_into(g, x, k, w, heed::causal, heed::decay(g)); },
            {"y overlaps the decay"});
    const tensor4 first(1, 1, 8, 9);
    f.fails(
        [&] { heed::linear_attention_into(y, x, k, w, heed::causal, heed::initial_state(part(y, 8, 9))); },
        {"y overlaps the initial state"});

    f.fails([&] { heed::linear_attention_backward_into(x, k, k, y, x, w, w); }, {"overlaps"});
    tensor4 dq(1, 1, 9, 8), dk(1, 1, 9, 8), dv(1, 1, 9, 8);
    f.fails([&] { heed::linear_attention_backward_into(dq, dk, dk, y, x, k, w); }, {"dv overlaps dk"});
    f.fails([&] { heed::linear_attention_backward_into(dq, k, dv, y, x, k, w); }, {"dk overlaps k"});
    f.fails([&] { heed::linear_attention_backward_into(y, dk, dv, y, x, k, w); }, {"dq overlaps dy"});
    f.fails(
        [&] {
            heed::linear_attention_backward_into(dq, dk, dv, y, x, k, w, heed::causal, heed::decay(g),
                                                 heed::decay_gradient(g));
        },
        {"the decay's gradient overlaps the decay"});
}

TEST_CASE("states of a size that no memory holds") {
    fixture f;
    const long two32 = 1L << 32;
    const auto refused = [&](long b, long h, long n, long d, const char* words) {
        f.fails([=] { heed::linear_state<float> state(b, h, n, d); }, {"heed::linear_state: ", words});
    };
    refused(1, 1, 1, PTRDIFF_MAX, "value_features is 9223372036854775807, needs at most 2^31 - 2");
    refused(1, 1, two32, two32, "features is 4294967296, needs at most 2^31 - 2");
    refused(PTRDIFF_MAX, 1, 1, 1, "batch is 9223372036854775807");
    refused(1, two32, 1, 1, "kv_heads is 4294967296");
    refused(1, 1, -1, 1, "features is -1, needs a number that is not negative");
    const long most = 2147483646;
    refused(1, 1, most, most, "does not fit in memory");
    refused(1, most, most, 1, "does not fit in memory");
}

TEST_CASE("numbers that make no sense") {
    fixture f;
    f.option_fails({"favor has 0 features, needs at least 1"}, heed::favor(0, 1));
    f.option_fails({"favor has -3 features"}, heed::favor(-3, 1));
    f.option_fails({"favor has 9223372036854775807 features, needs at most 2^31 - 1"},
                   heed::favor(PTRDIFF_MAX, 1));
    f.fails(
        [] {
            static const float one = 1;
            const heed::view<const float> far(&one, {1, 1, 1, 70000}, {0, 0, 0, 0});
            (void)heed::linear_attention(far, far, far, heed::taylor);
        },
        {"heed::linear_attention: taylor makes 2450105001 features of 70000, needs at most 2^31 - 1"});
    f.option_fails({"scale is inf, needs a finite number"}, heed::scale(HUGE_VAL));
    f.fails([] { (void)heed::lightning(3, 2); }, {"heed::lightning: layer is 3 of 2"});
    f.fails([] { (void)heed::lightning(-1, 2); }, {"heed::lightning: layer is -1 of 2"});
}
