// SPDX-License-Identifier: MIT
// tests/support/cache_rows.hpp: the rows of a cache, read byte by byte as cache/page_layout.hpp says they lie
#pragma once

#include <cmath>
#include <cstring>
#include <sstream>
#include <string>
#include <vector>

#include <heed/kv_cache.hpp>

#include "support/check.hpp"

namespace support {

struct cache_row {
    std::vector<double> x;  // numbers, times their scale
    double scale = 0;       // 0 where the element has none
    double most = 0;        // the largest whole number, of int8 and int4
};

template <class T>
bool is_held(const heed::kv_cache<T>& c, long b, long j) {
    return c.page_table(b)[j / c.page()] != nullptr;
}

template <class T>
cache_row row_of(const heed::kv_cache<T>& c, long b, long h, long j, bool value) {
    const auto& l = c.layout();
    const std::byte* part = c.page_table(b)[j / c.page()] + h * l.head_bytes;
    const long slot = j % c.page(), n = value ? c.value_dim() : c.head_dim();
    const std::byte* row = part + (value ? l.value_at + slot * l.value_row : slot * l.key_row);
    const auto read = [&](long i, auto x) {
        std::memcpy(&x, row + i * static_cast<long>(sizeof x), sizeof x);
        return x;
    };
    cache_row r;
    if constexpr (std::is_same_v<T, heed::int8> || std::is_same_v<T, heed::int4>) {
        float scale = 0;
        std::memcpy(&scale, part + (value ? l.value_scale_at : l.key_scale_at) + 4 * slot, sizeof scale);
        r.scale = static_cast<double>(scale);
    }
    const long whole = std::is_same_v<T, heed::int4> && !(value && c.shared()) ? (n + 31) / 32 * 32 : n;
    for (long f = 0; f < whole; ++f) {
        double x = 0;
        if constexpr (std::is_same_v<T, heed::int8>) {
            x = read(f, std::int8_t{});
        } else if constexpr (std::is_same_v<T, heed::int4>) {
            const int pair = read(f / 32 * 16 + f % 16, std::uint8_t{});
            x = (f % 32 < 16 ? pair & 15 : pair >> 4) - 8;
            if (f >= n && x != 0) r.most = HUGE_VAL;  // what is too many holds 0
        } else {
            x = widen(read(f, T{}));
        }
        if (f >= n) continue;
        if (r.scale != 0 || x != 0) r.most = std::fmax(r.most, std::fabs(x));
        r.x.push_back(r.scale != 0 ? x * r.scale : x);
    }
    return r;
}

// Is this how `from` has to be stored? `row` is that of positions that were not rotated.
template <class T, class Numbers>
bool holds(const cache_row& row, const Numbers& from) {
    if (row.x.size() != from.size()) return false;
    float top = 0;
    for (const float x : from) top = std::fmax(top, std::fabs(x));
    constexpr int most = std::is_same_v<T, heed::int8> ? 127 : std::is_same_v<T, heed::int4> ? 7 : 0;
    if (most > 0) {
        if (!(row.most <= most)) return false;
        const float scale = top / static_cast<float>(most);
        // What is read back stays finite, also beside the largest floats.
        const bool overflows =
            static_cast<double>(scale) * most > static_cast<double>(std::numeric_limits<float>::max());
        if (scale >= std::numeric_limits<float>::min() && !overflows &&
            row.scale != static_cast<double>(scale))
            return false;
        if (top == 0 && row.scale != 0) return false;
    }
    for (std::size_t i = 0; i < from.size(); ++i) {
        const double x = static_cast<double>(from[i]);
        if constexpr (most > 0) {
            if (!(std::fabs(x - row.x[i]) <= row.scale / 2 * (1 + 1e-6))) return false;
        } else {
            const double stored = widen(static_cast<T>(from[i]));
            if (!(stored == row.x[i] || (std::isnan(stored) && std::isnan(row.x[i])))) return false;
        }
    }
    return true;
}

// All that a cache is, as bytes.
template <class T>
std::string saved(const heed::kv_cache<T>& c) {
    std::ostringstream to;
    c.save(to);
    return to.str();
}

inline tensor<float> normal_tensor(random& r, long b, long h, long n, long d) {
    tensor<float> t(b, h, n, d);
    for (long i = 0; i < t.size(); ++i) t.data()[i] = static_cast<float>(r.normal());
    return t;
}

}  // namespace support
