// SPDX-License-Identifier: MIT
// heed/layers/heads/native.hpp: native sparse attention as the inside of a multi-head layer
//
//     heed::multi_head_attention<float, heed::native_heads> mha({.width = 512, .heads = 16, .kv_heads = 1});
//     auto y = mha(x, heed::native_blocks{.window = 256});
//
// The input projection makes queries, keys, values and three numbers a head and position, whose sigmoids are
// the gates of the compressed, the selected and the sliding branch: all three begin at weights around one
// half. Keys and values are shared by the branches. Many query heads on one key/value head are what it is
// made for (heed/sparse/native.hpp).
//
// Takes native_blocks{…} and scale(x). It is causal by itself, whether or not heed::causal is given, and has
// no cross form. In a stream, keys, values and the compressed keys are carried; the last are made anew where
// a call has another compress_block or compress_stride than the one before.
#pragma once

#include <optional>

#include <heed/kernel/elementwise/kernels.hpp>
#include <heed/layers/heads/carried_keys.hpp>
#include <heed/layers/heads/causal.hpp>
#include <heed/sparse/native.hpp>
#include <heed/sparse/native_backward.hpp>

namespace heed::inline HEED_ABI {

struct native_heads {
    static constexpr int streams = 4;
    static constexpr bool crosses = false;

    static stream_shape stream_of(const attention_config& c, int i) {
        if (i == 3) return {c.heads, detail::native_branches, false};
        return {i == 0 ? c.heads : c.kv_heads, c.head_dim, i < 2};
    }
    static index value_dim(const attention_config& c) { return c.head_dim; }
    static constexpr bool takes(option_kind kind) {
        return kind == option_kind::native_blocks || kind == option_kind::scale ||
               kind == option_kind::mask || kind == option_kind::on || kind == option_kind::use;
    }

    template <class T>
    using parameters = detail::no_parameters<T>;
    template <class T>
    struct tape {
        Eigen::Tensor<T, 4, Eigen::RowMajor> gates;  // (batch, head, position, 3)
    };
    template <class T>
    struct stream_state {
        detail::carried_positions<T> keys;
        detail::carried_positions<T> values;
        std::optional<compressed_keys<T>> means;  // of the keys, as long as their lengths agree
        tape<T> kept;
    };

    template <class... Options>
    static void validate(std::string_view f, const Options&... options) {
        detail::check_all_causal(f, options...);
        blocks_of(options...).validate(f);
    }

    template <class T, class... Options>
    static void forward(std::string_view f, const view<T>& y, const std::array<view<const T>, 4>& qkvg,
                        const parameters<T>&, tape<T>& kept, const Options&... options) {
        open(kept, qkvg[3]);
        detail::write_result_as(f, detail::native_call{}, detail::tensors(y),
                                detail::tensors(qkvg[0], qkvg[1], qkvg[2], kept.gates), options...);
    }

    template <class T, class... Options>
    static void backward(std::string_view f, const std::array<view<T>, 4>& d, const view<const T>& dy,
                         const std::array<view<const T>, 4>& qkvg, const view<const T>&, const parameters<T>&,
                         const tape<T>& kept, parameters<T>&, const Options&... options) {
        detail::write_result_as(f, detail::native_backward_call{}, detail::tensors(d[0], d[1], d[2], d[3]),
                                detail::tensors(qkvg[0], qkvg[1], qkvg[2], kept.gates, dy), options...);
        each_gate([](T& d_gate, const T& x) { d_gate *= detail::scalar::sigmoid_slope(x); }, d[3], qkvg[3]);
    }

    template <class T, class... Options>
    static void extend(std::string_view f, const view<T>& y, const std::array<view<const T>, 4>& qkvg,
                       const parameters<T>&, stream_state<T>& state, const Options&... options) {
        const native_blocks blocks = blocks_of(options...);
        blocks.validate(f);
        const index length = state.keys.length();
        detail::appended<T> keys(state.keys, qkvg[1]);
        detail::appended<T> values(state.values, qkvg[2]);
        auto& means = state.means;
        if (means && means->length() == length && means->block() == blocks.compress_block &&
            means->stride() == blocks.compress_stride) {
            means->append(qkvg[1], qkvg[2]);
        } else {
            means.emplace(qkvg[1].batch(), qkvg[1].heads(), qkvg[1].features(), qkvg[2].features(),
                          blocks.compress_block, blocks.compress_stride);
            means->append(state.keys.rows(), state.values.rows());
        }
        open(state.kept, qkvg[3]);
        detail::write_result_as(
            f, detail::native_call{}, detail::tensors(y),
            detail::tensors(qkvg[0], state.keys.rows(), state.values.rows(), state.kept.gates),
            compressed(*means), options...);
        keys.keep();
        values.keep();
    }

private:
    template <class... Options>
    static native_blocks blocks_of(const Options&... options) {
        const auto& given = detail::pick<option_kind::native_blocks>(options...);
        if constexpr (detail::is_absent<decltype(given)>)
            return {};
        else
            return given;
    }
    template <class F, class X, class... Rest>
    static void each_gate(const F& f, const X& x, const Rest&... rest) {
        for (index b = 0; b < x.batch(); ++b)
            for (index h = 0; h < x.heads(); ++h)
                for (index p = 0; p < x.positions(); ++p)
                    for (index branch = 0; branch < x.features(); ++branch)
                        f(x(b, h, p, branch), rest(b, h, p, branch)...);
    }
    template <class T>
    static void open(tape<T>& kept, const view<const T>& x) {
        detail::fit(kept.gates, x.batch(), x.heads(), x.positions(), x.features());
        T* gate = kept.gates.data();
        each_gate([&](const T& from) { *gate++ = from; }, x);
        detail::elementwise_leaves_on_target<T>().sigmoid(kept.gates.data(),
                                                          static_cast<index>(kept.gates.size()));
    }
};

}  // namespace heed::inline HEED_ABI
