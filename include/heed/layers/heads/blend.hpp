// SPDX-License-Identifier: MIT
// heed/layers/heads/blend.hpp: two variants side by side in one multi-head layer, joined by a learned weight
//
//     y = s y1 + (1 - s) y2,   s = sigmoid(a) for each head,   da = s (1 - s) <dy, y1 - y2>
//
//     heed::multi_head_attention<float, heed::blend_heads<heed::exact_heads, heed::cummax_heads>> layer(…);
//     auto y = layer(x, heed::causal);
//
// Each variant has projections of its own, those of First in front, and as many features in its heads'
// outputs as the other. An option goes to every variant that takes it; one that neither takes is a
// compile-time error. Learns a (weight, one number a head, at first 0: half of each) and what the variants
// learn (first, second). A blend may itself be blended; none has a cross form.
//
// Cost: both variants, and one pass over their outputs; the tape keeps both outputs. extend() gives the heads
// the bits of the whole sequence where both variants do. Masks, and native's blocks, are checked before First
// moves on; what else Second refuses, such as a softcap below 0, ends a stream that has positions, and the
// calls behind it say so.
#pragma once

#include <cmath>

#include <heed/kernel/elementwise/blend.hpp>
#include <heed/layers/heads/concept.hpp>
#include <heed/layers/rows.hpp>
#include <heed/math.hpp>

namespace heed::inline HEED_ABI {

template <class T, class First, class Second>
struct blend_parameters {
    Eigen::Tensor<T, 1, Eigen::RowMajor> weight;  // (heads), before the sigmoid
    typename First::template parameters<T> first;
    typename Second::template parameters<T> second;

    blend_parameters() = default;
    blend_parameters(const attention_config& c, std::uint64_t seed)
        : weight(detail::constant_vector<T>(c.heads, 0)),
          first(c, detail::seed_for(seed, 0)),
          second(c, detail::seed_for(seed, 1)) {
        if (First::value_dim(c) != Second::value_dim(c))
            detail::fail("blend_heads", {"the variants' heads have outputs of ", First::value_dim(c), " and ",
                                         Second::value_dim(c), " features, needs as many of both"});
    }
    double share(index head) const { return 1 / (1 + std::exp(-static_cast<double>(weight(head)))); }
    double share_slope(index head) const {
        return detail::scalar::sigmoid_slope(static_cast<double>(weight(head)));
    }
    template <class F, class... P>
    static void each(F&& f, P&... p) {
        visit("weight", f, p.weight...);
        visit("first", f, p.first...);
        visit("second", f, p.second...);
    }
};

// Outputs of both variants and their gradients, (batch, position, heads * features); that of s.
template <class T, class First, class Second>
struct blend_tape {
    Eigen::Tensor<double, 1, Eigen::RowMajor> ds{0};
    Eigen::Tensor<T, 3, Eigen::RowMajor> y1{0, 0, 0}, y2{0, 0, 0}, d1{0, 0, 0}, d2{0, 0, 0};
    typename First::template tape<T> first;
    typename Second::template tape<T> second;
};
template <class T, class First, class Second>
struct blend_stream {
    bool torn = false;  // First moved on without Second, because of an error
    Eigen::Tensor<T, 3, Eigen::RowMajor> y2{0, 0, 0};
    typename First::template stream_state<T> first;
    typename Second::template stream_state<T> second;
};

template <class First, class Second>
struct blend_heads {
    static constexpr int streams = First::streams + Second::streams;
    static constexpr bool crosses = false;

    static stream_shape stream_of(const attention_config& c, int i) {
        return i < First::streams ? First::stream_of(c, i) : Second::stream_of(c, i - First::streams);
    }
    static index value_dim(const attention_config& c) { return First::value_dim(c); }
    static constexpr bool takes(option_kind kind) { return First::takes(kind) || Second::takes(kind); }

    template <class T>
    using parameters = blend_parameters<T, First, Second>;
    template <class T>
    using tape = blend_tape<T, First, Second>;
    template <class T>
    using stream_state = blend_stream<T, First, Second>;

    template <class... Options>
    static void validate(std::string_view function, const Options&... options) {
        detail::check_options_of<First>(function, options...);
        detail::check_options_of<Second>(function, options...);
    }

