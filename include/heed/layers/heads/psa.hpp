// SPDX-License-Identifier: MIT
// heed/layers/heads/psa.hpp: progressive sparse attention as the inside of a multi-head layer
//
//     heed::multi_head_attention<float, heed::psa_heads> mha({.width = 512, .heads = 8});
//     auto y = mha(x, heed::causal, heed::psa(0.25));
//
// Its weights are a polynomial's, so that its gradients are those of heed::psa_backward. Each call needs
// psa(…), a backward the same one as its forward. Beside it: masks, scale, alibi and bias. In a stream, keys
// and values of all positions are carried.
#pragma once

#include <heed/layers/heads/carried_keys.hpp>
#include <heed/layers/heads/concept.hpp>
#include <heed/select/psa.hpp>
#include <heed/select/psa_backward.hpp>

namespace heed::inline HEED_ABI {

struct psa_heads {
    static constexpr int streams = 3;
    static constexpr bool crosses = true;

    static stream_shape stream_of(const attention_config& c, int i) {
        return {i == 0 ? c.heads : c.kv_heads, c.head_dim, i < 2};
    }
    static index value_dim(const attention_config& c) { return c.head_dim; }
    // What forward and backward have in common.
    static constexpr bool takes(option_kind kind) {
        return kind == option_kind::select || kind == option_kind::scale || kind == option_kind::mask ||
               kind == option_kind::alibi || kind == option_kind::bias || kind == option_kind::on ||
               kind == option_kind::use;
    }

    template <class T>
    using parameters = detail::no_parameters<T>;
    template <class T>
    struct tape {};
    template <class T>
    struct stream_state {
        detail::carried_positions<T> keys;
        detail::carried_positions<T> values;
    };

    template <class T, class... Options>
    static void forward(std::string_view f, const view<T>& y, const std::array<view<const T>, 3>& qkv,
                        const parameters<T>&, tape<T>&, const Options&... options) {
        attend(f, y, qkv[0], qkv[1], qkv[2], options...);
    }

    template <class T, class... Options>
    static void backward(std::string_view f, const std::array<view<T>, 3>& d, const view<const T>& dy,
                         const std::array<view<const T>, 3>& qkv, const view<const T>&, const parameters<T>&,
                         const tape<T>&, parameters<T>&, const Options&... options) {
        detail::write_result_as(f, detail::psa_backward_call{}, detail::tensors(d[0], d[1], d[2]),
                                detail::tensors(qkv[0], qkv[1], qkv[2], dy), options...);
    }

    template <class T, class... Options>
    static void extend(std::string_view f, const view<T>& y, const std::array<view<const T>, 3>& qkv,
                       const parameters<T>&, stream_state<T>& state, const Options&... options) {
        detail::appended<T> keys(state.keys, qkv[1]);
        detail::appended<T> values(state.values, qkv[2]);
        attend(f, y, qkv[0], state.keys.rows(), state.values.rows(), options...);
        keys.keep();
        values.keep();
    }

private:
    template <class T, class... Options>
    static void attend(std::string_view f, const view<T>& y, const view<const T>& q, const view<const T>& k,
                       const view<const T>& v, const Options&... options) {
        static_assert((std::is_same_v<Options, detail::psa_option> || ...),
                      "heed::psa_heads: heed::psa(...) is missing among the options; for exact attention or "
                      "another selector take heed::exact_heads");
        detail::write_result_as(f, detail::attention_call{}, detail::tensors(y), detail::tensors(q, k, v),
                                options...);
    }
};

}  // namespace heed::inline HEED_ABI
