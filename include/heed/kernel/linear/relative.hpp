// SPDX-License-Identifier: MIT
// heed/kernel/linear/relative.hpp: sums of exponentials whose exponents no number holds, and as rows of a
// state
//
// With features e^a (queries) and e^b (keys) a normalised answer is a mean of values whatever is taken off
// the exponents of a query, and of a feature. So a state keeps, feature by feature, S = sum of e^(b - h) v^T,
// z its sum with values 1, and the reference h, which is about the largest b: it grows with the keys, and S
// and z are scaled then. A query's exponents are over the largest of a + h + log z: its terms sum to about 1
// at least, so nothing is lost however long the vectors are, and no 1e-10 is needed.
//
// A caller's state (feature, d_v + 1) has no place for h. While |h + log z| <= 40 (300 for double) a row is S
// and z themselves, times e^h: the sum of the key features. A row beyond that is S / z and, below zero, where
// no z is, a code of l = h + log z: -l where l > 0, else 1 / l. A row of zeros has seen no key.
#pragma once

#include <cmath>

#include <heed/kernel/linear/problem.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
inline constexpr T longest_plain_exponent = sizeof(T) == 4 ? T(40) : T(300);

// h + log z of sums over e^h.
template <class T>
T level_of(T shift, T z) {
    return z == 0 ? no_exponent<T> : shift + static_cast<T>(std::log(z));
}
template <class T>
bool is_plain(T level, T z) {
    return z == 0 || !(level < -longest_plain_exponent<T> || level > longest_plain_exponent<T>);
}
template <class T>
T code_of(T level) {
    return level > 0 ? -level : T(1) / level;
}
template <class T>
T level_of_code(T code) {
    return code < -T(1) ? -code : T(1) / code;
}

// A stored row, z at its end, becomes sums over e^h; gives h.
template <class T>
T read_relative(T* row, index values) {
    const T z = row[values];
    if (z == 0) return no_exponent<T>;
    if (!(z < 0)) return T(0);
    row[values] = 1;
    return level_of_code(z);
}
// And back.
template <class T>
void write_relative(T* row, index values, T shift) {
    const T z = row[values];
    const T level = level_of(shift, z);
    if (is_plain(level, z)) {
        const T factor = z == 0 ? T(1) : static_cast<T>(std::exp(shift));
        for (index e = 0; e <= values; ++e) row[e] *= factor;
        return;
    }
    for (index e = 0; e < values; ++e) row[e] /= z;
    row[values] = code_of(level);
}
// Numbers of a stored row of this z as sums over e^0, infinite where they are.
template <class T>
void read_absolute(T z, T* row, index n) {
    if (!(z < 0)) return;
    const T factor = static_cast<T>(std::exp(level_of_code(z)));
    for (index e = 0; e < n; ++e) row[e] *= factor;
}

template <class T>
void make_absolute(T* rows, index size, index values) {
    for (T* const end = rows + size; rows < end; rows += values + 1) {
        const T z = rows[values];
        if (z < 0) rows[values] = 1;
        read_absolute(z, rows, values + 1);
    }
}

// Rows of stored sums take in those of other keys.
template <class T>
void merge_relative(T* rows, const T* others, index size, index values) {
    for (T* const end = rows + size; rows < end; rows += values + 1, others += values + 1) {
        if (!(rows[values] < 0) && !(others[values] < 0)) {
            for (index e = 0; e <= values; ++e) rows[e] += others[e];
            continue;
        }
        if (others[values] == 0) continue;
        if (rows[values] == 0) {
            for (index e = 0; e <= values; ++e) rows[e] = others[e];
            continue;
        }
        const T shift = read_relative(rows, values);
        T z = others[values];
        const T other_shift = z < 0 ? level_of_code(z) : T(0);
        z = z < 0 ? T(1) : z;
        const T level = level_of(shift, rows[values]);
        const T other_level = level_of(other_shift, z);
        const T max = level > other_level ? level : other_level;
        const T here = static_cast<T>(std::exp(shift - max));
        const T there = static_cast<T>(std::exp(other_shift - max));
        for (index e = 0; e < values; ++e) rows[e] = rows[e] * here + others[e] * there;
        rows[values] = rows[values] * here + z * there;
        write_relative(rows, values, max);
    }
}

// dL / d(sums over e^h) from that of the stored row, whose sums are given.
template <class T>
void gradient_of_written(T* gradient, const T* sums, index values, T shift) {
    const T z = sums[values];
    const T level = level_of(shift, z);
    if (is_plain(level, z)) {
        const T factor = z == 0 ? T(1) : static_cast<T>(std::exp(shift));
        for (index e = 0; e <= values; ++e) gradient[e] *= factor;
        return;
    }
    T of_level = gradient[values] * (level > 0 ? T(-1) : T(-1) / (level * level));
    for (index e = 0; e < values; ++e) {
        gradient[e] /= z;
        of_level -= gradient[e] * sums[e];
    }
    gradient[values] = of_level / z;
}
// dL / d(the stored row) from that of what was read of it. Over e^0, a row in code has been read as S / z and
// 1, times e^l.
template <class T>
void gradient_of_absolute(T* gradient, const T* sums, index values, T code) {
    if (!(code < 0)) return;
    const T level = level_of_code(code);
    T of_level = 0;
    for (index e = 0; e <= values; ++e) of_level += gradient[e] * sums[e];
    const T factor = static_cast<T>(std::exp(level));
    for (index e = 0; e < values; ++e) gradient[e] *= factor;
    gradient[values] = of_level * (level > 0 ? T(-1) : -level * level);
}
template <class T>
void gradient_of_read(T* gradient, const T* sums, index values, T shift) {
    if (shift == 0 || shift == no_exponent<T>) return;
    T of_level = 0;
    for (index e = 0; e <= values; ++e) of_level += gradient[e] * sums[e];
    gradient[values] = of_level * (shift > 0 ? T(-1) : -shift * shift);
}

}  // namespace heed::inline HEED_ABI::detail
