// SPDX-License-Identifier: MIT
// heed/kernel/linear/walk-inl.hpp: a state of linear attention where it lies: read by some rows, and moved on
//
// A step of a stream is bound by the caches that its state comes from, so each part of a state is taken up
// once: what reads it and what changes it go over the same few packs of columns while they are near. Sums run
// over features, and over positions, in their order from zero, as the products of a chunk do: the bits of a
// position do not tell how many were in its call.

#ifndef HEED_KERNEL_LINEAR_WALK_INL
#define HEED_KERNEL_LINEAR_WALK_INL

#include <heed/kernel/lanes-inl.hpp>
#include <heed/kernel/linear/rows-inl.hpp>
#include <heed/kernel/multiply_add-inl.hpp>
#include <heed/kernel/rounded-inl.hpp>

#define HEED_FOREACH <heed/kernel/linear/walk-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

// Packs of columns side by side: with two rows eight sums.
inline constexpr int walk_packs = 4;

// k v as a sum that begins at zero rounds it.
template <class T>
HEED_INLINE pack<T> rounded_product(pack<T> a, pack<T> b) {
    return a * b + set<pack<T>>(0);
}

// What rows [r, r + Rows) make of their sums: the difference that the delta rule writes, an output, or plain
// sums.
template <int Rows, int Packs, class T>
HEED_INLINE void finish_rows(const detail::state_walk<T>& p, index r, index column, const T* pairs,
                             pack<T> (&sums)[Rows][Packs]) {
    HEED_UNROLL
    for (int q = 0; q < Rows; ++q) {
        const bool corrects = p.beta != nullptr && r + q == 0;
        HEED_UNROLL
        for (int j = 0; j < Packs; ++j) {
            const index at = column + j * lanes_of<T>;
            T* const to = p.out + (r + q) * p.out_row + at;
            if (corrects)
                store(p.values + at, (load(p.values + at) - sums[q][j]) * set<pack<T>>(*p.beta));
            else if (p.alone)
                store(to, sums[q][j] + rounded_product<T>(set<pack<T>>(pairs[q]), load(p.values + at)));
            else if (p.subtract)
                store(to, load(to) - sums[q][j]);
            else
                store(to, sums[q][j]);
        }
    }
}

// Rows times the state's columns; the state takes in `Moves` positions on the way, if any. Stores of packs
// may alias anything, so what the loop needs of p stands in numbers of its own.
// Keyed: the first row is the key under the delta rule, whose product with itself nobody wants.
template <int Rows, int Packs, int Moves, bool Keyed, class T>
HEED_INLINE void walk_rows(const detail::state_walk<T>& p, index r, index column) {
    constexpr int w = lanes_of<T>;
    const index features = p.features;
    const index row = p.row;
    const index from_row = p.from_row;
    const index to_row = p.to_row;
    const index keep_step = p.keep_step;
    const T* const rows = p.rows + r * row;
    const T* const plain = p.plain + r * row;
    const T* const keys = p.keys;
    const T* keep = p.keep;
    const T* from = p.from + column;
    T* to = Moves > 0 ? p.to + column : nullptr;
    const index key_row = p.key_row;
    const bool makes_pairs = p.alone && p.pairs == nullptr;
    pack<T> sums[Rows][Packs];
    clear(sums);
    T pairs[Rows];
    HEED_UNROLL
    for (int q = 0; q < Rows; ++q) pairs[q] = p.pairs != nullptr ? p.pairs[r + q] : T(0);
    pack<T> value[Moves > 0 ? Moves : 1][Packs];
    HEED_UNROLL
    for (int i = 0; i < Moves; ++i) {
        HEED_UNROLL
        for (int j = 0; j < Packs; ++j) value[i][j] = load(p.values + i * p.value_row + column + j * w);
    }
    for (index f = 0; f < features; ++f, from += from_row) {
        pack<T> s[Packs];
        HEED_UNROLL
        for (int j = 0; j < Packs; ++j) s[j] = Rows > 1 ? rounded(load(from + j * w)) : load(from + j * w);
        HEED_UNROLL
        for (int q = 0; q < Rows; ++q) {
            const pack<T> x = set<pack<T>>(rows[q * row + f]);
            HEED_UNROLL
            for (int j = 0; j < Packs; ++j) sums[q][j] = x * s[j] + sums[q][j];
        }
        if (makes_pairs) {
            HEED_UNROLL
            for (int q = Keyed; q < Rows; ++q) pairs[q] = multiply_add(plain[q * row + f], keys[f], pairs[q]);
        }
        if constexpr (Moves > 0) {
            const pack<T> factor = set<pack<T>>(*keep);
            pack<T> added[Packs];
            HEED_UNROLL
            for (int j = 0; j < Packs; ++j) added[j] = set<pack<T>>(0);
            HEED_UNROLL
            for (int i = 0; i < Moves; ++i) {
                const pack<T> key = set<pack<T>>(keys[i * key_row + f]);
                HEED_UNROLL
                for (int j = 0; j < Packs; ++j) added[j] = key * value[i][j] + added[j];
            }
            HEED_UNROLL
            for (int j = 0; j < Packs; ++j) store(to + j * w, decayed_sum<T>(s[j], factor, added[j]));
            keep += keep_step;
            to += to_row;
        }
    }
    finish_rows(p, r, column, pairs, sums);
}

