// SPDX-License-Identifier: MIT
// heed/mask/blocks.hpp: which blocks of keys each block of queries sees, kept by the caller
//
//     heed::block_mask kept(visible, 128, 128);          from a table (query block, key block) of bool
//     y = heed::attention(q, k, v, heed::blocks(kept));
//
// Blocks of queries and keys are counted from position 0 of the call's queries and keys; the last may be
// short. Rows are held twice: as bits, which answer a tile in O(1), and as lists of key blocks (compressed
// rows), which readers walk.
//
// Cost: a bit for a pair of blocks and four bytes for a kept one. A hidden block costs nothing in a call,
// and strips of queries are cut where blocks end (64 queries or more of a block; multiples of 128 are best).
#pragma once

#include <span>
#include <vector>

#include <heed/core/broadcast.hpp>
#include <heed/mask/block_bits.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

template <class F>
concept callable_of_blocks = requires(const F& f, index i) { static_cast<bool>(f(i, i)); };
struct blocks_mask;

}  // namespace detail

// Allocates in its constructors only. Not to be changed or moved while a call reads it.
class block_mask {
public:
    // From a table of bool, (query block, key block) with (batch, head) in front where they differ; an axis
    // of 1 in front serves every batch entry or head. An Eigen tensor, row-major matrix or view.
    template <class X>
    requires detail::has_elements<X>
    block_mask(const X& visible, index query_block, index key_block) : block_mask(query_block, key_block) {
        const auto t = detail::as_table(visible);
        static_assert(std::is_same_v<detail::element_t<decltype(t)>, bool>,
                      "heed::block_mask: needs a table of bool, (query block, key block)");
        extents_ = t.extents;
        fill([&](index b, index h, index q, index k) {
            return t.data[b * t.strides[0] + h * t.strides[1] + q * t.strides[2] + k * t.strides[3]];
        });
    }

    // From f(query block, key block) -> bool, for `queries` queries and `keys` keys.
    template <detail::callable_of_blocks F>
    block_mask(const F& f, index queries, index keys, index query_block, index key_block)
        : block_mask(query_block, key_block) {
        set_extents({1, 1, queries, keys});
        fill([&](index, index, index q, index k) { return static_cast<bool>(f(q, k)); });
    }

    // From another mask: the blocks of which it does not say that they are empty. Masks that cannot tell
    // (mask_if) keep every block; heed::causal & mask_if(f) those that causal leaves.
    template <mask_option M>
    block_mask(const M& mask, const problem_shape& shape, index query_block, index key_block)
        : block_mask(query_block, key_block) {
        set_extents(shape);
        const auto bound = mask.bind("block_mask", shape);
        const auto end = [](index i, index block, index positions) {
            return (i + 1) * block < positions ? (i + 1) * block : positions;
        };
        fill([&](index b, index h, index q, index k) {
            return bound.classify({b, h, q * query_block, end(q, query_block, shape.queries), k * key_block,
                                   end(k, key_block, shape.keys)}) != cover::empty;
        });
    }

    index query_block() const { return query_block_; }
    index key_block() const { return key_block_; }
    // (batch, head, query blocks, key blocks); 1 in front where all batch entries or heads share the rows.
    const std::array<index, 4>& extents() const { return extents_; }

    // The key blocks that a block of queries sees, ascending.
    std::span<const std::int32_t> kept(index query_block_index, index head = 0, index batch = 0) const {
        const std::size_t r = static_cast<std::size_t>(row_of(batch, head, query_block_index));
        return {kept_.data() + starts_[r], kept_.data() + starts_[r + 1]};
    }
    // Kept pairs of blocks as a share of all.
    double density() const {
        const double all = static_cast<double>(starts_.size() - 1) * static_cast<double>(extents_[3]);
        return all > 0 ? static_cast<double>(kept_.size()) / all : 0;
    }

private:
    friend detail::blocks_mask;

