// SPDX-License-Identifier: MIT
// heed/kernel/exact/row_outputs-inl.hpp: weights times values in the decode kernel, and the table of what
// reads rows as they are stored

#ifndef HEED_KERNEL_EXACT_ROW_OUTPUTS_INL
#define HEED_KERNEL_EXACT_ROW_OUTPUTS_INL

#include <heed/kernel/exact/row-inl.hpp>

#define HEED_FOREACH <heed/kernel/exact/row_outputs-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

// o = rescale o + p v for Rows rows and Packs packs of value features from f on.
template <int Rows, int Packs, class T, class R>
HEED_INLINE void pack_outputs(const T* p, const R& v, index count, index f, T* output, index output_stride,
                              const T* rescale) {
    constexpr int w = lanes_of<T>;
    using V = pack<T>;
    V sums[Rows][Packs];
    HEED_UNROLL
    for (int r = 0; r < Rows; ++r) {
        HEED_UNROLL
        for (int j = 0; j < Packs; ++j) sums[r][j] = set<V>(0);
    }
    for (index i = 0; i < count; ++i) {
        const auto* const row = v.row(i);
        V x[Packs];
        HEED_UNROLL
        for (int j = 0; j < Packs; ++j) {
            v.fetch(i, f + j * w);
            x[j] = stored_pack(row, f + j * w);
        }
        HEED_UNROLL
        for (int r = 0; r < Rows; ++r) {
            const V s = set<V>(p[r * detail::decode_keys + i]);
            HEED_UNROLL
            for (int j = 0; j < Packs; ++j) sums[r][j] = s * x[j] + sums[r][j];
        }
    }
    HEED_UNROLL
    for (int r = 0; r < Rows; ++r) {
        HEED_UNROLL
        for (int j = 0; j < Packs; ++j) {
            T* const o = output + r * output_stride + f + j * w;
            store(o, set<V>(rescale[r]) * load(o) + sums[r][j]);
        }
    }
}

// Value features [f, columns) of one row, one by one, where a hidden value may be infinite or NaN and is not
// multiplied.
template <class T>
HEED_NOINLINE void single_outputs(const T* p, const T* hidden, const detail::number_rows<T>& v, index count,
                                  index f, index columns, T* output, T rescale) {
    for (; f < columns; ++f) {
        T s = 0;
        for (index i = 0; i < count; ++i) {
            const T added = multiply_add(p[i], v.data[i * v.stride + f], s);
            s = detail::is_minus_infinity(hidden[i]) ? s : added;
        }
        output[f] = rescale * output[f] + s;
    }
}

// All value features of Rows rows: four packs at a time, then one pack and one row, then single ones.
template <int Rows, class T, class R>
HEED_INLINE void outputs_of_rows(const T* p, const R& v, index count, index columns, T* output,
                                 const T* rescale) {
    constexpr int w = lanes_of<T>;
    index f = 0;
    for (; f + 4 * w <= columns; f += 4 * w) pack_outputs<Rows, 4>(p, v, count, f, output, columns, rescale);
    for (; f + w <= columns; f += w)
        for (int r = 0; r < Rows; ++r)
            pack_outputs<1, 1>(p + r * detail::decode_keys, v, count, f, output + r * columns, columns,
                               rescale + r);
    for (; f < columns; ++f)
        for (int r = 0; r < Rows; ++r) {
            T s = 0;
            for (index i = 0; i < count; ++i)
                s = multiply_add(p[r * detail::decode_keys + i], stored_number(v.row(i), f), s);
            output[r * columns + f] = rescale[r] * output[r * columns + f] + s;
        }
}
template <int Rows, class T>
HEED_NOINLINE void row_outputs(const T* p, const detail::number_rows<T>& v, index count, index columns,
                               T* output, const T* rescale) {
    outputs_of_rows<Rows>(p, rows_to_read(v, count), count, columns, output, rescale);
}
template <int Rows, class S, class T>
HEED_NOINLINE void stored_outputs(const T* p, const detail::stored_rows& v, index count, index columns,
                                  T* output, const T* rescale) {
    T scaled[Rows * detail::decode_keys];
    if (v.scales != nullptr) {
        for (int r = 0; r < Rows; ++r)
            for (index i = 0; i < count; ++i)
                scaled[r * detail::decode_keys + i] =
                    p[r * detail::decode_keys + i] * static_cast<T>(v.scales[i]);
        p = scaled;
    }
    outputs_of_rows<Rows>(p, rows_to_read<S>(v), count, columns, output, rescale);
}
template <class S, class T>
HEED_NOINLINE void widen_stored(const detail::stored_rows& rows, index count, index features, T* to,
                                index to_stride) {
    constexpr int w = lanes_of<T>;
    const auto from = rows_to_read<S>(rows);
    for (index r = 0; r < count; ++r, to += to_stride) {
        const T scale = rows.scales == nullptr ? T(1) : static_cast<T>(rows.scales[r]);
        index f = 0;
        for (; f + w <= features; f += w) store(to + f, stored_pack(from.row(r), f) * set<pack<T>>(scale));
        for (; f < features; ++f) to[f] = stored_number(from.row(r), f) * scale;
    }
}
template <class S, class T>
inline constexpr detail::stored_leaves<T> stored_leaves_of{
    .scores = {&stored_scores<1, S, T>, &stored_scores<4, S, T>},
    .outputs = {&stored_outputs<1, S, T>, &stored_outputs<4, S, T>},
    .widen = &widen_stored<S, T>,
};

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
