// SPDX-License-Identifier: MIT
// heed/layers/heads/running.hpp: what all heads that carry a running maximum have in common
//
// The maximum looks at what came before, so of the masks they take heed::causal alone, which says what they
// do anyway, and in a stream one position costs O(1) time and memory.
#pragma once

#include <heed/cummax.hpp>
#include <heed/layers/heads/causal.hpp>

namespace heed::inline HEED_ABI::detail {

// The maxima so far, (batch, head, 1, feature).
template <class T>
struct running_maxima {
    Eigen::Tensor<T, 4, Eigen::RowMajor> most{0, 0, 0, 0};

    // Before the first position nothing was seen; later ones have to be of the same batch entries.
    auto as_option(const view<const T>& x) {
        if (most.size() == 0) {
            fit(most, x.batch(), x.heads(), index{1}, x.features());
            most.setConstant(minus_infinity<T>());
        }
        return state(most);
    }
};

// Every projection has the features of the output; rotary positions rotate none.
template <int Projections>
struct running_streams {
    static constexpr int streams = Projections;
    static constexpr bool crosses = false;
    static stream_shape stream_of(const attention_config& c, int) { return {c.heads, c.head_dim, false}; }
    static index value_dim(const attention_config& c) { return c.head_dim; }
    template <class... Options>
    static void validate(std::string_view function, const Options&... options) {
        check_all_causal(function, options...);
    }
};

// Heads of three projections o, a1, a2 that learn nothing of their own, made of a call and its backward; Own
// are the options they take.
template <class Forward, class Backward, option_kind... Own>
struct running_heads : running_streams<3> {
    static constexpr bool takes(option_kind kind) {
        return ((kind == Own) || ...) || kind == option_kind::mask || resource_kind(kind);
    }
    template <class T>
    using parameters = no_parameters<T>;
    template <class T>
    using tape = no_tape<T>;
    template <class T>
    using stream_state = running_maxima<T>;

    template <class T, class... Options>
    static void forward(std::string_view function, const view<T>& y, const std::array<view<const T>, 3>& u,
                        const parameters<T>&, tape<T>&, const Options&... options) {
        run(function, y, u, options...);
    }
    template <class T, class... Options>
    static void backward(std::string_view function, const std::array<view<T>, 3>& du, const view<const T>& dy,
                         const std::array<view<const T>, 3>& u, const view<const T>&, const parameters<T>&,
                         const tape<T>&, parameters<T>&, const Options&... options) {
        with_causal(
            function,
            [&](const auto&... taken) {
                write_result_as(function, Backward{}, tensors(du[0], du[1], du[2]),
                                tensors(u[0], u[1], u[2], dy), taken...);
            },
            options...);
    }
    template <class T, class... Options>
    static void extend(std::string_view function, const view<T>& y, const std::array<view<const T>, 3>& u,
                       const parameters<T>&, stream_state<T>& seen, const Options&... options) {
        run(function, y, u, seen.as_option(u[0]), options...);
    }

private:
    template <class T, class... Options>
    static void run(std::string_view function, const view<T>& y, const std::array<view<const T>, 3>& u,
                    const Options&... options) {
        with_causal(
            function,
            [&](const auto&... taken) {
                write_result_as(function, Forward{}, tensors(y), tensors(u[0], u[1], u[2]), taken...);
            },
            options...);
    }
};

}  // namespace heed::inline HEED_ABI::detail