// The state takes in one position.
template <int Packs, class T>
HEED_INLINE void walk_one(const detail::state_walk<T>& p, index column) {
    constexpr int w = lanes_of<T>;
    const index features = p.features;
    const index from_row = p.from_row;
    const index to_row = p.to_row;
    const index keep_step = p.keep_step;
    const T* const keys = p.keys;
    const T* keep = p.keep;
    const T* from = p.from + column;
    T* to = p.to + column;
    pack<T> value[Packs];
    HEED_UNROLL
    for (int j = 0; j < Packs; ++j) value[j] = load(p.values + column + j * w);
    for (index f = 0; f < features; ++f, from += from_row, to += to_row, keep += keep_step) {
        const pack<T> key = set<pack<T>>(keys[f]);
        const pack<T> factor = set<pack<T>>(*keep);
        HEED_UNROLL
        for (int j = 0; j < Packs; ++j)
            store(to + j * w, decayed_sum<T>(load(from + j * w), factor, rounded_product<T>(key, value[j])));
    }
}

// The state takes in all positions.
template <int Packs, class T>
HEED_INLINE void walk_positions(const detail::state_walk<T>& p, index column) {
    constexpr int w = lanes_of<T>;
    const index features = p.features;
    const index positions = p.positions;
    const index key_row = p.key_row;
    const index value_row = p.value_row;
    const T* keep = p.keep;
    const T* from = p.from + column;
    T* to = p.to + column;
    for (index f = 0; f < features; ++f, from += p.from_row, to += p.to_row, keep += p.keep_step) {
        pack<T> sums[1][Packs];
        clear(sums);
        const T* key = p.keys + f;
        const T* value = p.values + column;
        for (index i = 0; i < positions; ++i, key += key_row, value += value_row)
            add_products<T>(key, 0, value, sums);
        const pack<T> factor = set<pack<T>>(*keep);
        HEED_UNROLL
        for (int j = 0; j < Packs; ++j)
            store(to + j * w, decayed_sum<T>(load(from + j * w), factor, sums[0][j]));
    }
}

template <int Packs, class T>
HEED_INLINE void walk_columns(const detail::state_walk<T>& p, index column) {
    // The last rows are read together with the move of one or two positions, where what moves in does not
    // depend on what is read.
    const bool reads_only = p.to == nullptr || p.beta != nullptr;
    const index together = !reads_only && p.count >= p.positions && p.positions <= 2 ? p.positions : 0;
    const index reads = p.count - together;
    index r = 0;
    if (p.beta != nullptr && reads >= 2) {
        walk_rows<2, Packs, 0, true>(p, 0, column);
        r = 2;
    }
    for (; r + 2 <= reads; r += 2) walk_rows<2, Packs, 0, false>(p, r, column);
    for (; r < reads; ++r) walk_rows<1, Packs, 0, false>(p, r, column);
    if (p.to == nullptr) return;
    if (together == 1)
        walk_rows<1, Packs, 1, false>(p, r, column);
    else if (together == 2)
        walk_rows<2, Packs, 2, false>(p, r, column);
    else if (p.positions == 1)
        walk_one<Packs>(p, column);
    else
        walk_positions<Packs>(p, column);
}

template <class T>
HEED_NOINLINE void walk_state(const detail::state_walk<T>& p) {
    constexpr int w = lanes_of<T>;
    index column = 0;
    for (; column + walk_packs * w <= p.columns; column += walk_packs * w)
        walk_columns<walk_packs>(p, column);
    for (; column < p.columns; column += w) walk_columns<1>(p, column);
}

// e^g of single steps; what is smaller than any exponent counts as the smallest one.
template <class T>
HEED_NOINLINE void decays_of_steps(const T* logs, index n, T* to) {
    const pack<T> min = set<pack<T>>(static_cast<T>(detail::min_log_decay));
    for (index i = 0; i < n; i += lanes_of<T>) {
        const pack<T> g = load_or(logs + i, n - i, T(0));
        store(to + i, exp(choose(g < min, min, g)));
    }
}

template <class T>
HEED_NOINLINE void multiply_elements(const T* x, const T* y, index n, T* to) {
    for (index i = 0; i < n; i += lanes_of<T>) store(to + i, load(x + i) * load(y + i));
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
