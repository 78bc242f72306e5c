// SPDX-License-Identifier: MIT
// heed/kernel/dense/pack-inl.hpp: rows of a and columns of b as panels that lie in one piece

namespace heed {
inline namespace HEED_ABI {
namespace HEED_SIMD {

// Neighbouring lanes of a term: rows of memory to rows of the panels.
template <int Packs, class T>
HEED_INLINE void pack_lanes(const T* from, index term_stride, index lanes, index terms, T* to) {
    constexpr int w = lanes_of<T>;
    constexpr int wide = Packs * w;
    const index whole = lanes / wide * wide;
    for (index i = 0; i < terms; ++i, from += term_stride) {
        T* at = to + i * wide;
        index l = 0;
        for (; l < whole; l += wide, at += terms * wide) {
            HEED_UNROLL
            for (int j = 0; j < Packs; ++j) store(at + j * w, load(from + l + j * w));
        }
        if (l == lanes) continue;
        index j = 0;
        for (; l < lanes; ++l, ++j) at[j] = from[l];
        for (; j < wide; ++j) at[j] = 0;
    }
}

// Neighbouring terms of a lane: squares of a pack by a pack, turned.
template <int Packs, class T>
HEED_INLINE void pack_turned(const T* from, index lane_stride, index term_stride, index lanes, index terms,
                             T* to) {
    constexpr int w = lanes_of<T>;
    constexpr int wide = Packs * w;
    const index whole = term_stride == 1 ? terms / w * w : 0;
    for (index l = 0; l < lanes; l += w) {
        T* const panel = to + l / wide * wide * terms + l % wide;
        const T* const x = from + l * lane_stride;
        index i = 0;
        if (lanes - l >= w)
            for (; i < whole; i += w) {
                pack<T> square[w];
                HEED_UNROLL
                for (int r = 0; r < w; ++r) square[r] = load(x + r * lane_stride + i);
                transpose<T>(square);
                HEED_UNROLL
                for (int r = 0; r < w; ++r) store(panel + (i + r) * wide, square[r]);
            }
        for (; i < terms; ++i)
            for (int r = 0; r < w; ++r)
                panel[i * wide + r] = r < lanes - l ? x[r * lane_stride + i * term_stride] : T(0);
    }
    // Packs of the last panel that have no lane at all.
    for (index l = detail::rounded_up(lanes, w); l % wide != 0; l += w) {
        T* const panel = to + l / wide * wide * terms + l % wide;
        for (index i = 0; i < terms; ++i) store(panel + i * wide, set<pack<T>>(0));
    }
}

template <int Packs, class T>
HEED_NOINLINE void pack_panels(const T* from, index lane_stride, index term_stride, index lanes, index terms,
                               T* to) {
    if (lane_stride == 1)
        pack_lanes<Packs>(from, term_stride, lanes, terms, to);
    else
        pack_turned<Packs>(from, lane_stride, term_stride, lanes, terms, to);
}

}  // namespace HEED_SIMD
}  // namespace HEED_ABI
}  // namespace heed
