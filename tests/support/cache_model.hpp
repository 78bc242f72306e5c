// SPDX-License-Identifier: MIT
// tests/support/cache_model.hpp: what a cache holds and forgets, in lists of positions without pages
#pragma once

#include <vector>

#include "support/cache_rows.hpp"

namespace support {

template <class T>
struct cache_model {
    struct position {
        std::vector<std::vector<float>> keys, values;  // of each head
        bool forgotten = false;
    };
    heed::kv_cache_config config;
    std::vector<std::vector<position>> entries;

    long length(std::size_t b) const { return static_cast<long>(entries[b].size()); }
    bool seen_from(long p, long j) const {
        return config.window == 0 || j < config.sinks || (j <= p && j > p - config.window);
    }

    // The first counts[b] positions; a page goes when the queries to come see none of its positions.
    void append(const tensor<float>& k, const tensor<float>& v, const std::vector<long>& counts) {
        for (std::size_t b = 0; b < entries.size(); ++b) {
            auto& all = entries[b];
            const long old = length(b), page = config.page;
            if (counts[b] == 0) continue;
            for (long first = 0; first + page <= old; first += page) {
                bool seen = false;
                for (long j = first; j < first + page; ++j) seen = seen || seen_from(old, j);
                for (long j = first; j < first + page; ++j)
                    all[static_cast<std::size_t>(j)].forgotten |= !seen;
            }
            for (long i = 0; i < counts[b]; ++i) {
                position p;
                for (long h = 0; h < k.dimension(1); ++h) {
                    auto& key = p.keys.emplace_back();
                    auto& value = p.values.emplace_back();
                    for (long f = 0; f < k.dimension(3); ++f) key.push_back(k(static_cast<long>(b), h, i, f));
                    for (long f = 0; f < v.dimension(3); ++f)
                        value.push_back(v(static_cast<long>(b), h, i, f));
                }
                all.push_back(p);
            }
        }
    }
    bool may_truncate(std::size_t b, long n) const {
        for (long j = 0; j < n; ++j)
            if (entries[b][static_cast<std::size_t>(j)].forgotten && seen_from(n, j)) return false;
        return true;
    }
    void truncate(std::size_t b, long n) { entries[b].resize(static_cast<std::size_t>(n)); }

    // How many positions of c are not as they should be.
    long wrong(const heed::kv_cache<T>& c) const {
        long count = 0, held = 0, pages = 0;
        for (std::size_t b = 0; b < entries.size(); ++b) {
            const long at = static_cast<long>(b);
            count += c.length(at) != length(b);
            long first_kept = length(b);
            for (long j = length(b); j-- > 0;) {
                const position& p = entries[b][static_cast<std::size_t>(j)];
                if (is_held(c, at, j) == p.forgotten) return count + 1;
                if (p.forgotten) continue;
                ++held;
                pages += j % config.page == 0;
                if (first_kept == j + 1 && j >= config.sinks) first_kept = j;
                for (long h = 0; h < c.kv_heads(); ++h) {
                    const std::size_t head = static_cast<std::size_t>(h);
                    count += !holds<T>(row_of(c, at, h, j, false), p.keys[head]);
                    // Of shared values the scale is that of the key.
                    if (!c.shared()) count += !holds<T>(row_of(c, at, h, j, true), p.values[head]);
                }
            }
            bool any = false;
            for (const position& p : entries[b]) any = any || p.forgotten;
            const long lowest = std::min<long>(config.sinks, length(b));
            count += c.first_kept(at) != (any ? first_kept : lowest);
        }
        const auto& l = c.layout();
        const long row = l.key_row + (c.shared() ? 0 : l.value_row) +
                         (l.key_scale_at == 0 ? 0
                          : c.shared()        ? 4
                                              : 8);
        count += c.payload_bytes() != held * c.kv_heads() * row;
        count += c.bytes() != pages * c.kv_heads() * l.head_bytes;
        return count;
    }
};

}  // namespace support
