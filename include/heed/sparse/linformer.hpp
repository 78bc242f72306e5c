// SPDX-License-Identifier: MIT
// heed/sparse/linformer.hpp: exact attention over a fixed number of mixtures of the keys
//
//     y = softmax(scale q (E k)^T) (F v)           E, F: (rank, keys)
//
//     auto y = heed::linformer(q, k, v, e, f);
//     heed::linformer_into(y, q, k, v, e, f, heed::use(workspace));
//
// Shapes: q, k, v, y as in heed::attention; e and f (rank, keys), or (kv_head, rank, keys) for a projection
// of each key/value head, of q's element type; both may be the same tensor. E k and F v are rounded to the
// element type, sums are kept in float (double for double).
//
// Every mixture holds every key, so nothing can be hidden: no mask, and a NaN in any key reaches every row.
// Options, each at most once: scale, softcap, sinks, dropout, logsumexp, on(device), use(workspace).
//
// Cost: keys x rank x (d_k + d_v) for the mixtures and queries x rank x (d_k + d_v) for attention; memory for
// the mixtures. Source: Linformer (arXiv 2006.04768).
//
// Throws heed::error before y is written when the arguments do not fit. Allocates the result, and the
// mixtures and scratch unless use(workspace) gives them.
#pragma once

#include <heed/attention.hpp>
#include <heed/core/resources.hpp>
#include <heed/kernel/exact/project.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

template <class T>
void check_projection(std::string_view function, std::string_view argument, const view<const T>& p,
                      const view<const T>& of, std::string_view of_name) {
    check_extents(function, argument, p);
    if (p.batch() != 1) fail(function, {argument, " has ", p.batch(), " batch entries, needs 1"});
    if (p.heads() != 1 && p.heads() != of.heads())
        fail(function,
             {argument, " has ", p.heads(), " heads, needs 1 or the ", of.heads(), " of ", of_name});
    if (p.features() != of.positions())
        fail(function,
             {argument, " has ", p.features(), " columns, ", of_name, " has ", of.positions(), " positions"});
}

struct linformer_call : query_call {
    HEED_CALL(
        "linformer", "y", "q, k, v, k_projection and v_projection", "",
        "it takes scale, softcap, sinks, dropout, logsumexp, on and use; no mask, since every mixture of "
        "keys holds all of them");
    static constexpr bool takes(option_kind kind) {
        return is_among(kind,
                        {option_kind::scale, option_kind::softcap, option_kind::sinks, option_kind::dropout,
                         option_kind::logsumexp, option_kind::on, option_kind::use});
    }
    static auto shapes(std::string_view function, const auto& q, const auto& k, const auto& v, const auto& e,
                       const auto& f) {
        const auto needed = check_shapes(function, q, k, v);
        check_projection(function, "k_projection", e, k, "k");
        check_projection(function, "v_projection", f, v, "v");
        if (e.positions() != f.positions())
            fail(function, {"v_projection has ", f.positions(), " rows, k_projection has ", e.positions()});
        return needed;
    }
    template <class T, class Y, class... Options>
    static void run(std::string_view function, call_memory& used, const view<Y>& y, const view<const T>& q,
                    const view<const T>& k, const view<const T>& v, const view<const T>& e,
                    const view<const T>& f, const Options&... options) {
        using E = storage_t<T>;
        used.validate(options...);  // before keys and values are mixed
        workspace own;
        workspace& memory = workspace_of(own, options...);
        // Without keys there is nothing to mix, and nothing to see.
        const index rank = k.positions() == 0 ? 0 : e.positions();
        const index heads = k.batch() * k.heads();
        const index key_size = checked_product(function, {heads, rank, k.features()});
        const index value_size = checked_product(function, {heads, rank, v.features()});
        E* const mixed = static_cast<E*>(memory.reserve(
            static_cast<std::size_t>(key_size + value_size) * sizeof(E), workspace::part::selection));

        const auto of = [&](const view<const T>& by, const view<const T>& from, E* to) {
            projection<E> p;
            p.by = strided_of<E>(by);
            if (by.heads() == 1) p.by.stride[1] = 0;
            p.from = strided_of<E>(from);
            p.to = to;
            p.heads = from.heads();
            p.rank = rank;
            p.positions = from.positions();
            p.features = from.features();
            return p;
        };
        if (heads * rank > 0)
            project(of(e, k, mixed), of(f, v, mixed + key_size), k.batch(), device_of(options...), memory);

        const auto dense = [&](const E* data, index features) {
            const index head = rank * features;
            return view<const T>{reinterpret_cast<const T*>(data),
                                 {k.batch(), k.heads(), rank, features},
                                 {k.heads() * head, head, features, 1}};
        };
        attention_call::run<T, Y>(function, used, y, q, dense(mixed, k.features()),
                                  dense(mixed + key_size, v.features()), options...);
    }
};

}  // namespace detail

// Writes y, which may be q itself; y is sized by the caller. Its elements are q's type, or float where q
// holds half or bfloat16.
template <class Y, class Q, class K, class V, class E, class F, class... Options>
void linformer_into(Y&& y, const Q& q, const K& k, const V& v, const E& k_projection, const F& v_projection,
                    const Options&... options) {
    detail::write_result(detail::linformer_call{}, detail::tensors(std::forward<Y>(y)),
                         detail::tensors(q, k, v, k_projection, v_projection), options...);
}

// A new tensor of q's kind.
template <class Q, class K, class V, class E, class F, class... Options>
auto linformer(const Q& q, const K& k, const V& v, const E& k_projection, const F& v_projection,
               const Options&... options) {
    return detail::make_result(detail::linformer_call{}, detail::tensors(q, k, v, k_projection, v_projection),
                               options...);
}

}  // namespace heed::inline HEED_ABI
