// SPDX-License-Identifier: MIT
// heed/kernel/native/backward_call.hpp: from the tensors of a backward to a checked problem
#pragma once

#include <heed/kernel/native/backward.hpp>
#include <heed/kernel/native/call.hpp>

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

// X: T, or the type sums are kept in; GX likewise.
template <class T, class X, class G, class GX>
void native_gradients(std::string_view function, const view<X>& dq, const view<X>& dk, const view<X>& dv,
                      const view<GX>& dgates, const view<const T>& dy, const view<const T>& q,
                      const view<const T>& k, const view<const T>& v, const view<const G>& gates,
                      const auto&... options) {
    using E = storage_t<T>;
    using S = sum_t<T>;
    check_shapes<T>(function, q, k, v, nullptr);
    native_problem<E> p = native_problem_of<T, G>(function, q, k, v, gates, options...);
    const view<const T> output(nullptr, {q.batch(), q.heads(), q.positions(), v.features()});
    check_same_extents(function, "dy", dy, "the output", output);
    check_same_extents(function, "dq", dq, "q", q);
    check_same_extents(function, "dk", dk, "k", k);
    check_same_extents(function, "dv", dv, "v", v);
    check_same_extents(function, "dgates", dgates, "gates", gates);

    native_gradient_problem<E> g;
    g.dy = strided_of<E>(dy);
    if constexpr (std::is_same_v<X, T>) {
        g.dq = strided_of<E>(dq);
        g.dk = strided_of<E>(dk);
        g.dv = strided_of<E>(dv);
    } else {
        g.dq_sum = strided_of<S>(dq);
        g.dk_sum = strided_of<S>(dk);
        g.dv_sum = strided_of<S>(dv);
    }
    g.dgates = dgates.data;
    for (std::size_t axis = 0; axis < 4; ++axis) g.dgate_stride[axis] = dgates.strides[axis];
    g.write_gate = &write_gate<GX, S>;

    call_memory used(function);
    used.reads("dy", bytes_of(dy));
    used.reads("q", bytes_of(q));
    used.reads("k", bytes_of(k));
    used.reads("v", bytes_of(v));
    used.reads("gates", bytes_of(gates));
    used.writes("dq", bytes_of(dq));
    used.writes("dk", bytes_of(dk));
    used.writes("dv", bytes_of(dv));
    used.writes("dgates", bytes_of(dgates));
    const auto& given = pick<option_kind::compressed>(options...);
    const auto& wanted = pick<option_kind::compressed_gradient>(options...);
    if constexpr (!is_absent<decltype(wanted)>) {
        static_assert(!is_absent<decltype(given)>,
                      "heed::native_sparse_attention_backward: compressed_gradient needs compressed");
        static_assert(std::is_same_v<decltype(wanted.keys), view<S>>,
                      "heed::native_sparse_attention_backward: gradients of compressed keys are float, or "
                      "double where q, k and v are double");
        check_same_extents(function, "the gradient of the compressed keys", wanted.keys, "the tensor of them",
                           given.keys);
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
        [&](const device_ref device_, workspace& memory) {
            if constexpr (is_absent<decltype(given)>) make_compressed(p, device_, memory);
            run_native_backward(p, g, device_, memory);
        },
        options...);
}

}  // namespace heed::inline HEED_ABI::detail
