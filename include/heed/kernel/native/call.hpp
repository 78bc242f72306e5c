// SPDX-License-Identifier: MIT
// heed/kernel/native/call.hpp: from a call's tensors and options to a checked problem
#pragma once

#include <heed/core/call.hpp>
#include <heed/kernel/causal.hpp>
#include <heed/kernel/native/run.hpp>
#include <heed/score/scale.hpp>
#include <heed/sparse/compressed_keys.hpp>

namespace heed::inline HEED_ABI::detail {

// Causal by itself, so that heed::causal changes nothing.
struct native_call_base : query_call {
    static constexpr bool takes(option_kind kind) {
        return is_among(kind, {option_kind::scale, option_kind::on, option_kind::use, option_kind::mask,
                               option_kind::native_blocks, option_kind::compressed});
    }
    template <class... Options>
    static constexpr void beside() {
        static_assert(
            !(is_other_mask<Options> || ...),
            "heed::native_sparse_attention: this mask is not heed::causal, and native sparse attention "
            "takes no other");
    }
};

template <class G, class S>
S read_gate(const void* gates, index at) {
    const G& gate = static_cast<const G*>(gates)[at];
    if constexpr (std::is_same_v<G, double>)
        return static_cast<S>(gate);
    else
        return static_cast<S>(static_cast<float>(gate));
}

template <class S>
void check_compressed(std::string_view function, const view<const S>& x, const char* name, index batch,
                      index heads, index needed, index features) {
    check_extents(function, name, x);
    if (x.batch() != batch) fail(function, {name, " have ", x.batch(), " batch entries, needs ", batch});
    if (x.heads() != heads) fail(function, {name, " have ", x.heads(), " heads, k has ", heads});
    if (x.features() != features)
        fail(function, {name, " have ", x.features(), " features, needs ", features});
    if (x.positions() != needed)
        fail(function, {name, " are ", x.positions(), ", needs one for each whole block of keys, ", needed});
}

template <class T, class G>
void check_gates(std::string_view function, const view<const T>& q, const view<const G>& gates) {
    check_extents(function, "gates", gates);
    const std::array<index, 4> needed{q.batch(), q.heads(), q.positions(), native_branches};
    if (gates.extents != needed)
        fail(function, {"gates is (", gates.batch(), ", ", gates.heads(), ", ", gates.positions(), ", ",
                        gates.features(), "), needs (", needed[0], ", ", needed[1], ", ", needed[2],
                        ", 3): a weight for each query and branch"});
}

// Everything but the outputs, checked; compressed keys that are not given are made later.
template <class T, class G>
native_problem<storage_t<T>> native_problem_of(std::string_view function, const view<const T>& q,
                                               const view<const T>& k, const view<const T>& v,
                                               const view<const G>& gates, const auto&... options) {
    using E = storage_t<T>;
    using S = sum_t<T>;
    native_problem<E> p;
    check_all_causal(function, options...);
    const auto& sizes = pick<option_kind::native_blocks>(options...);
    if constexpr (!is_absent<decltype(sizes)>) p.blocks = sizes;
    p.blocks.validate(function);
    p.q = strided_of<E>(q);
    p.k = strided_of<E>(k);
    p.v = strided_of<E>(v);
    p.gates = gates.data;
    for (std::size_t axis = 0; axis < 4; ++axis) p.gate_stride[axis] = gates.strides[axis];
    p.read_gate = &read_gate<G, S>;
    p.batch = q.batch();
    p.heads = q.heads();
    p.kv_heads = k.heads() > 0 ? k.heads() : 1;
    p.queries = q.positions();
    p.keys = k.positions();
    p.features = q.features();
    p.value_features = v.features();
    p.scale = scale_of<S>(function, usual_scale(p.features), options...);
    const auto& given = pick<option_kind::compressed>(options...);
    if constexpr (!is_absent<decltype(given)>) {
        static_assert(std::is_same_v<decltype(given.keys), view<const S>>,
                      "heed::native_sparse_attention: compressed keys are float, or double where q, k and v "
                      "are double");
        if (given.length >= 0) {
            if (given.block != p.blocks.compress_block || given.stride != p.blocks.compress_stride)
                fail(function, {"the compressed keys are blocks of ", given.block, " every ", given.stride,
                                ", needs ", p.blocks.compress_block, " every ", p.blocks.compress_stride});
            if (given.length != p.keys)
                fail(function, {"the compressed keys have taken in ", given.length, " keys, k has ", p.keys});
        }
        const index count = p.blocks.compressed_of(p.keys);
        check_compressed(function, given.keys, "the compressed keys", p.batch, k.heads(), count, p.features);
        check_compressed(function, given.values, "the compressed values", p.batch, k.heads(), count,
                         p.value_features);
        p.compressed_k = strided_of<S>(given.keys);
        p.compressed_v = strided_of<S>(given.values);
    }
    return p;
}

struct native_call : native_call_base {
    HEED_CALL("native_sparse_attention", "y", "q, k and v", "gates",
              "it takes native_blocks, compressed, scale, on and use, and is causal by itself");
    static auto shapes(std::string_view function, const auto& q, const auto& k, const auto& v,
                       const auto& gates) {
        const auto needed = check_shapes(function, q, k, v);
        check_gates(function, q, gates);
        return needed;
    }
    template <class T, class Y, class G>
    static void run(std::string_view function, call_memory& used, const view<Y>& y, const view<const T>& q,
                    const view<const T>& k, const view<const T>& v, const view<const G>& gates,
                    const auto&... options) {
        using E = storage_t<T>;
        native_problem<E> p = native_problem_of<T, G>(function, q, k, v, gates, options...);
        p.y = stored_or_sum_of<T>(y);
        used.validate(options...);
        if (y.size() == 0) return;
        with_resources(
            [&](const device_ref device, workspace& memory) {
                if constexpr (is_absent<decltype(pick<option_kind::compressed>(options...))>)
                    make_compressed(p, device, memory);
                run_native(p, device, memory);
            },
            options...);
    }
};

}  // namespace heed::inline HEED_ABI::detail
