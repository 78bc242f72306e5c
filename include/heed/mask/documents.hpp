// SPDX-License-Identifier: MIT
// heed/mask/documents.hpp: ragged batches, a query sees only the keys of its own document
//
//     documents(query_ids, key_ids)   the document of every query and of every key
//     packed(offsets)                 documents one behind the other; d is [offsets[d], offsets[d + 1])
//     packed(query_offsets, key_offsets)   the same with other lengths of keys; also says where queries stand
//                                     for what they are joined with (mask/positions.hpp)
//
// Cost: for a tile O(1) where the ids do not fall, O(log documents) for offsets, O(queries + keys of the
// tile) for ids in any order. No storage.
#pragma once

#include <heed/mask/positions.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

// Ids of one axis: the same for every batch entry, or one row for each.
template <class Int>
struct id_axis {
    const Int* data;
    index count;
    index batch_stride;
    bool sorted;

    id_axis(std::string_view function, std::string_view argument, const number_span<Int>& ids, index batch,
            index positions)
        : data(ids.data),
          count(positions),
          batch_stride(ids.size == positions ? 0 : positions),
          sorted(true) {
        if (!(ids.size == positions ||
              (batch > 0 && positions > 0 && ids.size / batch == positions && ids.size % batch == 0)))
            fail(function,
                 {argument, " has ", ids.size, " ids, needs ", positions, " or ", batch, " x ", positions});
        for (index b = 0; b < (batch_stride == 0 ? 1 : batch); ++b)
            for (index p = 1; p < positions; ++p) sorted = sorted && row(b)[p - 1] <= row(b)[p];
    }
    const Int* row(index batch) const { return data + batch * batch_stride; }

    struct range {
        Int min;
        Int max;
    };
    range range_of(index batch, index begin, index end) const {
        const Int* ids = row(batch);
        range r{ids[begin], ids[end - 1]};
        if (!sorted)
            for (index p = begin; p < end; ++p) {
                if (ids[p] < r.min) r.min = ids[p];
                if (ids[p] > r.max) r.max = ids[p];
            }
        return r;
    }
};

// An id as 64 bits that compare with those of the other axis. Where one type is signed and one is not, a
// negative number and one of 2^63 or more equal nothing on the other side, but could share their bits.
template <class Other, class Int>
std::int64_t id_bits(Int id) {
    const auto bits = static_cast<std::int64_t>(id);
    if constexpr (std::is_signed_v<Int> == std::is_signed_v<Other>)
        return bits;
    else
        return bits >= 0 ? bits : std::is_signed_v<Int> ? -1 : -2;
}

template <class Q, class K>
struct bound_documents {
    id_axis<Q> queries;
    id_axis<K> keys;

    bool alike(index) const { return true; }
    cover classify(const tile& t) const {
        const auto q = queries.range_of(t.batch, t.query_begin, t.query_end);
        const auto k = keys.range_of(t.batch, t.key_begin, t.key_end);
        // + makes an int of bool and characters, which cmp_less does not take.
        if (std::cmp_less(+q.max, +k.min) || std::cmp_less(+k.max, +q.min)) return cover::empty;
        const bool one = q.min == q.max && k.min == k.max;
        return one ? cover::full : cover::mixed;
    }

    // The ids along the lanes, and of every row.
    struct block_ids {
        std::int64_t of_lane[most_lanes];
        std::int64_t of_row[most_rows];
        HEED_INLINE bool operator()(at, lane_pos x) const { return of_lane[x.lane] == of_row[x.row]; }
    };
    block_ids lanes(const lane_block& block) const {
        block_ids ids;
        const Q* q = queries.row(block.first.batch) + block.first.query;
        const K* k = keys.row(block.first.batch) + block.first.key;
        for (std::int32_t l = 0; l < most_lanes; ++l) {
            const std::int32_t p = block.clamped(l);
            ids.of_lane[l] = block.lanes_are_queries() ? id_bits<K>(q[p]) : id_bits<Q>(k[p]);
        }
        for (std::int32_t r = 0; r < block.rows; ++r)
            ids.of_row[r] = block.lanes_are_queries() ? id_bits<Q>(k[r]) : id_bits<K>(q[r]);
        return ids;
    }
};

