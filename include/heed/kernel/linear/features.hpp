// SPDX-License-Identifier: MIT
// heed/kernel/linear/features.hpp: the feature map of a call, bound to its sizes
#pragma once

#include <string_view>

#include <heed/core/error.hpp>
#include <heed/kernel/linear/maps.hpp>
#include <heed/linear/features.hpp>

namespace heed::inline HEED_ABI::detail {

// f and its derivative, each as a callable made from the option.
template <class F, class Derivative>
struct callable_value {
    callable_features<F, Derivative> option;
    template <class T>
    HEED_INLINE T operator()(T x) const {
        return static_cast<T>(option.f(x));
    }
};
template <class F, class Derivative>
struct callable_slope {
    callable_features<F, Derivative> option;
    template <class T>
    HEED_INLINE T operator()(T x) const {
        return static_cast<T>(option.derivative(x));
    }
};

// Keeps what the maps of a problem point to.
template <class E>
struct bound_features {
    using T = typename linear_problem<E>::T;

    template <named_map Which>
    void bind(std::string_view function, const named_features<Which>&, linear_problem<E>& p,
              const linear_leaves<E>& leaf) {
        p.features = p.inputs;
        if constexpr (Which == named_map::elu1)
            p.query_map = p.key_map = {nullptr, 0, leaf.elu1, leaf.elu1_gradient};
        else if constexpr (Which == named_map::relu)
            p.query_map = p.key_map = {nullptr, 0, leaf.relu, leaf.relu_gradient};
        else if constexpr (Which == named_map::softmax || Which == named_map::softmax_positions)
            p.query_map = p.key_map = {nullptr, 0, leaf.softmax, leaf.softmax_gradient};
        else if constexpr (Which == named_map::taylor) {
            p.features = taylor_features(p.inputs);
            if (p.features > longest_axis)
                fail(function,
                     {"taylor makes ", p.features, " features of ", p.inputs, ", needs at most 2^31 - 1"});
            p.query_map = p.key_map = {nullptr, 0, &taylor_map<T>, &taylor_gradient<T>};
        }
        if constexpr (Which == named_map::softmax_positions) {
            p.over_positions = true;
            p.key_map = {nullptr, 0, leaf.columns, leaf.columns_gradient};
        }
    }

    void bind(std::string_view function, const favor_features& o, linear_problem<E>& p,
              const linear_leaves<E>&) {
        if (o.count <= 0) fail(function, {"favor has ", o.count, " features, needs at least 1"});
        if (o.count > longest_axis)
            fail(function, {"favor has ", o.count, " features, needs at most 2^31 - 1"});
        p.features = p.random_features = o.count;
        p.seed = o.seed;
        p.query_map = p.key_map = {nullptr, 0, &favor_map<E>, &favor_gradient<E>};
    }

    template <class F, class Derivative>
    void bind(std::string_view, const callable_features<F, Derivative>& o, linear_problem<E>& p,
              const linear_leaves<E>&) {
        p.features = p.inputs;
        p.query_map =
            p.key_map = {&o, 0, callable_map_on_target<callable_value<F, Derivative>, T>(), nullptr};
        if constexpr (!std::is_same_v<Derivative, no_derivative>)
            p.query_map.gradient = p.key_map.gradient =
                callable_gradient_on_target<callable_slope<F, Derivative>, T>();
    }
};

}  // namespace heed::inline HEED_ABI::detail
