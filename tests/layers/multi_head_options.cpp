// SPDX-License-Identifier: MIT
// tests/layers/multi_head_options.cpp: every kind of option reaches the attention inside, forward and
// backward
#include <heed/sparse.hpp>
#include <heed/thread_pool.hpp>

#include "support/choice.hpp"
#include "support/dropped.hpp"
#include "support/multi_head_problem.hpp"

namespace {

using support::values;
constexpr long batch = 2, heads = 4, n = 9, width = 16;

// One layer, self or cross, and what its results have to be.
struct problem {
    support::random r;
    heed::multi_head_attention<double> layer;
    support::tensor<double, 3> x, memory;
    long keys;

    explicit problem(std::uint64_t seed, bool crosses = false)
        : r(seed),
          layer(support::random_multi_head<double>(
              {.width = width, .heads = heads, .kv_heads = 2, .memory_width = crosses ? 6 : 0}, r)),
          x(support::random_rows<double>(r, batch, n, width)),
          memory(support::random_rows<double>(r, batch, 7, 6)),
          keys(crosses ? 7 : n) {}
    bool crosses() const { return layer.config().memory_width > 0; }

    reference::problem inside(const std::function<void(reference::problem&)>& meaning) const {
        auto m = support::meant(layer, batch, n, keys);
        m.options = meaning;
        return reference::problem_of(m, values(x), values(memory));
    }
    template <class... Options>
    void check(const char* what, const std::function<void(reference::problem&)>& meaning,
               const Options&... options) const {
        auto m = support::meant(layer, batch, n, keys);
        m.options = meaning;
        const auto want = reference::solve_layer(m, values(x), values(memory));
        INFO(what);
        CHECK(support::layer_error<double>(
                  values(crosses() ? layer(x, memory, options...) : layer(x, options...)), want) <
              support::layer_rounding);
    }
    template <class... Options>
    void check_backward(const char* what, const Options&... options) const {
        const auto errors = crosses() ? support::layer_gradient(layer, x, memory, options...)
                                      : support::layer_gradient(layer, x, options...);
        INFO(what << ": " << errors.text());
        CHECK(errors.worst() <= 1e-6);
    }
    template <class... Options>
    void check_both(const char* what, const std::function<void(reference::problem&)>& meaning,
                    const Options&... options) const {
        check(what, meaning, options...);
        check_backward(what, options...);
    }
};

}  // namespace

TEST_CASE("masks") {
    const problem self(21), cross(22, true);
    const auto is_causal = [](reference::problem& p) {
        p.visible = [](reference::place i) { return i.key <= i.query; };
    };
    self.check_both("causal", is_causal, heed::causal);
    self.check_both(
        "window",
        [](reference::problem& p) {
            p.visible = [](reference::place i) { return i.key <= i.query && i.key >= i.query - 3; };
        },
        heed::causal, heed::window(3, 2));
    const std::vector<int> lengths{5, 2};
    cross.check_both(
        "key_lengths",
        [&](reference::problem& p) {
            p.visible = [&](reference::place i) { return i.key < lengths[std::size_t(i.batch)]; };
        },
        heed::key_lengths(lengths));
    const auto odd = [](const auto& i) { return (i.query + i.key + i.head) % 3 != 1; };
    cross.check_both(
        "mask_if", [&](reference::problem& p) { p.visible = odd; },
        heed::mask_if([](heed::at i) { return (i.query + i.key + i.head) % 3 != 1; }));
    support::tensor<bool, 3> table(heads, n, n);
    for (long i = 0; i < table.size(); ++i) table.data()[i] = i % 5 != 2;
    self.check_both(
        "mask",
        [&](reference::problem& p) {
            p.visible = [&](reference::place i) { return table(i.head, i.query, i.key); };
        },
        heed::mask(table));
}

