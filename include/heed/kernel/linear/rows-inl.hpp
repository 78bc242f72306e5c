// SPDX-License-Identifier: MIT
// heed/kernel/linear/rows-inl.hpp: the element-by-element work of linear attention: normalisers, sums, rows
// times numbers
//
// Rows are padded to whole packs, the padding is zero.

#ifndef HEED_KERNEL_LINEAR_ROWS_INL
#define HEED_KERNEL_LINEAR_ROWS_INL

#include <heed/kernel/convert-inl.hpp>
#include <heed/kernel/linear/problem.hpp>

#define HEED_FOREACH <heed/kernel/linear/rows-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

// Rows times a number each, to rows of any element.
template <class T, class E>
HEED_NOINLINE void write_scaled(const T* from, index from_row, const T* factor, index rows, index n, E* to,
                                index row_stride, index stride) {
    constexpr int w = lanes_of<T>;
    for (index r = 0; r < rows; ++r, from += from_row, to += row_stride) {
        const T x = factor != nullptr ? factor[r] : T(1);
        index i = 0;
        for (; stride == 1 && i + w <= n; i += w) {
            T scaled[w];
            store(scaled, load(from + i) * set<pack<T>>(x));
            HEED_KEEP_LOOP
            for (int l = 0; l < w; ++l) narrow(scaled[l], to[i + l]);
        }
        for (; i < n; ++i) narrow(from[i] * x, to[i * stride]);
    }
}

template <class T>
HEED_NOINLINE void accumulate(T* s, T* lost, const T* x, index n) {
    constexpr int w = lanes_of<T>;
    if (lost == nullptr) {
        for (index i = 0; i < n; i += w) store(s + i, load(s + i) + load(x + i));
        return;
    }
    for (index i = 0; i < n; i += w) {
        const pack<T> before = load(s + i);
        const pack<T> added = load(x + i) - load(lost + i);
        const pack<T> after = before + added;
        store(lost + i, (after - before) - added);
        store(s + i, after);
    }
}

// s keep + x, in one expression: every compiler fuses it where the target can.
template <class T>
HEED_INLINE pack<T> decayed_sum(pack<T> s, pack<T> keep, pack<T> x) {
    return s * keep + x;
}

template <class T>
HEED_NOINLINE void decay_rows(T* s, index row, const T* factor, const T* x, index rows, index columns) {
    for (index r = 0; r < rows; ++r, s += row) {
        const pack<T> keep = set<pack<T>>(factor[r]);
        for (index i = 0; i < columns; i += lanes_of<T>) {
            const pack<T> added = x == nullptr ? set<pack<T>>(0) : load(x + r * row + i);
            store(s + i, decayed_sum<T>(load(s + i), keep, added));
        }
    }
}

template <class T>
HEED_NOINLINE void scale_rows(const T* x, T* to, index row, const T* factor, index rows, index n) {
    for (index r = 0; r < rows; ++r, x += row, to += row)
        for (index i = 0; i < n; i += lanes_of<T>) store(to + i, load(x + i) * set<pack<T>>(factor[r]));
}

// The sum of a pack's lanes, added in the order of lane_sums.
template <class T>
HEED_INLINE T pairwise_sum(pack<T> x) {
#if HEED_SIMD_VECTORS
    using lanes = std::make_index_sequence<static_cast<std::size_t>(lanes_of<T>)>;
    HEED_UNROLL
    for (int n = lanes_of<T>; n > 1; n /= 2) x = even_lanes(x, x, lanes{}) + odd_lanes(x, x, lanes{});
    return x[0];
#else
    return x;
#endif
}

// The sums of the lanes of up to a pack of packs, to neighbours.
template <class T, class Row>
HEED_INLINE void sums_of_rows(index rows, T* r, const Row& row) {
    constexpr int w = lanes_of<T>;
    for (index first = 0; first < rows; first += w) {
        if (rows - first == 1) {
            r[first] = pairwise_sum<T>(row.sum(first));
            return;
        }
        pack<T> sums[w];
        HEED_UNROLL
        for (int i = 0; i < w; ++i) sums[i] = set<pack<T>>(0);
        const index count = rows - first < w ? rows - first : index{w};
        for (index i = 0; i < count; ++i) sums[i] = row.sum(first + i);
        T all[w];
        store(all, lane_sums<T>(sums));
        for (index i = 0; i < count; ++i) r[first + i] = all[i];
    }
}

