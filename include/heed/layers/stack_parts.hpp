// SPDX-License-Identifier: MIT
// heed/layers/stack_parts.hpp: what a stack of layers learns, keeps and carries, and its steps
//
// One struct of the layer's parts serves all layers, which differ in nothing but their weights.
#pragma once

#include <algorithm>
#include <cstdio>
#include <vector>

#include <heed/layers/calls.hpp>
#include <heed/layers/residual.hpp>
#include <heed/score/dropout.hpp>

namespace heed::inline HEED_ABI {

template <class Config>
struct stack_config {
    index count = 0;
    Config layer{};
};

template <class Parameters>
struct stack_parameters {
    std::vector<Parameters> layers;

    template <class F, class... P>
    static void each(F&& f, P&... p) {
        visit("", f, p.layers...);  // 0.…, 1.…
    }
};

// Inputs of the layers behind the first, and gradients on their way down.
template <class T, class Tape>
struct stack_tape {
    using rows = Eigen::Tensor<T, 3, Eigen::RowMajor>;
    std::vector<Tape> layers;
    std::vector<rows> between;
    rows d_between[2] = {rows(0, 0, 0), rows(0, 0, 0)}, d_second{0, 0, 0};
    detail::option_marks forward_options;
};
template <class T, class Stream>
struct stack_stream {
    std::vector<Stream> layers;
    std::vector<Eigen::Tensor<T, 3, Eigen::RowMajor>> between;  // of the current call
};

namespace detail {

template <class Layer, class Parts>
Parts parts_of_layer(const layer_calls<Layer, Parts>&);

// The options of layer i: a dropout of its own.
template <class O>
auto layer_option(std::uint64_t, const O& o) {
    return std::tuple<const O&>(o);
}
inline auto layer_option(std::uint64_t i, const dropout_option& o) {
    return std::tuple(dropout_option(o.probability, seed_for(o.seed, i)));
}

template <class Layer>
struct stack_parts : layer_facts {
    using parts = decltype(parts_of_layer(std::declval<const Layer&>()));
    static_assert(
        parts::keeps_tape && !requires(parts& p) { p.running; },
        "heed::stack<Layer>: Layer keeps a tape and does not change while it is trained; "
        "encoder_layer<float>, for instance");
    static constexpr literal name{"stack"};
    static constexpr bool reads_second = parts::reads_second, needs_second = parts::needs_second;
    static constexpr bool stream_reads_second = parts::stream_reads_second;
    static constexpr const char* second_name = parts::second_name;
    static constexpr const char* d_second_name = parts::d_second_name;
    using value = typename parts::value;
    using T = value;
    using config_type = stack_config<typename parts::config_type>;
    using parameters = stack_parameters<typename parts::parameters>;
    using tape = stack_tape<T, typename parts::tape>;
    using stream = stack_stream<T, typename stream_type_of<parts>::type>;
    using rows = dense_rows<T>;
    using read_rows = dense_rows<const T>;
    config_type config_;
    parts layer_;

    stack_parts() = default;
    explicit stack_parts(const config_type& c) : config_(c), layer_(c.layer) {
        if (c.count <= 0) fail("stack", {"count is ", c.count, ", needs at least 1"});
        config_.layer = layer_.config_;
    }
    parameters start(std::uint64_t seed) const {
        parameters w;
        for (std::uint64_t i = 0; i < count(); ++i) w.layers.push_back(layer_.start(seed_for(seed, i)));
        return w;
    }
    index input_width() const { return layer_.input_width(); }
    index output_width() const { return layer_.output_width(); }
    std::size_t count() const { return static_cast<std::size_t>(config_.count); }

    template <class... Options>
    static constexpr bool options() {
        return parts::template options<Options...>();
    }

    // body(f, i) of each layer, f naming it in an error.
    template <class Body>
    void each(std::string_view f, const Body& body) const {
        for (std::size_t i = 0; i < count(); ++i) {
            char text[96];
            const int length =
                std::snprintf(text, sizeof text, "%.*s: layer %zu", static_cast<int>(f.size()), f.data(), i);
            body(std::string_view(text, static_cast<std::size_t>(length)), i);
        }
    }
    template <class Run, class... Options>
    static void with_options([[maybe_unused]] std::size_t i, const Run& run, const Options&... options) {
        std::apply(run, std::tuple_cat(layer_option(static_cast<std::uint64_t>(i), options)...));
    }
    void check_count(std::string_view f, const char* what, std::size_t got) const {
        if (got != count()) fail(f, {what, " are of ", got, " layers, needs ", count()});
    }

