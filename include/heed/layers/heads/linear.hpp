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

    template <class T, class... Options>
    static void forward(std::string_view f, const view<T>& y, const std::array<view<const T>, 3>& qkv,
                        const parameters<T>&, tape<T>&, const Options&... options) {
        with_one_causal(
            f, [&](const auto&... o) { linear_attention_into(y, qkv[0], qkv[1], qkv[2], o...); }, options...);
    }

    template <class T, class... Options>
    static void backward(std::string_view f, const std::array<view<T>, 3>& d, const view<const T>& dy,
                         const std::array<view<const T>, 3>& qkv, const view<const T>&, const parameters<T>&,
                         const tape<T>&, parameters<T>&, const Options&... options) {
        const auto run = [&](const auto&... o) {
            linear_attention_backward_into(d[0], d[1], d[2], dy, qkv[0], qkv[1], qkv[2], o...);
        };
        detail::without<option_kind::final_state>([&](const auto&... o) { with_one_causal(f, run, o...); },
                                                  options...);
    }

    // The gradients of states, whose extents the feature map decides.
    template <class T, class... Options>
    static void check_backward(std::string_view f, const std::array<view<const T>, 3>& qkv,
                               const Options&... options) {
        const auto validate = [&](const auto&... o) {
            using all_options = std::remove_const_t<decltype(detail::all_options(o...))>;
            if constexpr (detail::tuple_has<option_kind::initial_state_gradient, all_options> ||
                          detail::tuple_has<option_kind::final_state_gradient, all_options>) {
                auto all = detail::all_options(o...);
                const auto& leaves = detail::linear_leaves_on_target<T>();
                const detail::linear_setup<T, all_options> setup(f, all, qkv[0], qkv[1], qkv[2], leaves);
                const auto& p = setup.problem;
                detail::check_state_extents<T>(
                    f, {p.batch, p.kv_heads, p.features, p.value_features + (p.normalised ? 1 : 0)}, o...);
            }
        };
        detail::without<option_kind::final_state>(
            [&](const auto&... o) { with_one_causal(f, validate, o...); }, options...);
        const auto decays = [&](const auto&... o) { check_decay_gradient(f, qkv, o...); };
        detail::without<option_kind::final_state>([&](const auto&... o) { with_one_causal(f, decays, o...); },
                                                  options...);
    }

    template <class T, class... Options>
    static void extend(std::string_view f, const view<T>& y, const std::array<view<const T>, 3>& qkv,
                       const parameters<T>&, stream_state<T>& carried, const Options&... options) {
        detail::check_stream_options<Options...>();
        with_one_causal(f, [&](const auto&... o) { extend_once(f, y, qkv, carried, o...); }, options...);
    }

    template <class T, class... Options>
    static void extend_cross(std::string_view f, const view<T>& y, const std::array<view<const T>, 3>& qkv,
                             const parameters<T>& w, tape<T>& kept, stream_state<T>& s,
                             const Options&... options) {
        const auto run = [&](const auto&... o) {
            const auto all = detail::forward_options(o...);
            if constexpr (detail::tuple_has<option_kind::mask, std::remove_const_t<decltype(all)>>)
                forward(f, y, qkv, w, kept, o...);
            else
                s.memory.attend(f, y, qkv, all);
        };
        with_one_causal(f, run, options...);
    }

private:
    // Of a decay by feature, whose features are those of the map; the other one's shape is the layer's.
    template <class T, class... Options>
    static void check_decay_gradient(std::string_view f, const std::array<view<const T>, 3>& qkv,
                                     const Options&... options) {
        const auto& given = detail::pick<option_kind::decay_gradient>(options...);
        if constexpr (!detail::is_absent<decltype(given)>) {
            auto all = detail::all_options(options...);
            const auto& leaves = detail::linear_leaves_on_target<T>();
            const detail::linear_setup<T, decltype(all)> setup(f, all, qkv[0], qkv[1], qkv[2], leaves);
            const auto& p = setup.problem;
            const bool each = p.decays == detail::decay_of::feature;
            if (each != (given.to.rank == 4))
                detail::fail(
                    f, {"the decay's gradient has ", given.to.rank, " axes, the decay has ", each ? 4 : 3});
            if (each)
                detail::exact_extents(f, "the decay's gradient", given.to,
                                      {p.batch, p.kv_heads, p.keys, p.features}, 4);
        }
    }

    template <class T, class... Options>
    static void extend_once(std::string_view f, const view<T>& y, const std::array<view<const T>, 3>& qkv,
                            stream_state<T>& carried, const Options&... options) {
        auto all = detail::forward_options(options...);
        using all_options = decltype(all);
        if constexpr (!detail::tuple_has<option_kind::mask, all_options>) {
            detail::fail(f, {"a stream of linear attention needs heed::causal among the options"});
        } else {
            const auto& leaves = detail::linear_leaves_on_target<T>();
            const detail::linear_setup<T, all_options> setup(f, all, qkv[0], qkv[1], qkv[2], leaves);
            const auto& p = setup.problem;
            carried.advance(p.batch, p.kv_heads, p.features, p.value_features + (p.normalised ? 1 : 0),
                            [&](auto& sums) {
                                linear_attention_into(y, qkv[0], qkv[1], qkv[2], state(sums), options...);
                            });
        }
    }
    // run(options…), models taken apart, with heed::causal once: a layer that is causal by itself gives it
    // too.
    template <class Run, class... Options>
    static void with_one_causal(std::string_view f, const Run& run, const Options&... options) {
        const auto once = [&]<class... All>(const All&... all) {
            constexpr bool twice = detail::count_of < option_kind::mask,
                           All... >> 1 && !(detail::is_other_mask<All> || ...);
            if constexpr (twice) {
                detail::check_all_causal(f, all...);
                detail::without<option_kind::mask>([&](const auto&... o) { run(causal, o...); }, all...);
            } else {
                run(all...);
            }
        };
        const auto each = detail::all_options(options...);
        std::apply(once, each);
    }
};

}  // namespace heed::inline HEED_ABI