    template <class T, class... Options>
    static void forward(std::string_view function, const view<T>& y,
                        const std::array<view<const T>, streams>& u, const parameters<T>& learned,
                        tape<T>& kept, const Options&... options) {
        const view<T> y1 = fitted(kept.y1, y), y2 = fitted(kept.y2, y);
        detail::with_options_of<First>(
            [&](const auto&... o) {
                First::forward(function, y1, part<0, First::streams>(u), learned.first, kept.first, o...);
            },
            options...);
        detail::with_options_of<Second>(
            [&](const auto&... o) {
                Second::forward(function, y2, part<First::streams, Second::streams>(u), learned.second,
                                kept.second, o...);
            },
            options...);
        join<T>(y, y1, y2, learned, options...);
    }

    template <class T, class... Options>
    static void backward(std::string_view function, const std::array<view<T>, streams>& du,
                         const view<const T>& dy, const std::array<view<const T>, streams>& u,
                         const view<const T>&, const parameters<T>& learned, tape<T>& kept,
                         parameters<T>& gradients, const Options&... options) {
        const view<const T> y1 = fitted(kept.y1, dy), y2 = fitted(kept.y2, dy);
        const view<T> d1 = fitted(kept.d1, dy), d2 = fitted(kept.d2, dy);
        detail::fit(kept.ds, dy.heads());
        workspace own;
        detail::blend_backward<T>(
            d1, d2, kept.ds.data(), dy, y1, y2, [&](index h) { return learned.share(h); },
            detail::device_of(options...), detail::workspace_of(own, options...));
        detail::with_options_of<First>(
            [&](const auto&... o) {
                First::backward(function, part<0, First::streams>(du), view<const T>(d1),
                                part<0, First::streams>(u), y1, learned.first, kept.first, gradients.first,
                                o...);
            },
            options...);
        detail::with_options_of<Second>(
            [&](const auto&... o) {
                Second::backward(function, part<First::streams, Second::streams>(du), view<const T>(d2),
                                 part<First::streams, Second::streams>(u), y2, learned.second, kept.second,
                                 gradients.second, o...);
            },
            options...);
        for (index h = 0; h < dy.heads(); ++h)
            gradients.weight(h) += static_cast<T>(learned.share_slope(h) * kept.ds(h));
    }

    template <class T, class... Options>
    static void check_backward(std::string_view function, const std::array<view<const T>, streams>& u,
                               const Options&... options) {
        detail::check_heads_backward<First>(function, part<0, First::streams>(u), options...);
        detail::check_heads_backward<Second>(function, part<First::streams, Second::streams>(u), options...);
    }

    template <class T, class... Options>
    static void extend(std::string_view function, const view<T>& y,
                       const std::array<view<const T>, streams>& u, const parameters<T>& learned,
                       stream_state<T>& so_far, const Options&... options) {
        if (so_far.torn)
            detail::fail(function, {"the stream stopped at an error between the two variants of a blend; "
                                    "start a new one"});
        validate(function, options...);
        const view<T> y2 = fitted(so_far.y2, y);
        detail::with_options_of<First>(
            [&](const auto&... o) {
                First::extend(function, y, part<0, First::streams>(u), learned.first, so_far.first, o...);
            },
            options...);
        so_far.torn = true;
        detail::with_options_of<Second>(
            [&](const auto&... o) {
                Second::extend(function, y2, part<First::streams, Second::streams>(u), learned.second,
                               so_far.second, o...);
            },
            options...);
        so_far.torn = false;
        join<T>(y, y, y2, learned, options...);
    }

private:
    // Some of the projections.
    template <int From, int Count, class View>
    static std::array<View, Count> part(const std::array<View, streams>& u) {
        std::array<View, Count> some;
        for (std::size_t i = 0; i < some.size(); ++i) some[i] = u[static_cast<std::size_t>(From) + i];
        return some;
    }
    // Rows of the shape of y's heads.
    template <class T, class U>
    static view<T> fitted(Eigen::Tensor<T, 3, Eigen::RowMajor>& rows, const view<U>& y) {
        const index width = y.heads() * y.features();
        detail::fit(rows, y.batch(), y.positions(), width);
        return detail::dense_rows<T>{rows.data(), y.batch(), y.positions(), width}.heads_from(0, y.heads(),
                                                                                              y.features());
    }
    template <class T, class... Options>
    static void join(const view<T>& y, const view<const T>& y1, const view<const T>& y2,
                     const parameters<T>& learned, const Options&... options) {
        detail::blend<T>(y, y1, y2, [&](index h) { return learned.share(h); }, detail::device_of(options...));
    }
};

}  // namespace heed::inline HEED_ABI
