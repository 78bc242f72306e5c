// SPDX-License-Identifier: MIT
// heed/kernel/native/branch.hpp: the problem of one branch, on the kernel of exact attention that suits it
//
// One head, all rows against the same list of tiles. Rows that fill more than half a pack are lanes of the
// tiled kernel; fewer go to the decode kernel, where lanes are features and a row costs what it costs. The
// choice depends on the number of rows alone.
#pragma once

#include <heed/core/arena.hpp>
#include <heed/core/fetch.hpp>
#include <heed/kernel/exact/run.hpp>
#include <heed/kernel/native/choose.hpp>

namespace heed::inline HEED_ABI::detail {

// One head of a tensor as a tensor of its own.
template <class X>
strided<X> rows_of_head(const strided<X>& x, index b, index h) {
    return {x.row(b, h, 0), {0, 0, x.stride[2], x.stride[3]}};
}

// Rows [begin, end) of one head to the second-level cache.
template <class X>
void fetch_rows(const strided<X>& x, index begin, index end, index features) {
#if HEED_VECTOR_EXTENSIONS
    constexpr index line = 64 / static_cast<index>(sizeof(X));
    for (index row = begin; row < end; ++row)
        for (index f = 0; f < features; f += line) fetch_line(x.row(0, 0, row) + f * x.stride[3]);
#endif
}

template <class E>
class branch_kernel {
public:
    using T = typename exact_problem<E>::T;

    branch_kernel(const exact_problem<E>& p, const exact_leaves<E>& leaves)
        : p_(p),
          by_row_(p.queries <= leaves.pack_lanes / 2),
          lanes_(p, leaves, p.queries),
          rows_(p, leaves) {}

    std::size_t bytes() const {
        if (!by_row_) return lanes_.bytes();
        arena counted;
        layout_in(counted);
        return counted.bytes();
    }
    // The most keys that a tile may have.
    index tile() const { return by_row_ ? decode_keys : tile_keys; }

    // All rows against the keys that tiles(take) hands out.
    template <class Tiles>
    void run(void* scratch, const Tiles& tiles) const {
        if (!by_row_) return lanes_.run(0, 0, 0, p_.queries, scratch, tiles);
        arena pieces(scratch);
        const layout m = layout_in(pieces);
        rows_.run(0, 0, m.state, m.piece, m.rows, tiles);
        rows_.finish(0, 0, m.state);
    }

    // All rows against those of keys [0, keys) that stand in the chosen blocks, of `block` keys each. A tile
    // behind the one whose lines are fetched: blocks stand anywhere in memory.
    void run_chosen(void* scratch, const chosen_blocks& chosen, index block, index keys) const {
        run(scratch, [&](const auto& take) {
            index begin = 0;
            index end = 0;
            for_chosen_keys(chosen, block, keys, tile(), [&](index next, index next_end) {
                fetch_rows(p_.k, next, next_end, p_.features);
                fetch_rows(p_.v, next, next_end, p_.value_features);
                if (begin < end) take(begin, end);
                begin = next;
                end = next_end;
            });
            if (begin < end) take(begin, end);
        });
    }

private:
    struct layout {
        char* rows;
        T* state;
        T* piece;
    };
    layout layout_in(arena& scratch) const {
        layout m;
        scratch.take(m.rows, static_cast<index>(rows_.bytes()));
        scratch.take(m.state, rows_.state_size());
        scratch.take(m.piece, rows_.state_size());
        return m;
    }

    const exact_problem<E>& p_;
    bool by_row_;
    exact_block<E> lanes_;
    exact_decode<E> rows_;
};

}  // namespace heed::inline HEED_ABI::detail
