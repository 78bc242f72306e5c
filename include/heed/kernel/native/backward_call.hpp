// SPDX-License-Identifier: MIT
// heed/kernel/native/backward_call.hpp: from the tensors of a backward to a checked problem
#pragma once

#include <heed/kernel/native/backward.hpp>
#include <heed/kernel/native/call.hpp>

namespace heed::inline HEED_ABI {
template <class Q, class K, class V, class G>
struct native_sparse_attention_gradients;  // heed/sparse/native_backward.hpp
}  // namespace heed::inline HEED_ABI

namespace heed::inline HEED_ABI::detail {

template <class S>
struct compressed_gradient_option : option<option_kind::compressed_gradient> {
    view<S> keys;
    view<S> values;
};

template <class G, class S>
void write_gate(void* gates, index at, S x) {
    G& gate = static_cast<G*>(gates)[at];
    if constexpr (std::is_same_v<G, double>)
        gate = x;
    else
        gate = static_cast<G>(static_cast<float>(x));
}

struct native_backward_call : native_call_base {
    HEED_CALL("native_sparse_attention_backward", "dq, dk, dv or dgates", "q, k and v", "gates or dy",
              "it takes native_blocks, compressed, compressed_gradient, scale, on and use, and is causal by "
              "itself");
    static constexpr const char* replaces = nullptr;
    template <class... Gradients>
    using results = native_sparse_attention_gradients<Gradients...>;
    static constexpr bool takes(option_kind kind) {
        return native_call_base::takes(kind) || kind == option_kind::compressed_gradient;
    }
    static std::array<call_extents, 4> shapes(std::string_view function, const auto& q, const auto& k,
                                              const auto& v, const auto& gates, const auto& dy) {
        check_gradient_shapes(function, q, k, v, dy);
        check_gates(function, q, gates);
        return {q.extents, k.extents, v.extents, gates.extents};
    }
    // X: T, or the type sums are kept in; GX likewise.
    template <class T, class X, class GX, class G, class DY>
    static void run(std::string_view function, call_memory& used, const view<X>& dq, const view<X>& dk,
                    const view<X>& dv, const view<GX>& dgates, const view<const T>& q, const view<const T>& k,
                    const view<const T>& v, const view<const G>& gates, const view<DY>& dy,
                    const auto&... options) {
        using E = storage_t<T>;
        using S = sum_t<T>;
        native_problem<E> p = native_problem_of<T, G>(function, q, k, v, gates, options...);
        native_gradient_problem<E> g;
        g.dy = stored_or_sum_of<T>(dy);
        g.dq = stored_or_sum_of<T>(dq);
        g.dk = stored_or_sum_of<T>(dk);
        g.dv = stored_or_sum_of<T>(dv);
        g.dgates = dgates.data;
        for (std::size_t axis = 0; axis < 4; ++axis) g.dgate_stride[axis] = dgates.strides[axis];
        g.write_gate = &write_gate<GX, S>;

        const auto& given = pick<option_kind::compressed>(options...);
        const auto& wanted = pick<option_kind::compressed_gradient>(options...);
        if constexpr (!is_absent<decltype(wanted)>) {
            static_assert(!is_absent<decltype(given)>,
                          "heed::native_sparse_attention_backward: compressed_gradient needs compressed");
            static_assert(
                std::is_same_v<decltype(wanted.keys), view<S>>,
                "heed::native_sparse_attention_backward: gradients of compressed keys are float, or "
                "double where q, k and v are double");
            check_same_extents(function, "the gradient of the compressed keys", wanted.keys,
                               "the tensor of them", given.keys);
            check_same_extents(function, "the gradient of the compressed values", wanted.values,
                               "the tensor of them", given.values);
            g.dcompressed_k = strided_of<S>(wanted.keys);
            g.dcompressed_v = strided_of<S>(wanted.values);
            used.writes("the gradient of the compressed keys", bytes_of(wanted.keys));
            used.writes("the gradient of the compressed values", bytes_of(wanted.values));
        } else if constexpr (!is_absent<decltype(given)>) {
            if (given.length < 0)
                fail(function,
                     {"compressed(keys, values) are the caller's own, needs compressed_gradient(dk, dv) "
                      "for their gradients"});
        }
        used.validate(options...);
        if (k.heads() == 0) return;
        if (p.heads == 0) {  // no rows: as of heads without queries
            p.heads = p.kv_heads;
            p.queries = 0;
        }
        with_resources(
            [&](const device_ref device, workspace& memory) {
                if constexpr (is_absent<decltype(given)>) make_compressed(p, device, memory);
                run_native_backward(p, g, device, memory);
            },
            options...);
    }
};

}  // namespace heed::inline HEED_ABI::detail
