// SPDX-License-Identifier: MIT
// heed/kernel/native/importance.hpp: how much every block of keys weighs for the queries of a block
//
// While the tiled kernel runs over the compressed keys, each tile of exponentials is summed up by selection
// block and noted down together with the maximum it is relative to. Once the maximum M and the sum l of the
// rows are known, weights[j] += e^(m - M) / l * noted[j], heads one after the other. A row that is not a
// number adds nothing, so that it does not decide for the other heads of its group.
#pragma once

#include <heed/kernel/native/kernels.hpp>
#include <heed/sparse/native_blocks.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
struct block_importance {
    struct note {
        index row;
        index count;
        index block_begin;
        index block_end;
    };

    T* weights = nullptr;   // (selection block, query)
    note* notes = nullptr;  // one for each tile and strip of a run
    T* numbers = nullptr;   // of a note: (maxima, then blocks) of a strip of lanes

    block_importance() = default;
    // Rows are head * queries + query; with `whole` strips every strip is one head.
    block_importance(const native_blocks& blocks, index lanes, index pack, index queries, bool whole)
        : leaf_(&native_leaves_on_target<T>()),
          chunks_(blocks.chunks()),
          select_chunks_(blocks.select_chunks()),
          lanes_(lanes),
          pack_(pack),
          queries_(queries),
          whole_(whole) {}

    index max_notes(index keys, index strips) const {
        const index each = whole_ ? tile_keys : fewest_step_keys;
        return (keys + each - 1) / each * strips;
    }
    index note_size() const { return lanes_ * (1 + (tile_keys + chunks_ - 2) / select_chunks_ + 2); }

    void clear(index blocks) {
        count_ = 0;
        for (index x = 0; x < blocks * queries_; ++x) weights[x] = 0;
    }

    static void observe(void* self, const tile& t, index first, index end, const T* e, index row_stride,
                        const T* row_max) {
        static_cast<block_importance*>(self)->take(t, first, end, e, row_stride, row_max);
    }

    static void observe_rows(void* self, const tile& t, index rows, const T* e, const T* row_max) {
        static_cast<block_importance*>(self)->take_rows(t, rows, e, row_max);
    }

    // Adds what was noted down; maximum and sum are those of row 0.
    void add_notes(const T* maximum, const T* sum) {
        T factor[panel_packs * most_pack_lanes];
        for (index i = 0; i < count_; ++i) {
            const note& x = notes[i];
            const T* const row_max = numbers + i * note_size();
            bool numbers_only = true;
            for (index l = 0; l < lanes_; ++l) {
                const T all = l < x.count ? sum[x.row + l] : T(0);
                factor[l] =
                    all == T(0) ? T(0) : scalar::exp_of_negative(row_max[l] - maximum[x.row + l]) / all;
                numbers_only = numbers_only && is_finite(all);
            }
            const index rows = x.block_end - x.block_begin;
            if (whole_ && numbers_only)
                leaf_->add_weights(row_max + lanes_, rows, packs_of(x.count), factor,
                                   weights + x.block_begin * queries_ + x.row % queries_);
            else
                add_single(x, row_max + lanes_, factor, sum);
        }
        count_ = 0;
    }

private:
    int packs_of(index rows) const { return static_cast<int>((rows + pack_ - 1) / pack_); }

    const note& next_note(index row, index count, index key, index key_end) {
        note& x = notes[count_++];
        x.row = row;
        x.count = count;
        x.block_begin = key / select_chunks_;
        x.block_end = (key_end - 1 + chunks_ - 1) / select_chunks_ + 1;
        return x;
    }

    void take(const tile& t, index first, index end, const T* e, index row_stride, const T* row_max) {
        T* const to = numbers + count_ * note_size();
        const int packs = packs_of(t.query_end - t.query_begin);
        const index key = t.key_begin + first;
        const index key_end = t.key_begin + end;
        const note& x = next_note(t.query_begin, t.query_end - t.query_begin, key, key_end);
        for (index l = 0; l < lanes_; ++l) to[l] = l < packs * pack_ ? row_max[l] : minus_infinity<T>();
        leaf_->pool_weights[packs - 1](e + first * row_stride, key, key_end, chunks_, select_chunks_,
                                       x.block_begin, x.block_end, to + lanes_);
    }

    // All rows of a call, at most half a pack of them.
    void take_rows(const tile& t, index rows, const T* e, const T* row_max) {
        T* const to = numbers + count_ * note_size();
        const note& x = next_note(0, rows, t.key_begin, t.key_end);
        for (index r = 0; r < rows; ++r) {
            to[r] = row_max[r];
            T* const blocks = to + lanes_ + r;
            for (index j = x.block_begin; j < x.block_end; ++j) blocks[(j - x.block_begin) * lanes_] = 0;
            for (index i = t.key_begin; i < t.key_end; ++i)
                for (index c = i; c < i + chunks_; ++c)
                    blocks[(c / select_chunks_ - x.block_begin) * lanes_] +=
                        e[r * decode_keys + i - t.key_begin];
        }
        for (index l = rows; l < lanes_; ++l) to[l] = minus_infinity<T>();
    }

    void add_single(const note& x, const T* from, const T* factor, const T* sum) {
        for (index j = x.block_begin; j < x.block_end; ++j, from += lanes_)
            for (index l = 0; l < x.count; ++l)
                if (sum[x.row + l] != T(0) && is_finite(sum[x.row + l]))  // what saw nothing adds nothing
                    weights[j * queries_ + (x.row + l) % queries_] += from[l] * factor[l];
    }

    const native_leaves<T>* leaf_ = nullptr;
    index chunks_ = 1;
    index select_chunks_ = 1;
    index lanes_ = 0;
    index pack_ = 1;
    index queries_ = 0;
    bool whole_ = false;
    index count_ = 0;
};

}  // namespace heed::inline HEED_ABI::detail