template <class Q, class K>
struct documents_mask : mask_base {
    number_span<Q> queries;
    number_span<K> keys;
    documents_mask(const number_span<Q>& q, const number_span<K>& k) : queries(q), keys(k) {}
    auto content() const { return std::tie(queries, keys); }
    const char* overlapped(const byte_span& output) const {
        return queries.overlaps(output) || keys.overlaps(output) ? "documents" : nullptr;
    }
    auto bind(std::string_view function, const problem_shape& shape) const {
        return bound_documents<Q, K>{
            id_axis<Q>(function, "documents: query_ids", queries, shape.batch, shape.queries),
            id_axis<K>(function, "documents: key_ids", keys, shape.batch, shape.keys)};
    }
};

// Document boundaries of one axis.
template <class Int>
void check_offsets(std::string_view function, std::string_view argument, const number_span<Int>& o,
                   index positions) {
    if (!(o.size >= 1 && o.within(0, 0, 0) && o.within(o.size - 1, positions, positions)))
        fail(function, {argument, " needs offsets from 0 to the ", positions, " positions there are"});
    for (index d = 1; d < o.size; ++d)
        if (!o.within(d, o[d - 1], positions))
            fail(function, {argument, "[", d, "] is ", o.data[d], " after ", o[d - 1],
                            ", needs offsets that do not fall, up to the ", positions, " positions"});
}

// Of two lists it says where queries stand; of one, they stand where they do without it.
template <class Q, class K, bool Two>
struct packed_mask : mask_base {
    number_span<Q> queries;
    number_span<K> keys;
    packed_mask(const number_span<Q>& q, const number_span<K>& k) : queries(q), keys(k) {}
    auto content() const { return std::tie(queries, keys); }
    const char* overlapped(const byte_span& output) const {
        return queries.overlaps(output) || keys.overlaps(output) ? "packed" : nullptr;
    }
    auto bind(std::string_view function, const problem_shape& shape) const {
        if (queries.size != keys.size)
            fail(function, {"packed has ", queries.size, " query offsets and ", keys.size,
                            " key offsets, needs as many of both"});
        check_offsets(function, "packed: query offsets", queries, shape.queries);
        check_offsets(function, "packed: key offsets", keys, shape.keys);
        return bound_document_band<document_positions<Q, K>>{longest_axis, longest_axis, {queries, keys}};
    }
    document_positions<Q, K> positions() const
    requires Two
    {
        return {queries, keys};
    }
};
template <bool Two, class Q, class K>
packed_mask<Q, K, Two> packed_of(const number_span<Q>& queries, const number_span<K>& keys) {
    return {queries, keys};
}

}  // namespace detail

// The document of every query and key: as many ids as positions, or a row of them for each batch entry.
// Keeps references to both ranges.
template <class Q, class K>
auto documents(Q&& query_ids, K&& key_ids) {
    static_assert(
        detail::integers<Q> && detail::integers<K>,
        "heed::documents: needs two contiguous ranges of whole numbers, documents(query_ids, key_ids)");
    static_assert(detail::may_be_kept<Q> && detail::may_be_kept<K>,
                  "heed::documents: the ids are a temporary and would be gone; give them a name");
    return detail::documents_mask(detail::span_of(query_ids), detail::span_of(key_ids));
}

// Sequences one behind the other along the positions of one batch entry: offsets 0, …, positions. With two
// lists of as many offsets, p of a query is its place in its own document: `causal`, `window` and `alibi`
// line up the last query and the last key of each document, as for new tokens behind caches of any length.
// Queries in front of the first key of their document see nothing under `causal`.
template <class Q, class K>
auto packed(Q&& query_offsets, K&& key_offsets) {
    static_assert(
        detail::integers<Q> && detail::integers<K>,
        "heed::packed: needs contiguous ranges of whole numbers, from 0 to the positions there are");
    static_assert(detail::may_be_kept<Q> && detail::may_be_kept<K>,
                  "heed::packed: the offsets are a temporary and would be gone; give them a name");
    return detail::packed_of<true>(detail::span_of(query_offsets), detail::span_of(key_offsets));
}
template <class R>
auto packed(R&& offsets) {
    static_assert(
        detail::integers<R>,
        "heed::packed: needs a contiguous range of whole numbers, from 0 to the positions there are");
    static_assert(detail::may_be_kept<R>,
                  "heed::packed: the offsets are a temporary and would be gone; give them a name");
    return detail::packed_of<false>(detail::span_of(offsets), detail::span_of(offsets));
}

}  // namespace heed::inline HEED_ABI
