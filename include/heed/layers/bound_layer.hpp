// SPDX-License-Identifier: MIT
// heed/layers/bound_layer.hpp: a layer's calls with options that are given once
//
//     auto call = layer.with(heed::causal, heed::dropout(0.1, seed));
//     auto y = call.forward(x, tape);
//     auto dx = call.backward(dy, x, tape, gradients);             with the same options, whatever happens
//
// Every call of the layer is one here, and may have more options behind its arguments: on(device),
// use(workspace), and in a backward the gradients of what options read. Of the bound options a backward
// leaves away what only a forward writes, weights(t) for instance, and a forward what only a backward does.
//
// Keeps a pointer to the layer, and options by value, which refer to their tensors.
#pragma once

#include <tuple>
#include <utility>

#include <heed/layers/layer_options.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

enum class way { forward, back };

// An option as a list of one, or of none where this way has no use for it.
template <way Way, class O>
auto option_this_way(const O& o) {
    if constexpr (Way == way::forward ? backward_alone(O::kind) : forward_alone(O::kind))
        return std::tuple<>();
    else
        return std::tuple<const O&>(o);
}
template <way Way, class... Inner>
auto option_this_way(const memory_option<Inner...>& o) {
    const auto of = [](const auto&... inner) {
        return std::apply([](const auto&... used) { return std::tuple(memory_option(used...)); },
                          std::tuple_cat(option_this_way<Way>(inner)...));
    };
    return std::apply(of, o.options);
}

}  // namespace detail

template <class Layer, class... Bound>
class bound_layer {
public:
    explicit bound_layer(Layer& layer, const Bound&... options) : layer_(&layer), options_(options...) {}

    template <class... A>
    auto operator()(A&&... a) const {
        return run<detail::way::forward>(
            [&](const auto&... o) { return (*layer_)(std::forward<A>(a)..., o...); });
    }
    template <class... A>
    auto forward(A&&... a) const {
        return run<detail::way::forward>(
            [&](const auto&... o) { return layer_->forward(std::forward<A>(a)..., o...); });
    }
    template <class... A>
    void forward_into(A&&... a) const {
        run<detail::way::forward>(
            [&](const auto&... o) { layer_->forward_into(std::forward<A>(a)..., o...); });
    }
    template <class... A>
    auto backward(A&&... a) const {
        return run<detail::way::back>(
            [&](const auto&... o) { return layer_->backward(std::forward<A>(a)..., o...); });
    }
    template <class... A>
    void backward_into(A&&... a) const {
        run<detail::way::back>([&](const auto&... o) { layer_->backward_into(std::forward<A>(a)..., o...); });
    }
    template <class... A>
    auto extend(A&&... a) const {
        return run<detail::way::forward>(
            [&](const auto&... o) { return layer_->extend(std::forward<A>(a)..., o...); });
    }
    template <class... A>
    void extend_into(A&&... a) const {
        run<detail::way::forward>(
            [&](const auto&... o) { layer_->extend_into(std::forward<A>(a)..., o...); });
    }
    template <class... A>
    void remember(A&&... a) const {
        run<detail::way::forward>([&](const auto&... o) { layer_->remember(std::forward<A>(a)..., o...); });
    }

private:
    Layer* layer_;
    std::tuple<Bound...> options_;

    template <detail::way Way, class Run>
    decltype(auto) run(const Run& body) const {
        const auto call = [&](const auto&... o) {
            return std::apply(body, std::tuple_cat(detail::option_this_way<Way>(o)...));
        };
        return std::apply(call, options_);
    }
};

}  // namespace heed::inline HEED_ABI
