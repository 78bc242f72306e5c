// SPDX-License-Identifier: MIT
// heed/layers/heads/linear.hpp: linear attention as the inside of a multi-head layer
//
//     heed::multi_head_attention<float, heed::linear_heads> mha({.width = 512, .heads = 8});
//     auto y = mha(x, heed::causal);                         also heed::retention, heed::softmax_features, …
//
// Takes the options of heed::linear_attention: causal, a feature map, normalised and unnormalised, scale,
// decay(g) and delta(beta) of the caller's own, the known models (retention, lightning, gated_linear, mamba2,
// delta_net, efficient); initial_state and final_state, for a sequence in several calls with gradients; in a
// backward their gradients too. A backward may be given the forward's final_state, which it leaves as it is.
//
// In a stream the state is carried, whose size does not depend on the length: extend() needs a causal call
// and starts from an empty state. Cross attention is not causal: the first extend() after remember() reads
// the memory's keys and values, and keeps their sums in the stream; the next ones cost the same for a memory
// of any length (heed/layers/heads/memory_sums.hpp). Another feature map, or a memory remembered anew, has
// the sums made anew; under a feature_map(f) whose f has captures every call makes them, since there is no
// telling whether it is the same.
#pragma once

#include <heed/layers/heads/carried_state.hpp>
#include <heed/layers/heads/causal.hpp>
#include <heed/layers/heads/memory_sums.hpp>
#include <heed/linear.hpp>

namespace heed::inline HEED_ABI {

struct linear_heads {
    static constexpr int streams = 3;
    static constexpr bool crosses = true;

    static stream_shape stream_of(const attention_config& c, int i) {
        return {i == 0 ? c.heads : c.kv_heads, c.head_dim, i < 2};
    }
    static index value_dim(const attention_config& c) { return c.head_dim; }
    static constexpr bool takes(option_kind kind) {
        return detail::linear_kind(kind) || kind == option_kind::bundle || kind == option_kind::final_state ||
               kind == option_kind::initial_state_gradient || kind == option_kind::final_state_gradient ||
               kind == option_kind::decay_gradient || kind == option_kind::delta_gradient;
    }

    template <class T>
    using parameters = detail::no_parameters<T>;
    template <class T>
    struct tape {};
    template <class T>
    struct stream_state : detail::carried_state<T> {
        detail::memory_sums<T> memory;
    };

    template <class... Options>
    static void validate(std::string_view f, const Options&... options) {
        (detail::check_causal(f, options), ...);
    }

    template <class T, class... Options>
    static void forward(std::string_view f, const view<T>& y, const std::array<view<const T>, 3>& qkv,
                        const parameters<T>&, tape<T>&, const Options&... options) {
        detail::write_result_as(f, detail::linear_call{}, detail::tensors(y),
                                detail::tensors(qkv[0], qkv[1], qkv[2]), options...);
    }

    template <class T, class... Options>
    static void backward(std::string_view f, const std::array<view<T>, 3>& d, const view<const T>& dy,
                         const std::array<view<const T>, 3>& qkv, const view<const T>&, const parameters<T>&,
                         const tape<T>&, parameters<T>&, const Options&... options) {
        const auto run = [&](const auto&... o) {
            detail::write_result_as(f, detail::linear_backward_call{}, detail::tensors(d[0], d[1], d[2]),
                                    detail::tensors(qkv[0], qkv[1], qkv[2], dy), o...);
        };
        detail::without<option_kind::final_state>(run, options...);
    }

    // The gradients of states and of decays by feature, whose extents the feature map decides.
    template <class T, class... Options>
    static void check_backward(std::string_view f, const std::array<view<const T>, 3>& qkv,
                               const Options&... options) {
        constexpr bool of_decays = detail::count_of<option_kind::decay_gradient, Options...> > 0;
        if constexpr (of_decays || detail::count_of<option_kind::initial_state_gradient, Options...> > 0 ||
                      detail::count_of<option_kind::final_state_gradient, Options...> > 0) {
            const auto setup = setup_of(f, qkv, detail::all_options(options...));
            detail::check_state_extents<T>(f, setup.problem.state_extents(), options...);
            if constexpr (of_decays)
                detail::check_decay_gradient(f, detail::pick<option_kind::decay_gradient>(options...).to,
                                             setup.problem);
        }
    }

    template <class T, class... Options>
    static void extend(std::string_view f, const view<T>& y, const std::array<view<const T>, 3>& qkv,
                       const parameters<T>&, stream_state<T>& carried, const Options&... options) {
        detail::check_stream_options<Options...>();
        const auto all = detail::forward_options(options...);
        if constexpr (!is_causal<decltype(all)>) {
            detail::fail(f, {"a stream of linear attention needs heed::causal among the options"});
        } else {
            carried.advance(setup_of(f, qkv, all).problem.state_extents(), [&](auto& sums) {
                detail::write_result_as(f, detail::linear_call{}, detail::tensors(y),
                                        detail::tensors(qkv[0], qkv[1], qkv[2]), state(sums), options...);
            });
        }
    }

    template <class T, class... Options>
    static void extend_cross(std::string_view f, const view<T>& y, const std::array<view<const T>, 3>& qkv,
                             const parameters<T>& w, tape<T>& kept, stream_state<T>& s,
                             const Options&... options) {
        const auto all = detail::forward_options(options...);
        if constexpr (is_causal<decltype(all)>)
            forward(f, y, qkv, w, kept, options...);
        else
            s.memory.attend(f, y, qkv, all);
    }

private:
    template <class All>
    static constexpr bool is_causal = detail::tuple_has<option_kind::mask, std::remove_const_t<All>>;

    template <class T, class All>
    static auto setup_of(std::string_view f, const std::array<view<const T>, 3>& qkv, const All& all) {
        return detail::linear_setup<T, All>(f, all, qkv[0], qkv[1], qkv[2]);
    }
};

}  // namespace heed::inline HEED_ABI
