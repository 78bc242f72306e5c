// SPDX-License-Identifier: MIT
// heed/layers/heads/maxstate_super.hpp: maxstate_super (OpenASH, FRSMASH) as the inside of a multi-head layer
//
//     a, b, c, d = x W_in                         (batch, head, position, head_dim) each
//     e = cummax over positions of c
//     y = a b + k1 b + k2 d + a (k3 e + d) + b (c + e) + c e [+ w e],     w = M [a, b, c, d, e] over heads
//
// Learns k (alphas, three numbers that start at 0.5) and, as maxstate_super_mixed_heads, M (head_mix, heads x
// 5 heads). The published code joins heads feature by feature instead of head by head, a fixed permutation
// of W_in's columns and of y's.
//
// Options: on, use; heed::causal changes nothing, another mask is an error. Cost: O(1) time a position and
// channel, with the mix O(heads); a stream carries one number a channel. extend() gives the heads the bits
// of the whole sequence.
#pragma once

#include <heed/layers/heads/running.hpp>

namespace heed::inline HEED_ABI {

template <class T, bool Mixes>
struct maxstate_super_parameters {
    Eigen::Tensor<T, 1, Eigen::RowMajor> alphas;
    Eigen::Tensor<T, 2, Eigen::RowMajor> head_mix;  // (heads, 5 heads), or empty

    maxstate_super_parameters() = default;
    maxstate_super_parameters(const attention_config& c, std::uint64_t seed)
        : alphas(detail::constant_vector<T>(3, static_cast<T>(0.5))),
          head_mix(Mixes ? c.heads : 0, Mixes ? mixed(c.heads) : 0) {
        detail::fill_projection(head_mix, seed, 0.2);  // each output is a sum of 5 heads terms
    }
    std::array<double, 3> three() const {
        return {static_cast<double>(alphas(0)), static_cast<double>(alphas(1)),
                static_cast<double>(alphas(2))};
    }
    template <class F, class... P>
    static void each(F&& f, P&... p) {
        visit("alphas", f, p.alphas...);
        visit("head_mix", f, p.head_mix...);
    }

private:
    static index mixed(index heads) {
        const index columns = detail::checked_product("maxstate_super_heads", 5, heads);
        detail::checked_product("maxstate_super_heads", columns, heads);
        return columns;
    }
};

namespace detail {

// The gradient of a head mix before it is added to that of other calls.
template <class T>
struct head_mix_tape {
    parameter_matrix<T> d_mix{0, 0};
};

template <bool Mixes>
struct maxstate_super_heads : running_streams<4> {
    static constexpr bool takes(option_kind kind) { return kind == option_kind::mask || resource_kind(kind); }
    template <class T>
    using parameters = maxstate_super_parameters<T, Mixes>;
    template <class T>
    using tape = head_mix_tape<T>;
    template <class T>
    using stream_state = running_maxima<T>;

    template <class T, class... Options>
    static void forward(std::string_view function, const view<T>& y, const std::array<view<const T>, 4>& u,
                        const parameters<T>& learned, tape<T>&, const Options&... options) {
        run(function, y, u, learned, options...);
    }
    template <class T, class... Options>
    static void backward(std::string_view function, const std::array<view<T>, 4>& du, const view<const T>& dy,
                         const std::array<view<const T>, 4>& u, const view<const T>&,
                         const parameters<T>& learned, tape<T>& kept, parameters<T>& gradients,
                         const Options&... options) {
        const std::array<double, 3> alphas = learned.three();
        std::array<double, 3> d_alphas{};
        const auto call = [&](const auto&... taken) {
            write_result_as(function, maxstate_super_backward_call{{}, alphas, d_alphas},
                            tensors(du[0], du[1], du[2], du[3]), tensors(u[0], u[1], u[2], u[3], dy),
                            taken...);
        };
        if constexpr (Mixes) {
            fit(kept.d_mix, learned.head_mix.dimension(0), learned.head_mix.dimension(1));
            with_causal(function, call, head_mix(learned.head_mix), head_mix_gradient(kept.d_mix),
                        options...);
            for (index i = 0; i < static_cast<index>(kept.d_mix.size()); ++i)
                gradients.head_mix.data()[i] += kept.d_mix.data()[i];
        } else {
            with_causal(function, call, options...);
        }
        for (index i = 0; i < 3; ++i)
            gradients.alphas(i) += static_cast<T>(d_alphas[static_cast<std::size_t>(i)]);
    }
    template <class T, class... Options>
    static void extend(std::string_view function, const view<T>& y, const std::array<view<const T>, 4>& u,
                       const parameters<T>& learned, stream_state<T>& seen, const Options&... options) {
        run(function, y, u, learned, seen.as_option(u[0]), options...);
    }

private:
    template <class T, class... Options>
    static void run(std::string_view function, const view<T>& y, const std::array<view<const T>, 4>& u,
                    const parameters<T>& learned, const Options&... options) {
        const std::array<double, 3> alphas = learned.three();
        const auto call = [&](const auto&... taken) {
            write_result_as(function, maxstate_super_call{{}, alphas}, tensors(y),
                            tensors(u[0], u[1], u[2], u[3]), taken...);
        };
        if constexpr (Mixes)
            with_causal(function, call, head_mix(learned.head_mix), options...);
        else
            with_causal(function, call, options...);
    }
};

}  // namespace detail

using maxstate_super_heads = detail::maxstate_super_heads<false>;
using maxstate_super_mixed_heads = detail::maxstate_super_heads<true>;

}  // namespace heed::inline HEED_ABI
