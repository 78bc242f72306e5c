// SPDX-License-Identifier: MIT
// heed/mask/dense.hpp: a mask written out as a tensor of bool
//
// The tensor broadcasts right-aligned to (batch, head, query, key); true = may look. A tile is classified
// by reading it, and the reading stops as soon as both answers were seen, so blocks of a sparse mask that
// hide everything are skipped for the price of reading them.
//
// Cost: the tensor is the caller's; a tile costs at most queries x keys bytes, eight at a time.
#pragma once

#include <cstring>

#include <heed/core/broadcast.hpp>
#include <heed/mask/read_block.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

struct bound_dense {
    table<const bool> visible;

    const bool* at_score(index b, index h, index q, index k) const {
        return visible.data + b * visible.strides[0] + h * visible.strides[1] + q * visible.strides[2] +
               k * visible.strides[3];
    }

    bool alike(index heads) const { return heads == 1 || visible.strides[1] == 0; }
    cover classify(const tile& t) const {
        const bool first = *at_score(t.batch, t.head, t.query_begin, t.key_begin);
        const index queries = visible.strides[2] == 0 ? 1 : t.query_end - t.query_begin;
        const index keys = visible.strides[3] == 0 ? 1 : t.key_end - t.key_begin;
        for (index q = 0; q < queries; ++q)
            if (!same(at_score(t.batch, t.head, t.query_begin + q, t.key_begin), keys, first))
                return cover::mixed;
        return first ? cover::full : cover::empty;
    }

    struct block_bits {
        std::int32_t visible[most_rows][most_lanes];  // bools would not become vector code
        HEED_INLINE bool operator()(at, lane_pos x) const { return visible[x.row][x.lane] != 0; }
    };
    block_bits lanes(const lane_block& block) const {
        std::uint8_t bytes[most_rows][most_lanes];
        read_block(block, at_score(block.first.batch, block.first.head, block.first.query, block.first.key),
                   visible.strides[2], visible.strides[3], bytes);
        block_bits bits;
        for (std::int32_t row = 0; row < block.rows; ++row)
            for (std::int32_t lane = 0; lane < most_lanes; ++lane) bits.visible[row][lane] = bytes[row][lane];
        return bits;
    }

private:
    bool same(const bool* p, index count, bool value) const {
        index k = 0;
        if (visible.strides[3] == 1) {
            std::uint64_t all = 0;
            std::memset(&all, value ? 1 : 0, sizeof all);
            for (; k + 8 <= count; k += 8) {
                std::uint64_t eight;
                std::memcpy(&eight, p + k, sizeof eight);
                if (eight != all) return false;
            }
        }
        for (; k < count; ++k)
            if (p[k * visible.strides[3]] != value) return false;
        return true;
    }
};

struct dense_mask : mask_base {
    table<const bool> visible;
    explicit dense_mask(const table<const bool>& v) : visible(v) {}
    auto content() const { return std::tie(visible); }
    const char* overlapped(const byte_span& output) const {
        return overlap(output, bytes_of(visible.data, visible.extents, visible.strides)) ? "the mask"
                                                                                         : nullptr;
    }
    auto bind(std::string_view function, const problem_shape& shape) const {
        return bound_dense{broadcast(function, "mask", visible, shape)};
    }
};

}  // namespace detail

// true = may look. Keeps a reference to the tensor.
template <class X>
auto mask(X&& visible) {
    static_assert(detail::says_its_extents<X>());
    static_assert(
        detail::has_elements<X>,
        "heed::mask: needs a tensor of bool that has its elements in memory; an expression has to be "
        "evaluated first, a function is heed::mask_if(f)");
    static_assert(detail::table_may_be_kept<X>,
                  "heed::mask: the tensor is a temporary and would be gone; give it a name");
    auto t = detail::as_table(visible);
    static_assert(std::is_same_v<detail::element_t<decltype(t)>, bool>,
                  "heed::mask: needs a tensor of bool; a tensor of numbers that are added is heed::bias(t)");
    return detail::dense_mask({t.data, t.extents, t.strides, t.rank});
}

}  // namespace heed::inline HEED_ABI