    block_mask(index query_block, index key_block) : query_block_(query_block), key_block_(key_block) {
        if (!(query_block > 0 && key_block > 0 && query_block <= longest_axis && key_block <= longest_axis))
            detail::fail("block_mask", {"the blocks are ", query_block, " queries by ", key_block,
                                        " keys, needs 1 or more"});
    }
    void set_extents(const problem_shape& shape) {
        for (const index n : {shape.batch, shape.heads, shape.queries, shape.keys})
            if (!(n >= 0 && n <= longest_axis))
                detail::fail("block_mask", {"the shape is (", shape.batch, ", ", shape.heads, ", ",
                                            shape.queries, ", ", shape.keys, "), needs counts to 2^31 - 1"});
        extents_ = {shape.batch, shape.heads, detail::blocks_of(shape.queries, query_block_),
                    detail::blocks_of(shape.keys, key_block_)};
    }
    index row_of(index b, index h, index q) const {
        return ((extents_[0] == 1 ? 0 : b) * extents_[1] + (extents_[1] == 1 ? 0 : h)) * extents_[2] + q;
    }

    template <class F>
    void fill(const F& visible) {
        const auto [batch, heads, query_blocks, key_blocks] = extents_;
        row_words_ = detail::words_of(key_blocks);
        const index rows = detail::checked_product("block_mask", {batch, heads, query_blocks});
        bits_.assign(static_cast<std::size_t>(detail::checked_product("block_mask", rows, row_words_)), 0);
        starts_.reserve(static_cast<std::size_t>(rows) + 1);
        starts_.push_back(0);
        detail::bit_word* row = bits_.data();
        for (index b = 0; b < batch; ++b)
            for (index h = 0; h < heads; ++h)
                for (index q = 0; q < query_blocks; ++q, row += row_words_) {
                    for (index k = 0; k < key_blocks; ++k)
                        if (visible(b, h, q, k)) {
                            detail::set_bit(row, k);
                            kept_.push_back(static_cast<std::int32_t>(k));
                        }
                    starts_.push_back(static_cast<index>(kept_.size()));
                }
    }

    index query_block_;
    index key_block_;
    std::array<index, 4> extents_{};
    index row_words_ = 0;
    std::vector<detail::bit_word> bits_;  // (batch, head, query block), rows of whole words
    std::vector<index> starts_;           // of every row in kept_, and the end
    std::vector<std::int32_t> kept_;
};

namespace detail {

struct blocks_mask : mask_base {
    const block_mask* blocks;
    explicit blocks_mask(const block_mask& b) : blocks(&b) {}
    auto content() const {
        return std::tie(blocks->query_block_, blocks->key_block_, blocks->starts_, blocks->kept_);
    }

    bound_blocks bind(std::string_view function, const problem_shape& shape) const {
        const block_mask& m = *blocks;
        const auto& [batch, heads, query_blocks, key_blocks] = m.extents_;
        if (!((batch == 1 || batch == shape.batch) && (heads == 1 || heads == shape.heads) &&
              query_blocks == blocks_of(shape.queries, m.query_block_) &&
              key_blocks == blocks_of(shape.keys, m.key_block_)))
            fail(function, {"blocks has (",
                            batch,
                            ", ",
                            heads,
                            ", ",
                            query_blocks,
                            ", ",
                            key_blocks,
                            ") blocks of ",
                            m.query_block_,
                            " x ",
                            m.key_block_,
                            ", needs (",
                            shape.batch,
                            " or 1, ",
                            shape.heads,
                            " or 1, ",
                            blocks_of(shape.queries, m.query_block_),
                            ", ",
                            blocks_of(shape.keys, m.key_block_),
                            ") for ",
                            shape.queries,
                            " queries and ",
                            shape.keys,
                            " keys"});
        const index head = query_blocks * m.row_words_;
        return {m.bits_.data(),
                batch == 1 ? 0 : heads * head,
                heads == 1 ? 0 : head,
                m.row_words_,
                1,
                m.query_block_,
                m.key_block_};
    }
};

}  // namespace detail

// The blocks of a block_mask. Keeps a reference to it.
template <class B>
auto blocks(B&& mask) {
    static_assert(std::is_same_v<std::remove_cvref_t<B>, block_mask>,
                  "heed::blocks: needs a heed::block_mask; a table of bool is wrapped in one first");
    static_assert(std::is_lvalue_reference_v<B>,
                  "heed::blocks: the block_mask is a temporary and would be gone; give it a name");
    return detail::blocks_mask(mask);
}

}  // namespace heed::inline HEED_ABI
