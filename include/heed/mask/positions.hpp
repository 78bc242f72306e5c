// SPDX-License-Identifier: MIT
// heed/mask/positions.hpp: where a query stands among the keys, p
//
// Without more, the last query stands at the last key: p = query + (keys - queries). Under
// packed(query_offsets, key_offsets) each document's last query stands at its document's last key,
//     p = query + (key_offsets[d + 1] - query_offsets[d + 1])        for a query of document d
// and what asks for p in the same conjunction of masks, or in the same call, hears it: causal, window, alibi,
// local_plus_top, entropy_budget. The patterns (dilated, global, …) and lsh keep the first p. A document with
// more queries than keys has queries that stand in front of its first key.
//
// Cost: O(log documents) for a query.
#pragma once

#include <heed/core/numbers.hpp>
#include <heed/mask/concept.hpp>

namespace heed::inline HEED_ABI::detail {

// p = query + (keys - queries).
struct common_end {};

// The document that holds a position: the last one that begins at or before it.
template <class Int>
index document_at(const number_span<Int>& offsets, index position) {
    index low = 0;
    index high = offsets.size - 1;
    while (high - low > 1) {
        const index middle = low + (high - low) / 2;
        if (offsets[middle] <= position)
            low = middle;
        else
            high = middle;
    }
    return low;
}

template <class Q, class K>
struct document_positions {
    number_span<Q> queries;
    number_span<K> keys;

    // p - query in a document.
    index shift(index document) const { return keys[document + 1] - queries[document + 1]; }
    index shift_at(index query) const { return shift(document_at(queries, query)); }
    // use(i, document) for `count` queries from `first` on.
    template <class Use>
    void for_queries(index first, index count, const Use& use) const {
        index d = document_at(queries, first);
        for (index i = 0; i < count; ++i) {
            while (queries[d + 1] <= first + i) ++d;
            use(i, d);
        }
    }
};

// Does a mask say where queries stand, for all that it is joined with by &?
template <class M>
concept gives_positions = requires(const M& m) { m.positions(); };
template <class M>
auto positions_in(const M& m) {
    if constexpr (gives_positions<M>)
        return m.positions();
    else
        return common_end{};
}

// A mask or a step bound where queries stand; one that does not ask for it is bound as ever.
template <class M, class Positions>
auto bind_at(const M& m, std::string_view function, const problem_shape& shape, const Positions& positions) {
    if constexpr (requires { m.bind(function, shape, positions); })
        return m.bind(function, shape, positions);
    else
        return bind_mask(m, function, shape);
}

// A number for every lane of a block and one for every row, of which those along the queries count.
struct query_numbers {
    std::int32_t lane[most_lanes];
    std::int32_t row[most_rows];
};
// number(query, document) of a block's queries; the other axis gets `neutral`.
template <class Positions, class Number>
void fill_numbers(const Positions& positions, const lane_block& block, std::int32_t neutral,
                  query_numbers& to, const Number& number) {
    const bool lanes = block.lanes_are_queries();
    std::int32_t* const along = lanes ? to.lane : to.row;
    const index count = lanes ? block.last + 1 : block.rows;
    positions.for_queries(block.first.query, count,
                          [&](index i, index d) { along[i] = number(block.first.query + i, d); });
    if (lanes) {
        for (index l = count; l < most_lanes; ++l) to.lane[l] = to.lane[count - 1];
        for (std::int32_t& x : to.row) x = neutral;
    } else {
        for (std::int32_t& x : to.lane) x = neutral;
    }
}

// Keys p - left <= key <= p + right of a query's own document: each query sees an interval, and intervals
// neither begin nor end before those of the queries in front.
template <class Positions>
struct bound_document_band {
    index left;
    index right;
    Positions positions;

    std::int32_t low(index query, index d) const {
        const index first = positions.keys[d];
        const index p = query + positions.shift(d);
        return static_cast<std::int32_t>(left > p - first ? first : p - left);
    }
    // One before the document where no key of it is seen.
    std::int32_t high(index query, index d) const {
        const index last = positions.keys[d + 1] - 1;
        const index p = query + positions.shift(d);
        return static_cast<std::int32_t>(
            greatest(right > last - p ? last : p + right, positions.keys[d] - 1));
    }
    std::int32_t low_of(index query) const { return low(query, document_at(positions.queries, query)); }
    std::int32_t high_of(index query) const { return high(query, document_at(positions.queries, query)); }

    bool alike(index) const { return true; }
    cover classify(const tile& t) const {
        if (high_of(t.query_end - 1) < t.key_begin || low_of(t.query_begin) >= t.key_end) return cover::empty;
        return low_of(t.query_end - 1) <= t.key_begin && high_of(t.query_begin) >= t.key_end - 1
                   ? cover::full
                   : cover::mixed;
    }
    index first_key(const tile& t) const {
        const index first = low_of(t.query_begin);
        if (high_of(t.query_end - 1) < t.key_begin || first >= t.key_end) return t.key_end;
        return first > t.key_begin ? first : t.key_begin;
    }

    struct intervals {
        query_numbers begin;
        query_numbers end;
        HEED_INLINE bool operator()(at i, lane_pos x) const {
            return (i.key >= begin.lane[x.lane]) & (i.key >= begin.row[x.row]) & (i.key <= end.lane[x.lane]) &
                   (i.key <= end.row[x.row]);
        }
    };
    intervals lanes(const lane_block& block) const {
        intervals found;
        fill_numbers(positions, block, INT32_MIN, found.begin, [&](index q, index d) { return low(q, d); });
        fill_numbers(positions, block, INT32_MAX, found.end, [&](index q, index d) { return high(q, d); });
        return found;
    }
};

}  // namespace heed::inline HEED_ABI::detail
