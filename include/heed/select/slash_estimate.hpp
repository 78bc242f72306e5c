// SPDX-License-Identifier: MIT
// heed/select/slash_estimate.hpp: the sums of columns and diagonals, and the mask of those that are kept
//
// The rule stands in select/vertical_slash.hpp.
#pragma once

#include <algorithm>
#include <functional>

#include <heed/core/numbers.hpp>
#include <heed/kernel/exact/run.hpp>
#include <heed/kernel/scratch.hpp>
#include <heed/select/concept.hpp>
#include <heed/select/mask_ref.hpp>
#include <heed/select/seen_table.hpp>

namespace heed::inline HEED_ABI::detail {

inline constexpr index slash_rows = 64;         // queries that are asked
inline constexpr index forced_columns = 30;     // keys at the start
inline constexpr index forced_diagonals = 100;  // distances 0 ... 99

// 64 bits of a row from bit `begin` on; the row has a word to spare.
HEED_INLINE bit_word bits_from(const bit_word* row, index begin) {
    const bit_word* const word = row + begin / word_bits;
    const int shift = static_cast<int>(begin % word_bits);
    return shift == 0 ? word[0] : word[0] >> shift | word[1] << (word_bits - shift);
}
struct bound_vertical_slash {
    const bit_word* columns;    // (batch, key head, key)
    const bit_word* diagonals;  // (batch, key head, query - key + keys - 1)
    index column_words;         // of a row, one of them to spare
    index diagonal_words;
    index kv_heads;
    index heads_of_row;  // query heads that share a row
    index keys;

    index row(index batch, index head) const { return batch * kv_heads + head / heads_of_row; }
    index diagonal(index query, index key) const { return query - key + keys - 1; }

    bool alike(index heads) const { return heads <= 1 || heads_of_row % heads == 0; }
    cover classify(const tile& t) const {
        const index r = row(t.batch, t.head);
        const cover c = cover_of_bits(columns + r * column_words, t.key_begin, t.key_end);
        if (c == cover::full) return c;
        const cover d = cover_of_bits(diagonals + r * diagonal_words, diagonal(t.query_begin, t.key_end - 1),
                                      diagonal(t.query_end - 1, t.key_begin) + 1);
        return d == cover::full || d == c ? d : cover::mixed;
    }

    seen_table lanes(const lane_block& block) const {
        seen_table s;
        const at& first = block.first;
        const index r = row(first.batch, first.head);
        const bit_word* const column = columns + r * column_words;
        const bit_word* const slash = diagonals + r * diagonal_words;
        for (std::int32_t x = 0; x < block.rows; ++x) {
            // Lanes past the last one read bits that are not used.
            if (block.lanes_are_queries()) {
                const index key = first.key + x;
                const bit_word all = bit_at(column, key) ? ~bit_word{0} : 0;
                s.spread(all | bits_from(slash, diagonal(first.query, key)), x);
                continue;
            }
            bit_word seen = bits_from(column, first.key);
            for (std::int32_t l = 0; l <= block.last; ++l)
                seen |= bit_word{bit_at(slash, diagonal(first.query + x, first.key + l))} << l;
            s.spread(seen, x);
        }
        return s;
    }
};

// Sets the bits begin + i of the `count` largest values above 0, the lower i of equal ones; values has
// n numbers, scratch as many.
template <class T>
void set_largest(const T* values, index n, index count, T* scratch, bit_word* bits, index begin) {
    index left = 0;
    for (index i = 0; i < n; ++i)
        if (values[i] > T(0)) scratch[left++] = values[i];
    if (count > left) count = left;
    if (count <= 0) return;
    std::nth_element(scratch, scratch + (count - 1), scratch + left, std::greater<T>());
    const T smallest = scratch[count - 1];
    for (index i = 0; i < n; ++i) count -= values[i] > smallest;
    // count is now what is left for those that equal the smallest
    for (index i = 0; i < n; ++i)
        if (values[i] > smallest || (values[i] == smallest && count-- > 0)) set_bit(bits, begin + i);
}

// The sums of one key head, and what is kept of them.
template <class E>
class slash_estimate {
public:
    using T = typename exact_inputs<E>::T;

    slash_estimate(const exact_inputs<E>& p, const mask_ref& mask, const bound_vertical_slash& found)
        : p_(p),
          leaf_(leaves_on_target<E>()),
          mask_(mask),
          found_(found),
          rows_(least(slash_rows, p.queries)),
          first_(p.queries - rows_),
          q_stride_(rounded_up(p.features, most_pack_lanes)) {}

    std::size_t bytes() const {
        arena m;
        layout_in(m);
        return m.bytes();
    }