template <class T>
struct row_product {
    const T* x;
    index row;
    const T* y;
    index y_row;
    index n;
    HEED_INLINE pack<T> sum(index r) const {
        pack<T> s = set<pack<T>>(0);
        for (index f = 0; f < n; f += lanes_of<T>) s = load(x + r * row + f) * load(y + r * y_row + f) + s;
        return s;
    }
};
template <class T>
HEED_NOINLINE void row_products(const T* x, const T* y, index row, index rows, index n, T* r) {
    sums_of_rows<T>(rows, r, row_product<T>{x, row, y, row, n});
}
template <class T>
HEED_NOINLINE void multiply_row(const T* x, index row, const T* y, index rows, index n, T* r) {
    sums_of_rows<T>(rows, r, row_product<T>{x, row, y, 0, n});
}

// q z of each row, z the running sum of the keys over its start; a panel of features at a time.
template <int Packs, class T>
struct running_product {
    const T* q;
    const T* k;
    index row;
    const pack<T>* start;
    pack<T>* seen;
    HEED_INLINE pack<T> sum(index r) const {
        pack<T> s = set<pack<T>>(0);
        HEED_UNROLL
        for (int j = 0; j < Packs; ++j) {
            seen[j] = seen[j] + load(k + r * row + j * lanes_of<T>);
            s = load(q + r * row + j * lanes_of<T>) * (start[j] + seen[j]) + s;
        }
        return s;
    }
};
template <int Packs, class T>
HEED_INLINE void add_normalisers(const T* q, const T* k, index row, index rows, const T* start, T* total,
                                 bool first) {
    constexpr int w = lanes_of<T>;
    pack<T> z[Packs];
    pack<T> seen[Packs];
    HEED_UNROLL
    for (int j = 0; j < Packs; ++j) {
        z[j] = load(start + j * w);
        seen[j] = set<pack<T>>(0);
    }
    T part[detail::chunk_positions];
    sums_of_rows<T>(rows, part, running_product<Packs, T>{q, k, row, z, seen});
    for (index r = 0; r < rows; ++r) total[r] = first ? part[r] : total[r] + part[r];
}
template <class T>
HEED_NOINLINE void normalisers(const T* q, const T* k, index row, index rows, index n, const T* start,
                               T* total) {
    constexpr int w = lanes_of<T>;
    index f = 0;
    for (; f + 4 * w <= detail::rounded_up(n, w); f += 4 * w)
        add_normalisers<4>(q + f, k + f, row, rows, start + f, total, f == 0);
    for (; f < n; f += w) add_normalisers<1>(q + f, k + f, row, rows, start + f, total, f == 0);
}

template <class T>
HEED_NOINLINE void add_running(T* x, const T* k, index row, index rows, index n, const T* start,
                               const T* factor) {
    for (index f = 0; f < n; f += lanes_of<T>) {
        const pack<T> z = load(start + f);
        pack<T> seen = set<pack<T>>(0);
        for (index r = 0; r < rows; ++r) {
            seen = seen + load(k + r * row + f);
            store(x + r * row + f, set<pack<T>>(factor[r]) * (z + seen) + load(x + r * row + f));
        }
    }
}

// A triangle: up to each row's own column, in packs.
template <class T>
HEED_NOINLINE void scale_lower(T* x, index row, const T* factor, const T* added, index rows) {
    for (index r = 0; r < rows; ++r, x += row) {
        const pack<T> a = set<pack<T>>(added == nullptr ? T(0) : added[r]);
        for (index i = 0; i <= r; i += lanes_of<T>) store(x + i, load(x + i) * set<pack<T>>(factor[r]) + a);
    }
}

template <class T>
HEED_NOINLINE void add_element_products(const T* x, const T* y, index n, T sign, T* sum) {
    for (index i = 0; i < n; i += lanes_of<T>)
        store(sum + i, (load(x + i) * set<pack<T>>(sign)) * load(y + i) + load(sum + i));
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
