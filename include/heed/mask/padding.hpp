// SPDX-License-Identifier: MIT
// heed/mask/padding.hpp: masks that look at the key alone: a visible prefix, and lengths of ragged batches
//
//     prefix(n)              key < n for every query
//     key_lengths(lengths)   key < lengths[batch]; the keys behind do not exist
//
// Cost: no storage, O(1) for a tile.
#pragma once

#include <heed/core/numbers.hpp>
#include <heed/mask/concept.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

struct key_below {
    std::int32_t end;
    HEED_INLINE bool operator()(at i, lane_pos) const { return i.key < end; }
};

template <class End>
struct bound_key_end {
    End end;
    bool alike(index) const { return true; }
    cover classify(const tile& t) const {
        const index e = end[t.batch];
        return t.key_begin >= e ? cover::empty : t.key_end <= e ? cover::full : cover::mixed;
    }
    index first_key(const tile& t) const { return t.key_begin < end[t.batch] ? t.key_begin : t.key_end; }
    key_below lanes(const lane_block& block) const {
        return {static_cast<std::int32_t>(end[block.first.batch])};
    }
};

struct prefix_mask : mask_base {
    index end;
    explicit prefix_mask(index n) : end(n) {}
    auto content() const { return std::tie(end); }
    auto bind(std::string_view function, const problem_shape& shape) const {
        if (end < 0) fail(function, {"prefix is ", end, ", needs a count of keys that is not negative"});
        return bound_key_end<per_batch<index>>{{end < shape.keys ? end : shape.keys, {}, false}};
    }
};

template <class Int>
struct key_lengths_mask : mask_base {
    per_batch<Int> lengths;
    explicit key_lengths_mask(const per_batch<Int>& l) : lengths(l) {}
    auto content() const { return std::tie(lengths); }
    const char* overlapped(const byte_span& output) const {
        return lengths.values.overlaps(output) ? "key_lengths" : nullptr;
    }
    auto bind(std::string_view function, const problem_shape& shape) const {
        if (lengths.values.size != shape.batch)
            fail(function, {"key_lengths has ", lengths.values.size, " numbers, needs one for each of the ",
                            shape.batch, " batch entries"});
        for (index b = 0; b < shape.batch; ++b)
            if (!lengths.within(b, 0, shape.keys))
                fail(function, {"key_lengths[", b, "] is ", lengths.text_of(b),
                                ", needs a length from 0 to the ", shape.keys, " keys there are"});
        return bound_key_end<per_batch<Int>>{lengths};
    }
};

}  // namespace detail

// The first n keys are visible to every query; with `causal | prefix(n)`, a prefix language model.
template <class N>
auto prefix(const N& n) {
    static_assert(detail::whole_number<N>, "heed::prefix: needs a whole number of keys");
    return detail::prefix_mask(detail::index_of(n));
}

// Per batch entry, keys from that length on do not exist. Keeps a reference to the range.
template <class R>
auto key_lengths(R&& lengths) {
    static_assert(detail::integers<R>,
                  "heed::key_lengths: needs a contiguous range of whole numbers, one for each batch entry");
    static_assert(detail::may_be_kept<R>,
                  "heed::key_lengths: the lengths are a temporary and would be gone; give them a name");
    return detail::key_lengths_mask(detail::numbers_of(lengths));
}

}  // namespace heed::inline HEED_ABI
