// SPDX-License-Identifier: MIT
// heed/select/vertical_slash.hpp: a few columns of keys and a few diagonals, found with the last queries
//
// Long prompts look at some keys from everywhere (columns) and at some distances from everywhere
// (diagonals). The last queries of a prompt show which:
//
//     A    = softmax(scale q k^T) of the last min(64, queries) queries, under the masks of the call
//     c_j  = sum of A over the rows and over the query heads that share the key head
//     d_e  = the same along the diagonal p - key = e, p = query + (keys - queries)
//
// Kept are the keys of `vertical` columns, the first 30 of them whatever their sums and then those of the
// largest c, and of `slash` diagonals, p - key = 0 ... 99 and then those of the largest d. Equal sums: the
// lower key, the lower p - key. A column or diagonal whose sum is 0 is not kept. A score counts when its
// column or its diagonal is kept and the masks of the call let it through.
//
// Meant for causal self-attention over a prompt, and right without a mask, where diagonals may lie ahead of
// a query. Softcap, bias and the like do not enter A. A row of A with a NaN counts for nothing.
//
// Cost: two passes of 64 queries over the keys, 128 / keys of the products of a causal call; a bit for every
// key and diagonal of a key head to keep, and 12 bytes of scratch for each key and thread.
// A tile is left out when it meets no kept column and no kept diagonal: scattered columns leave few such.
//
// Source: MInference, arXiv 2407.02490.
#pragma once

#include <heed/select/slash_estimate.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

struct vertical_slash_option : selector_base {
    index vertical;
    index slash;
    vertical_slash_option(index v, index s) : vertical(v), slash(s) {}
    auto content() const { return std::tie(vertical, slash); }

    template <class E>
    void validate(std::string_view function, const exact_inputs<E>&) const {
        if (!(vertical >= 0 && slash >= 0))
            fail(function, {"vertical_slash got (", vertical, ", ", slash,
                            "), needs counts of columns and diagonals that are not negative"});
        if (vertical == 0 && slash == 0)
            fail(function, {"vertical_slash got (0, 0), needs a column or a diagonal to keep"});
    }

    template <class E, class Mask>
    bound_vertical_slash choose(const exact_inputs<E>& p, const Mask& mask, device_ref device,
                                workspace& memory) const {
        const index tasks = p.batch * p.kv_heads;
        bound_vertical_slash found{nullptr,
                                   nullptr,
                                   words_of(p.keys) + 1,
                                   words_of(p.queries + p.keys) + 1,
                                   p.kv_heads,
                                   p.heads / p.kv_heads,
                                   p.keys};
        if (tasks == 0 || p.queries == 0 || p.keys == 0 || p.heads == 0) return found;
        bit_word *columns, *diagonals;
        const auto take = [&](arena& pieces) {
            pieces.take(columns, tasks * found.column_words);
            pieces.take(diagonals, tasks * found.diagonal_words);
        };
        arena counted;
        take(counted);
        arena pieces(memory.reserve(counted.bytes(), workspace::part::selection));
        take(pieces);
        found.columns = columns;
        found.diagonals = diagonals;

        const mask_ref visible(mask);
        const slash_estimate<E> estimate(p, visible, found);
        const index lanes = least(device.lanes(), tasks);
        const std::size_t each = cache_lines(estimate.bytes());
        char* const base = static_cast<char*>(memory.reserve(each * static_cast<std::size_t>(lanes)));
        for_each_task(device, lanes, tasks, [&](index lane, index task) {
            estimate.run(task, vertical, slash, base + each * static_cast<std::size_t>(lane), columns,
                         diagonals);
        });
        return found;
    }
};

}  // namespace detail

// Keep `vertical` key columns and `slash` diagonals per key head. Both are counts, not negative, one of them
// above 0: heed::error otherwise. A count above what there is keeps all that the last queries give weight to.
template <class V, class S>
auto vertical_slash(const V& vertical, const S& slash) {
    static_assert(detail::whole_number<V> && detail::whole_number<S>,
                  "heed::vertical_slash: needs two whole numbers, vertical_slash(columns, diagonals)");
    return detail::vertical_slash_option(detail::index_of(vertical), detail::index_of(slash));
}

}  // namespace heed::inline HEED_ABI