    // Task (batch, key head): sets the bits of its rows.
    void run(index task, index vertical, index slash, void* scratch, bit_word* columns,
             bit_word* diagonals) const {
        arena pieces(scratch);
        const layout m = layout_in(pieces);
        const index b = task / p_.kv_heads;
        const index kv = task % p_.kv_heads;
        const index group = p_.heads / p_.kv_heads;
        clear(m.columns, p_.keys);
        clear(m.diagonals, p_.keys + rows_);
        for (index h = kv * group; h < (kv + 1) * group; ++h) add_head(b, h, kv, m);

        bit_word* const column = columns + task * found_.column_words;
        const index first_free = least(least(vertical, forced_columns), p_.keys);
        clear(column, found_.column_words);
        for (index j = 0; j < first_free; ++j) set_bit(column, j);
        for (index j = 0; j < first_free; ++j) m.columns[j] = 0;
        set_largest(m.columns, p_.keys, vertical - first_free, m.values, column, 0);

        // Sum i is that of distance i - (rows - 1), whose bit is distance + queries - 1.
        bit_word* const diagonal = diagonals + task * found_.diagonal_words;
        const index nearest = rows_ - 1;
        const index free = least(least(slash, forced_diagonals), p_.keys);
        clear(diagonal, found_.diagonal_words);
        for (index e = 0; e < free; ++e) set_bit(diagonal, p_.queries - 1 + e);
        for (index e = 0; e < free; ++e) m.diagonals[nearest + e] = 0;
        set_largest(m.diagonals, p_.keys + nearest, slash - free, m.values, diagonal, first_);
    }

private:
    struct layout {
        T* query;      // (row, feature), scaled
        T* scores;     // (row, key of a step)
        T* keys;       // a step's keys, where they are converted
        T* row_max;    // of a row
        T* sum;        // of a row
        T* columns;    // sums
        T* diagonals;  // sums
        T* values;     // the sums once more, to choose from
    };
    layout layout_in(arena& m) const {
        layout w;
        w.query = m.take<T>(rows_ * q_stride_);
        w.scores = m.take<T>(rounded_up(rows_, 4) * decode_keys);
        w.keys = m.take<T>(decode_keys * p_.features);
        w.row_max = m.take<T>(slash_rows);
        w.sum = m.take<T>(slash_rows);
        w.columns = m.take<T>(p_.keys);
        w.diagonals = m.take<T>(p_.keys + rows_);
        w.values = m.take<T>(p_.keys + rows_);
        return w;
    }

    void add_head(index b, index h, index kv, const layout& m) const {
        leaf_.widen(p_.q.row(b, h, first_), p_.q.stride[2], p_.q.stride[3], rows_, p_.features, m.query,
                    q_stride_);
        for (index r = 0; r < rows_; ++r) {
            for (index f = 0; f < p_.features; ++f) m.query[r * q_stride_ + f] *= p_.scale;
            m.row_max[r] = minus_infinity<T>();
            m.sum[r] = 0;
        }
        for (index key = 0; key < p_.keys; key += decode_keys)
            if (load_scores(b, h, kv, key, m))
                for (index r = 0; r < rows_; ++r) {
                    T rescale;
                    leaf_.rows_softmax(m.scores + r * decode_keys, 1, decode_keys, false, m.row_max + r,
                                       m.sum + r, &rescale);
                }
        for (index key = 0; key < p_.keys; key += decode_keys)
            if (load_scores(b, h, kv, key, m))
                for (index r = 0; r < rows_; ++r) add_row(r, key, m);
    }

    // The masked scores of the next keys in m.scores; false when no query sees one.
    bool load_scores(index b, index h, index kv, index key, const layout& m) const {
        const index count = least(decode_keys, p_.keys - key);
        const cover seen = mask_.classify({b, h, first_, p_.queries, key, key + count});
        if (seen == cover::empty) return false;
        const number_rows<T> k = rows_of(leaf_, p_.k, b, kv, key, count, p_.features, m.keys, p_.keys - key);
        for (index r = 0; r < rows_; r += r + 4 <= rows_ ? 4 : 1)
            leaf_.row_scores[r + 4 <= rows_](m.query + r * q_stride_, q_stride_, k, count, p_.features,
                                             m.scores + r * decode_keys);
        const bit_word all = ~bit_word{0} >> (word_bits - count);
        for (index r = 0; r < rows_; ++r) {
            T* const s = m.scores + r * decode_keys;
            for (index i = count; i < decode_keys; ++i) s[i] = 0;
            // What overflowed is large, not infinite, so that differences of scores are numbers.
            for (index i = 0; i < decode_keys; ++i) {
                s[i] = s[i] < constants<T>::lowest ? constants<T>::lowest : s[i];
                s[i] = s[i] > -constants<T>::lowest ? -constants<T>::lowest : s[i];
            }
            const bit_word visible =
                seen == cover::full ? all : mask_.keys_seen(b, h, first_ + r, key, count);
            if (visible == ~bit_word{0}) continue;
            for (index i = 0; i < decode_keys; ++i)
                if ((visible >> i & 1) == 0) s[i] = minus_infinity<T>();
        }
        return true;
    }

    void add_row(index r, index key, const layout& m) const {
        if (!(m.sum[r] > T(0))) return;  // sees nothing, or has a NaN
        T* const s = m.scores + r * decode_keys;
        leaf_.weights(s, 1, decode_keys, m.row_max[r], 1 / m.sum[r]);
        const index count = least(decode_keys, p_.keys - key);
        // distance = (row of the last ones) + keys - rows - key, and sums start at -(rows - 1)
        T* const diagonal = m.diagonals + (r + p_.keys - key - 1);
        for (index i = 0; i < count; ++i) {
            m.columns[key + i] += s[i];
            diagonal[-i] += s[i];
        }
    }

    const exact_inputs<E>& p_;
    const exact_leaves<E>& leaf_;
    const mask_ref& mask_;
    const bound_vertical_slash& found_;
    index rows_;
    index first_;
    index q_stride_;
};

}  // namespace heed::inline HEED_ABI::detail