TEST_CASE("scores") {
    const problem self(23), cross(24, true);
    self.check_both("scale", [](reference::problem& p) { p.scale = 0.3; }, heed::scale(0.3));
    cross.check_both("softcap", [](reference::problem& p) { p.softcap = 1.5; }, heed::softcap(1.5));
    self.check_both(
        "score",
        [](reference::problem& p) {
            p.score = [](double s, reference::place i) { return s - 0.1 * double(i.query - i.key) + s * s; };
        },
        heed::score([](auto s, heed::at i) { return s - 0.1 * (i.query - i.key) + s * s; }));
    const std::vector<double> slopes{0.5, 0.25, 0.1, 0.02};
    const auto sloped = [&](reference::problem& p) {
        const long shift = p.keys - p.queries;
        p.bias = [&slopes, shift](reference::place i) {
            return -slopes[std::size_t(i.head)] * std::fabs(double(i.query + shift - i.key));
        };
    };
    self.check_both("alibi", sloped, heed::alibi(slopes));
    const std::vector<double> sinks{0.5, -1, 2, 0};
    const auto sunk = [&](reference::problem& p) { p.sinks = sinks; };
    cross.check_both("sinks", sunk, heed::sinks(sinks));

    // A bias, and the gradients of what is added to scores.
    support::random r(25);
    support::tensor<double, 3> bias(heads, n, n), d_bias(heads, n, n);
    support::fill_normal(bias, r);
    self.check_both(
        "bias",
        [&](reference::problem& p) {
            p.bias = [&](reference::place i) { return bias(i.head, i.query, i.key); };
        },
        heed::bias(bias));
    support::tensor<double, 1> slopes_(heads), sinks_(heads), d_slopes(heads), d_sinks(heads);
    support::fill_normal(slopes_, r);
    support::fill_normal(sinks_, r);
    const auto forward = [&](heed::multi_head_attention<double>::tape& tape) {
        return self.layer.forward(self.x, tape, heed::bias(bias), heed::alibi(slopes_), heed::sinks(sinks_));
    };
    heed::multi_head_attention<double>::tape tape;
    auto dy = forward(tape);
    support::fill_normal(dy, r);
    auto g = heed::zeros_like(self.layer.weights);
    (void)self.layer.backward(dy, self.x, tape, g, heed::bias(bias), heed::alibi(slopes_),
                              heed::sinks(sinks_), heed::bias_gradient(d_bias),
                              heed::slopes_gradient(d_slopes), heed::sinks_gradient(d_sinks));
    const auto loss = [&] {
        heed::multi_head_attention<double>::tape own;
        return support::inner_product(forward(own), dy);
    };
    support::gradient_errors errors;
    support::check_input(errors, "bias", bias, d_bias, loss);
    support::check_input(errors, "slopes", slopes_, d_slopes, loss);
    support::check_input(errors, "sinks", sinks_, d_sinks, loss);
    INFO(errors.text());
    CHECK(errors.worst() <= 1e-6);
}

TEST_CASE("dropout") {
    const problem self(26), cross(27, true);
    for (const problem* p : {&self, &cross}) {
        const support::kept_weights kept(batch, heads, n, p->keys, 0.25, 99);
        CHECK(std::count(kept.kept.begin(), kept.kept.end(), false) > 10);
        p->check_both(
            "dropout", [&](reference::problem& inside) { inside.keep = kept; }, heed::dropout(0.25, 99));
    }
}

TEST_CASE("selectors, and what they promise") {
    const problem self(28), cross(29, true);
    for (const problem* p : {&self, &cross})
        p->check_both(
            "top_k",
            [](reference::problem& inside) {
                support::keep_only(inside, [](const std::vector<double>& row, reference::place) {
                    return support::best_of(row, 3);
                });
            },
            heed::top_k(3));
    // The whole mass leaves nothing to choose.
    support::tensor<double, 3> coverage(batch, heads, n);
    coverage.setZero();
    self.check("certified", {}, heed::certified(1.0), heed::coverage(coverage));
    CHECK(support::max_error(values(coverage), std::vector<double>(values(coverage).size(), 1.0)) == 0);
}

TEST_CASE("weights and scores are written on the way") {
    const problem cross(30, true);
    support::tensor<double> weights(batch, heads, n, 7), scores(batch, heads, n, 7);
    cross.check("weights", {}, heed::weights(weights), heed::scores(scores, heed::stage::raw));
    const auto truth = reference::solve<double>(cross.inside({}));
    CHECK(support::max_error(values(weights), truth.weights) < 1e-14);
    CHECK(support::max_error(values(scores), truth.raw) < 1e-13);
}

TEST_CASE("all at once, on threads and in a workspace") {
    const problem cross(31, true);
    const heed::thread_pool pool(3);
    heed::workspace memory;
    const std::vector<int> lengths{6, 3};
    const std::vector<double> sinks{0.5, -1, 2, 0};
    const auto meaning = [&](reference::problem& p) {
        p.visible = [&](reference::place i) {
            return i.key < lengths[std::size_t(i.batch)] && i.key >= i.query - 6;
        };
        p.softcap = 2;
        p.sinks = sinks;
    };
    cross.check_both("all", meaning, heed::key_lengths(lengths), heed::softcap(2), heed::on(pool),
                     heed::use(memory), heed::sinks(sinks),
                     heed::mask_if([](heed::at i) { return i.key >= i.query - 6; }));
}
