// SPDX-License-Identifier: MIT
// heed/kernel/psa/sparsify.hpp: rows of queries and keys with only their largest features
//
// Copies, in part::selection of the workspace. Of equal magnitudes the first stay; a NaN counts as largest.
#pragma once

#include <heed/kernel/psa/kernels.hpp>
#include <heed/select/top_k.hpp>

namespace heed::inline HEED_ABI::detail {

// A dense copy of x (batch, head, position, feature) in `to`, features beyond the largest share of a row 0.
template <class E>
struct sparse_copy {
    using T = typename exact_problem<E>::T;
    strided<const E> from;
    index heads;
    index positions;
    index features;
    double fraction;
    E* to;

    static std::size_t bytes(index batch, index heads, index positions, index features) {
        return cache_lines(static_cast<std::size_t>(batch * heads * positions * features) * sizeof(E));
    }
    strided<const E> result() const {
        return {to, {heads * positions * features, positions * features, features, 1}};
    }
    // Scratch of a row: its magnitudes, that of the selection, and the features that stay.
    struct layout {
        T* size;
        T* selection;
        std::int32_t* indices;
    };
    static layout layout_in(arena& scratch, index features) {
        layout m;
        scratch.take(m.size, features + select_slack);
        scratch.take(m.selection, 2 * (features + select_slack));
        scratch.take(m.indices, features + select_slack);
        return m;
    }
    static std::size_t row_bytes(index features) {
        arena counted;
        layout_in(counted, features);
        return counted.bytes();
    }
    // The features of a row that stay, ascending, in the scratch of a row.
    std::int32_t* kept(const exact_leaves<E>& leaf, const select_leaves<T>& select, const E* row,
                       void* scratch, index& count) const {
        arena pieces(scratch);
        const layout m = layout_in(pieces, features);
        leaf.widen(row, 0, from.stride[3], 1, features, m.size, 0);
        for (index f = 0; f < features; ++f)
            m.size[f] = scalar::float_of(scalar::bits_of(m.size[f]) & ~constants<T>::sign_bit);
        const threshold<T> t =
            find_threshold(select, m.size, features, share_of(fraction, features), features, m.selection);
        count = emit_chosen(select, t, m.size, 0, features, 0, m.indices, static_cast<T*>(nullptr),
                            features + select_slack);
        return m.indices;
    }
    void row(const exact_leaves<E>& leaf, const select_leaves<T>& select, index r, void* scratch) const {
        const E* const source = from.row(r / positions / heads, r / positions % heads, r % positions);
        E* const row_to = to + r * features;
        index count = 0;
        const std::int32_t* const indices = kept(leaf, select, source, scratch, count);
        for (index f = 0; f < features; ++f) row_to[f] = E{};
        for (index i = 0; i < count; ++i) row_to[indices[i]] = source[indices[i] * from.stride[3]];
    }
    // Gradients of the features that were taken as 0 are 0.
    void clear_others(const exact_leaves<E>& leaf, const select_leaves<T>& select, index b, index h, index p,
                      T* gradient, void* scratch) const {
        if (fraction >= 1) return;
        index count = 0;
        const std::int32_t* next = kept(leaf, select, from.row(b, h, p), scratch, count);
        const std::int32_t* const end = next + count;
        for (index f = 0; f < features; ++f) {
            if (next != end && *next == f)
                ++next;
            else
                gradient[f] = 0;
        }
    }
};

// The problem with sparser queries and keys, where a fraction below 1 asks for them.
template <class E>
exact_problem<E> sparsified(const exact_problem<E>& p, double of_queries, double of_keys, device_ref device,
                            workspace& memory) {
    exact_problem<E> q = p;
    if (of_queries >= 1 && of_keys >= 1) return q;
    using copy_of = sparse_copy<E>;
    copy_of queries{p.q, p.heads, p.queries, p.features, of_queries, nullptr};
    copy_of keys{p.k, p.kv_heads, p.keys, p.features, of_keys, nullptr};
    const std::size_t query_bytes =
        of_queries >= 1 ? 0 : copy_of::bytes(p.batch, p.heads, p.queries, p.features);
    const std::size_t key_bytes = of_keys >= 1 ? 0 : copy_of::bytes(p.batch, p.kv_heads, p.keys, p.features);
    char* const copies =
        static_cast<char*>(memory.reserve(query_bytes + key_bytes, workspace::part::selection));
    queries.to = reinterpret_cast<E*>(copies);
    keys.to = reinterpret_cast<E*>(copies + query_bytes);
    const index query_rows = of_queries >= 1 ? 0 : p.batch * p.heads * p.queries;
    const index key_rows = of_keys >= 1 ? 0 : p.batch * p.kv_heads * p.keys;
    const index together = 64;
    const index query_tasks = (query_rows + together - 1) / together;
    const index key_tasks = (key_rows + together - 1) / together;
    const index lanes = device.lanes();
    const std::size_t each = copy_of::row_bytes(p.features);
    char* const base = static_cast<char*>(memory.reserve(each * static_cast<std::size_t>(lanes)));
    const exact_leaves<E>& leaf = leaves_on_target<E>();
    const auto& select = select_leaves_on_target<typename exact_problem<E>::T>();
    for_each_task(device, lanes, query_tasks + key_tasks, [&](index lane, index task) {
        char* const scratch = base + each * static_cast<std::size_t>(lane);
        const bool query = task < query_tasks;
        const index first = (query ? task : task - query_tasks) * together;
        const index end = least(first + together, query ? query_rows : key_rows);
        for (index r = first; r < end; ++r) (query ? queries : keys).row(leaf, select, r, scratch);
    });
    if (query_rows > 0) q.q = queries.result();
    if (key_rows > 0) q.k = keys.result();
    return q;
}

}  // namespace heed::inline HEED_ABI::detail