    template <class... Options>
    void check_forward(std::string_view f, const parameters& w, const forward_rows<T>& r,
                       const Options&... options) const {
        check_count(f, "weights", w.layers.size());
        each(f, [&](std::string_view of, std::size_t i) {
            layer_.check_forward(of, w.layers[i], r, options...);
        });
    }
    template <class... Options>
    void run_forward(std::string_view f, const parameters& w, const forward_rows<T>& r, tape* kept,
                     workspace& scratch, const Options&... options) const {
        call_rows taken(scratch);
        rows two[2];
        if (kept != nullptr) {
            kept->layers.resize(count());
            fit_between(kept->between, r.x);
        } else if (count() > 1) {
            for (rows& one : two)
                one = {taken.take<T>(static_cast<std::size_t>(r.x.rows() * r.x.width)), r.x.batch,
                       r.x.positions, r.x.width};
        }
        run_layers(r, kept == nullptr ? nullptr : &kept->between, two, [&](std::size_t i, const auto& at) {
            with_options(
                i,
                [&](const auto&... o) {
                    layer_.run_forward(f, w.layers[i], at, kept == nullptr ? nullptr : &kept->layers[i],
                                       scratch, o...);
                },
                options...);
        });
    }

    template <class... Options>
    void check_backward(std::string_view f, const parameters& w, const backward_rows<T>& r, const tape& kept,
                        const parameters& g, const Options&... options) const {
        check_count(f, "weights", w.layers.size());
        check_count(f, "gradients", g.layers.size());
        check_count(f, "forwards on the tape", kept.layers.size());
        each(f, [&](std::string_view of, std::size_t i) {
            layer_.check_backward(of, w.layers[i], r, kept.layers[i], g.layers[i], options...);
        });
    }
    template <class... Options>
    void run_backward(std::string_view f, const parameters& w, const backward_rows<T>& r, tape& kept,
                      parameters& g, workspace& scratch, const Options&... options) const {
        for (auto& d : kept.d_between) fit(d, r.x.batch, r.x.positions, r.x.width);
        rows more;  // what a layer adds to the gradient of the second input
        const bool sums = r.d_second != nullptr && !parts::adds_second && count() > 1;
        if (sums) {
            fit(kept.d_second, r.second->batch, r.second->positions, r.second->width);
            more = rows_in(kept.d_second);
        }
        read_rows dy = r.dy;
        for (std::size_t i = count(); i-- > 0;) {
            const rows dx = i == 0 ? r.dx : rows_in(kept.d_between[i % 2]);
            const read_rows x = i == 0 ? r.x : rows_in(std::as_const(kept.between[i - 1]));
            const bool adds = sums && i + 1 < count();
            with_options(
                i,
                [&](const auto&... o) {
                    layer_.run_backward(f, w.layers[i], {dx, adds ? &more : r.d_second, dy, x, r.second},
                                        kept.layers[i], g.layers[i], scratch, o...);
                },
                options...);
            if (adds) add_rows(*r.d_second, *r.d_second, more);
            dy = dx;
        }
    }

    template <class... Options>
    void check_extend(std::string_view f, const parameters& w, const forward_rows<T>& r, const stream& s,
                      const Options&... options) const {
        check_count(f, "weights", w.layers.size());
        if (!s.layers.empty()) check_count(f, "positions of the stream", s.layers.size());
        const typename stream_type_of<parts>::type fresh{};
        each(f, [&](std::string_view of, std::size_t i) {
            layer_.check_extend(of, w.layers[i], r, s.layers.empty() ? fresh : s.layers[i], options...);
        });
    }
    template <class... Options>
    void run_extend(std::string_view f, const parameters& w, const forward_rows<T>& r, stream& s,
                    workspace& scratch, const Options&... options) const {
        s.layers.resize(count());
        fit_between(s.between, r.x);
        run_layers(r, &s.between, nullptr, [&](std::size_t i, const auto& at) {
            with_options(
                i,
                [&](const auto&... o) { layer_.run_extend(f, w.layers[i], at, s.layers[i], scratch, o...); },
                options...);
        });
    }
    void check_remember(std::string_view f, const parameters& w, const read_rows& m, const stream& s) const {
        check_count(f, "weights", w.layers.size());
        const typename stream_type_of<parts>::type fresh{};
        each(f, [&](std::string_view of, std::size_t i) {
            layer_.check_remember(of, w.layers[i], m, s.layers.empty() ? fresh : s.layers[i]);
        });
    }
    template <class... Options>
    void run_remember(std::string_view f, const parameters& w, const read_rows& m, stream& s,
                      workspace& scratch, const Options&... options) const {
        s.layers.resize(count());
        for (std::size_t i = 0; i < count(); ++i)
            layer_.run_remember(f, w.layers[i], m, s.layers[i], scratch, options...);
    }

private:
    void fit_between(auto& between, const read_rows& x) const {
        between.resize(count() - 1);
        for (auto& one : between) fit(one, x.batch, x.positions, x.width);
    }
    // run(i, rows of layer i): from x through the rows between to y.
    template <class Run>
    void run_layers(const forward_rows<T>& r, std::vector<Eigen::Tensor<T, 3, Eigen::RowMajor>>* between,
                    const rows* two, const Run& run) const {
        read_rows from = r.x;
        for (std::size_t i = 0; i < count(); ++i) {
            const rows to = i + 1 == count() ? r.y : between != nullptr ? rows_in((*between)[i]) : two[i % 2];
            run(i, forward_rows<T>{to, from, r.second});
            from = to;
        }
    }
};

}  // namespace detail
}  // namespace heed::inline HEED_ABI
