// SPDX-License-Identifier: MIT
// heed/layers/heads/exact.hpp: softmax attention as the inside of a multi-head layer
//
// Takes every option of heed::attention but logsumexp, which the tape keeps for the backward: masks,
// patterns and selectors of keys, softcap, biases, sinks, dropout. In a stream, keys and values of all
// positions are carried.
#pragma once

#include <heed/attention.hpp>
#include <heed/layers/heads/carried_keys.hpp>
#include <heed/layers/heads/concept.hpp>

namespace heed::inline HEED_ABI {

struct exact_heads {
    static constexpr int streams = 3;
    static constexpr bool crosses = true;

    static stream_shape stream_of(const attention_config& c, int i) {
        return {i == 0 ? c.heads : c.kv_heads, c.head_dim, i < 2};
    }
    static index value_dim(const attention_config& c) { return c.head_dim; }
    static constexpr bool takes(option_kind kind) {
        return detail::exact_kind(kind) && kind != option_kind::logsumexp;
    }

    template <class T>
    using parameters = detail::no_parameters<T>;
    template <class T>
    struct tape {
        Eigen::Tensor<T, 3, Eigen::RowMajor> logsumexp;
    };
    template <class T>
    struct stream_state {
        detail::carried_positions<T> keys;
        detail::carried_positions<T> values;
    };

    template <class T, class... Options>
    static void forward(std::string_view f, const view<T>& y, const std::array<view<const T>, 3>& qkv,
                        const parameters<T>& w, tape<T>& kept, const Options&... options) {
        detail::fit(kept.logsumexp, y.batch(), y.heads(), y.positions());
        attend(f, y, qkv, w, logsumexp(kept.logsumexp), options...);
    }

    // Without a tape.
    template <class T, class... Options>
    static void attend(std::string_view f, const view<T>& y, const std::array<view<const T>, 3>& qkv,
                       const parameters<T>&, const Options&... options) {
        detail::write_result_as(f, detail::attention_call{}, detail::tensors(y),
                                detail::tensors(qkv[0], qkv[1], qkv[2]), options...);
    }

    template <class T, class... Options>
    static void backward(std::string_view f, const std::array<view<T>, 3>& d, const view<const T>& dy,
                         const std::array<view<const T>, 3>& qkv, const view<const T>& y,
                         const parameters<T>&, const tape<T>& kept, parameters<T>&,
                         const Options&... options) {
        using lse = Eigen::Tensor<T, 3, Eigen::RowMajor>;
        detail::write_result_as(f, detail::attention_backward_call<lse>{{}, kept.logsumexp},
                                detail::tensors(d[0], d[1], d[2]),
                                detail::tensors(qkv[0], qkv[1], qkv[2], dy, y), options...);
    }

    template <class T, class... Options>
    static void extend(std::string_view f, const view<T>& y, const std::array<view<const T>, 3>& qkv,
                       const parameters<T>& w, stream_state<T>& state, const Options&... options) {
        detail::appended<T> keys(state.keys, qkv[1]);
        detail::appended<T> values(state.values, qkv[2]);
        attend(f, y, {qkv[0], state.keys.rows(), state.values.rows()}, w, options...);
        keys.keep();
        values.keep();
    }
};

}  // namespace heed::inline HEED_ABI
