// SPDX-License-Identifier: MIT
// heed/mask/tree.hpp: a draft of several continuations: each position sees its ancestors
//
//     tree(parents)      parents[i]: the query that query i continues, before it; -1: what came before the
//     draft
//
// The queries are the last of the keys, query i at key i + (keys - queries), as for causal. A query sees all
// keys before the draft, and of the draft itself, its parent, its parent's parent, and so on. So one call
// scores all branches that a decoder has drafted. A chain, parents[i] = i - 1, is heed::causal.
//
// Source: SpecInfer (arXiv 2305.09781). Cost: no storage; O(1) for a tile, O(depth) for a query of a block of
// scores within the draft.
#pragma once

#include <heed/core/numbers.hpp>
#include <heed/mask/concept.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

template <class Int>
struct bound_tree {
    const Int* parents;
    index batch_stride;
    index shift;

    bool alike(index) const { return true; }
    cover classify(const tile& t) const {
        if (t.key_begin > t.query_end - 1 + shift) return cover::empty;
        const bool own = t.key_begin == t.query_begin + shift && t.key_end == t.key_begin + 1 &&
                         t.query_end == t.query_begin + 1;
        return t.key_end <= shift || own ? cover::full : cover::mixed;
    }

    struct seen_pairs {
        std::int32_t visible[most_rows][most_lanes];  // 0 or ~0; bools would not become vector code
        HEED_INLINE bool operator()(at, lane_pos x) const { return visible[x.row][x.lane] != 0; }
    };
    seen_pairs lanes(const lane_block& block) const {
        seen_pairs s;
        const bool over_queries = block.lanes_are_queries();
        const index first = block.first.key - shift;  // keys counted from the first of the draft
        const index keys = over_queries ? block.rows : block.last + 1;
        const index queries = over_queries ? block.last + 1 : block.rows;
        const auto put = [&](index q, index k, std::int32_t seen) {
            (over_queries ? s.visible[k][q] : s.visible[q][k]) = seen;
        };
        const Int* const from = parents + block.first.batch * batch_stride;
        for (index q = 0; q < queries; ++q) {
            for (index k = 0; k < keys; ++k) put(q, k, first + k < 0 ? -1 : 0);
            // Ancestors come before: the way up ends where it has passed the block.
            for (index i = block.first.query + q; i >= 0 && i >= first; i = static_cast<index>(from[i]))
                if (i < first + keys) put(q, i - first, -1);
        }
        // Lanes past the last repeat it.
        for (std::int32_t r = 0; r < block.rows; ++r)
            for (std::int32_t l = block.last + 1; l < most_lanes; ++l)
                s.visible[r][l] = s.visible[r][block.last];
        return s;
    }
};

template <class Int>
struct tree_mask : mask_base {
    number_span<Int> parents;
    explicit tree_mask(const number_span<Int>& p) : parents(p) {}
    auto content() const { return std::tie(parents); }
    const char* overlapped(const byte_span& output) const {
        return parents.overlaps(output) ? "tree" : nullptr;
    }

    bound_tree<Int> bind(std::string_view function, const problem_shape& shape) const {
        const bool one = parents.size == shape.queries;
        if (!(one || (shape.batch > 0 && shape.queries > 0 && parents.size / shape.batch == shape.queries &&
                      parents.size % shape.batch == 0)))
            fail(function, {"tree has ", parents.size, " parents, needs ", shape.queries, " or ", shape.batch,
                            " x ", shape.queries, ", one for each query"});
        for (index i = 0; i < parents.size; ++i)
            if (!parents.within(i, -1, i % shape.queries - 1))
                fail(function, {"tree: parents[", i, "] is ", parents.data[i],
                                ", needs a query before it, or -1 for what came before the draft"});
        return {parents.data, one ? 0 : shape.queries, shape.keys - shape.queries};
    }
};

}  // namespace detail

// One parent for each query, the same for every batch entry or a row of them for each. Keeps a reference.
template <class R>
auto tree(R&& parents) {
    static_assert(detail::integers<R>,
                  "heed::tree: needs a contiguous range of whole numbers, a parent for each query");
    static_assert(detail::may_be_kept<R>,
                  "heed::tree: the parents are a temporary and would be gone; give them a name");
    return detail::tree_mask(detail::span_of(parents));
}

}  // namespace heed::inline HEED_ABI
