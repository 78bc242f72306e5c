// SPDX-License-Identifier: MIT
// heed/sparse/native_blocks.hpp: the block sizes of native sparse attention
//
// Compressed key i is made of keys [i stride, i stride + block); position p sees it once its last key is
// there, i stride + block - 1 <= p. Selection block j is keys [j select_block, (j + 1) select_block). The two
// share chunks of `compress_stride` keys: compressed key i has chunks i … i + chunks - 1, selection block j
// has chunks j select_chunks … (j + 1) select_chunks - 1, and weighs a compressed key by the chunks they
// share.
#pragma once

#include <string_view>

#include <heed/core/error.hpp>
#include <heed/core/option.hpp>

namespace heed::inline HEED_ABI {

namespace detail {

inline void check_pooling(std::string_view function, index block, index stride) {
    if (!(stride > 0 && stride <= longest_axis))
        fail(function, {"compress_stride is ", stride, ", needs at least 1 and at most 2^31 - 1"});
    if (!(block > 0 && block % stride == 0 && block <= longest_axis))
        fail(function, {"compress_block is ", block, ", needs a multiple of compress_stride, ", stride,
                        ", up to 2^31 - 1"});
}

}  // namespace detail

// An option of native_sparse_attention; the numbers are keys, but for select_count.
struct native_blocks {
    static constexpr option_kind kind = option_kind::native_blocks;

    index compress_block = 32;
    index compress_stride = 16;
    index select_block = 64;
    index select_count =
        16;              // blocks of a query: the first, its own and the one before are always among them
    index window = 512;  // keys, a query's own included
    auto content() const {
        return std::tie(compress_block, compress_stride, select_block, select_count, window);
    }

    index chunks() const { return compress_block / compress_stride; }
    index select_chunks() const { return select_block / compress_stride; }
    // Compressed keys that n keys give: also those that position n - 1 sees.
    index compressed_of(index n) const {
        return n < compress_block ? 0 : (n - compress_block) / compress_stride + 1;
    }

    void validate(std::string_view function) const {
        detail::check_pooling(function, compress_block, compress_stride);
        if (!(select_block > 0 && select_block % compress_stride == 0 && select_block <= longest_axis))
            detail::fail(function,
                         {"select_block is ", select_block, ", needs a multiple of compress_stride, ",
                          compress_stride, ", up to 2^31 - 1"});
        if (!(select_count >= 3 && select_count <= longest_axis))
            detail::fail(function,
                         {"select_count is ", select_count,
                          ", needs at least 3, the first block, a query's own and the one before, and "
                          "at most 2^31 - 1"});
        if (!(window > 0 && window <= longest_axis))
            detail::fail(function, {"window is ", window,
                                    ", needs at least the query's own key, 1, and at most 2^31 - 1"});
    }
};

}  // namespace heed::inline HEED_ABI
