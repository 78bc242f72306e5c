// SPDX-License-Identifier: MIT
// heed/kernel/dense/pack-inl.hpp: rows of a and columns of b as panels, the way register blocks read them
//
// A panel is (term, lane), a lane being a row of a or a column of b. Lanes that are neighbours in memory are
// copied, terms that are neighbours are transposed in squares of packs, all else goes number by number.

#ifndef HEED_KERNEL_DENSE_PACK_INL
#define HEED_KERNEL_DENSE_PACK_INL

#include <heed/core/fetch.hpp>
#include <heed/core/strided.hpp>
#include <heed/simd/pack-inl.hpp>

#define HEED_FOREACH <heed/kernel/dense/pack-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

// Rows and packs of a register block: 8 x 3 sums of 32 registers, 4 x 3 of 16.
inline constexpr int dense_rows = HEED_SIMD_REGISTERS == 32 ? 8 : 4;
inline constexpr int dense_packs = 3;
// Packs of a panel of rows, which holds whole register blocks.
template <class T>
inline constexpr int row_packs = dense_rows > lanes_of<T> ? dense_rows / lanes_of<T> : 1;

template <class T>
inline constexpr index line_numbers = 64 / static_cast<index>(sizeof(T));

template <int Packs, class T>
HEED_INLINE void copy_lanes(const T* from, index term_stride, index lanes, index terms, T* to) {
    constexpr int w = lanes_of<T>;
    constexpr index wide = Packs * w;
    constexpr index ahead = 16;  // a term's lanes are few lines, a page away from the next term's
    for (index i = 0; i < terms; ++i, from += term_stride, to += wide) {
        if (i + ahead < terms)
            for (index l = 0; l < lanes; l += line_numbers<T>)
                detail::fetch_line(from + ahead * term_stride + l);
        T* at = to;
        index l = 0;
        for (; l + wide <= lanes; l += wide, at += terms * wide) {
            HEED_UNROLL
            for (int j = 0; j < Packs; ++j) store(at + j * w, load(from + l + j * w));
        }
        for (; l + w <= lanes; l += w, at += w) store(at, load(from + l));
        if (l == lanes) continue;
        store(at, set<pack<T>>(0));
        for (index j = 0; l < lanes; ++j, ++l) at[j] = from[l];
    }
}

// Lanes beyond the last repeat it.
template <class T>
HEED_INLINE void transpose_square(const T* from, index lane_stride, index last, T* to, index wide) {
    constexpr int w = lanes_of<T>;
    pack<T> square[w];
    HEED_UNROLL
    for (int r = 0; r < w; ++r) square[r] = load(from + (r < last ? r : last) * lane_stride);
    transpose<T>(square);
    HEED_UNROLL
    for (int r = 0; r < w; ++r) store(to + r * wide, square[r]);
}
template <int Packs, class T>
HEED_INLINE void transpose_lanes(const T* from, index lane_stride, index term_stride, index lanes,
                                 index terms, T* to) {
    constexpr int w = lanes_of<T>;
    constexpr index wide = Packs * w;
    for (index l = 0; l < lanes; l += w) {
        T* const panel = to + l / wide * wide * terms + l % wide;
        const T* const x = from + l * lane_stride;
        const index last = lanes - l - 1;
        if (term_stride == 1 && terms >= w) {
            for (index i = 0; i < terms; i += w) {
                // The last square ends with the last term, whatever terms it shares with the one before.
                const index first = i + w <= terms ? i : terms - w;
                if (i % line_numbers<T> == 0 && last >= w)
                    for (index r = w; r < 2 * w; ++r)
                        detail::fetch_line(x + (r < last ? r : last) * lane_stride + i);
                transpose_square(x + first, lane_stride, last, panel + first * wide, wide);
            }
            continue;
        }
        for (index i = 0; i < terms; ++i)
            for (index r = 0; r < w; ++r)
                panel[i * wide + r] = x[(r < last ? r : last) * lane_stride + i * term_stride];
    }
}

template <int Packs, class T>
HEED_NOINLINE void pack_panels(const T* from, index lane_stride, index term_stride, index lanes, index terms,
                               T* to) {
    if (lane_stride == 1)
        copy_lanes<Packs>(from, term_stride, lanes, terms, to);
    else
        transpose_lanes<Packs>(from, lane_stride, term_stride, lanes, terms, to);
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
