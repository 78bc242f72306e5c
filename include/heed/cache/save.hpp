// SPDX-License-Identifier: MIT
// heed/cache/save.hpp: a cache as a stream of bytes, and back
//
//     bytes                what (numbers are little-endian, of 8 bytes unless said)
//     8                    89 68 65 65 64 6b 76 0a
//     4                    version, 1
//     4                    element: 1 float, 2 half, 3 bfloat16, 4 int8, 5 int4
//     7 * 8                batch, kv_heads, head_dim, value_dim, page, window, sinks
//     8                    flags: 1 rotated, 2 shared
//     batch * 16           of each entry its length, and the page behind the forgotten ones (0: none)
//     8                    checksum of all so far
//     …                    of each entry, of each page it holds, of each head: the rows below its length,
//                          in the order of page_layout.hpp: keys, values, their scales
//     8                    checksum of all before it
//
// The checksum is FNV-1a of 64 bits: no change of a single byte escapes it. It tells accidents, not attacks;
// what is read is checked besides. A reader takes memory for what a stream has brought, and for a page once
// its rows came. Bytes behind the end are left in the stream.
//
// Cost: each byte once; for a page a buffer of its rows.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <istream>
#include <iterator>
#include <ostream>
#include <string_view>
#include <vector>

#include <heed/cache/pages.hpp>
#include <heed/cache/shape.hpp>

namespace heed::inline HEED_ABI::detail {

inline constexpr std::array<unsigned char, 8> cache_magic{0x89, 'h', 'e', 'e', 'd', 'k', 'v', '\n'};
inline constexpr std::uint32_t cache_version = 1;
inline constexpr const char* cache_elements[] = {"float", "half", "bfloat16", "int8", "int4"};

template <class T>
inline constexpr std::uint32_t cache_element_code = std::is_same_v<T, float>             ? 1
                                                    : std::is_same_v<T, Eigen::half>     ? 2
                                                    : std::is_same_v<T, Eigen::bfloat16> ? 3
                                                    : std::is_same_v<T, int8>            ? 4
                                                                                         : 5;

class fnv_checksum {
public:
    void add(const std::byte* bytes, std::size_t n) {
        std::uint64_t sum = sum_;
        for (std::size_t i = 0; i < n; ++i)
            sum = (sum ^ static_cast<std::uint64_t>(bytes[i])) * 0x100000001b3u;
        sum_ = sum;
    }
    std::uint64_t value() const { return sum_; }

private:
    std::uint64_t sum_ = 0xcbf29ce484222325u;
};

// Numbers of `size` bytes turned round where a machine is big-endian.
inline void to_little_endian(std::byte* bytes, std::size_t n, std::size_t size) {
    if constexpr (std::endian::native == std::endian::big)
        for (std::size_t i = 0; i < n; i += size) std::reverse(bytes + i, bytes + i + size);
}

class cache_writer {
public:
    cache_writer(std::string_view function, std::ostream& stream) : function_(function), stream_(stream) {}

    void bytes(const std::byte* from, std::size_t n) {
        sum_.add(from, n);
        stream_.write(reinterpret_cast<const char*>(from), static_cast<std::streamsize>(n));
        if (!stream_) fail(function_, {"the stream took no more bytes; needs one that can be written"});
    }
    template <class Int>
    void number(Int x) {
        std::byte raw[sizeof x];
        std::memcpy(raw, &x, sizeof x);
        to_little_endian(raw, sizeof x, sizeof x);
        bytes(raw, sizeof x);
    }
    void checksum() { number(sum_.value()); }

private:
    std::string_view function_;
    std::ostream& stream_;
    fnv_checksum sum_;
};

class cache_reader {
public:
    cache_reader(std::string_view function, std::istream& stream) : function_(function), stream_(stream) {}

    void bytes(std::byte* to, std::size_t n) {
        stream_.read(reinterpret_cast<char*>(to), static_cast<std::streamsize>(n));
        if (static_cast<std::size_t>(stream_.gcount()) != n) refuse("the stream ends too early");
        sum_.add(to, n);
    }
    // In pieces, so that what a stream says it holds takes no memory before it came.
    void bytes(std::vector<std::byte>& to, std::size_t n) {
        constexpr std::size_t piece = 65536;
        to.clear();
        while (to.size() < n) {
            const std::size_t before = to.size(), more = (std::min)(piece, n - before);
            to.resize(before + more);
            bytes(to.data() + before, more);
        }
    }
    template <class Int>
    Int number() {
        std::byte raw[sizeof(Int)];
        bytes(raw, sizeof raw);
        to_little_endian(raw, sizeof raw, sizeof raw);
        Int x;
        std::memcpy(&x, raw, sizeof x);
        return x;
    }
    index size() { return static_cast<index>(number<std::int64_t>()); }
    void checksum() {
        const std::uint64_t sum = sum_.value();
        if (number<std::uint64_t>() != sum) refuse("the checksum does not fit, the stream was changed");
    }
    [[noreturn]] void refuse(std::string_view why) {
        fail(function_, {why, "; needs what kv_cache::save wrote"});
    }
    std::string_view function() const { return function_; }

private:
    std::string_view function_;
    std::istream& stream_;
    fnv_checksum sum_;
};

// What stands before the pages.
inline void write_cache_head(cache_writer& to, std::uint32_t element, const cache_shape& s,
                             const cache_pages& pages) {
    to.bytes(reinterpret_cast<const std::byte*>(cache_magic.data()), cache_magic.size());
    to.number(cache_version);
    to.number(element);
    for (const index n : {s.batch, s.kv_heads, s.head_dim, s.config.value_dim, s.config.page, s.config.window,
                          s.config.sinks})
        to.number(static_cast<std::int64_t>(n));
    to.number(static_cast<std::uint64_t>((s.config.rotated ? 1 : 0) + (s.config.shared ? 2 : 0)));
    for (index b = 0; b < s.batch; ++b) {
        to.number(static_cast<std::int64_t>(pages.length(b)));
        to.number(static_cast<std::int64_t>(pages.kept(b)));
    }
    to.checksum();
}

struct entry_ends {
    index length;
    index kept;
};

inline cache_shape read_cache_shape(cache_reader& from, std::uint32_t element) {
    for (const unsigned char c : cache_magic)
        if (from.number<unsigned char>() != c) from.refuse("the stream holds something else");
    const auto version = from.number<std::uint32_t>();
    if (version != cache_version)
        fail(from.function(), {"the stream is of version ", version, ", needs ", cache_version});
    const auto code = from.number<std::uint32_t>();
    if (code < 1 || code > std::size(cache_elements)) from.refuse("the stream holds no known element");
    if (code != element)
        fail(from.function(), {"the stream holds a cache of ", cache_elements[code - 1], ", needs one of ",
                               cache_elements[element - 1]});
    const index batch = from.size(), kv_heads = from.size(), head_dim = from.size();
    kv_cache_config config;
    config.value_dim = from.size();
    config.page = from.size();
    config.window = from.size();
    config.sinks = from.size();
    const auto flags = from.number<std::uint64_t>();
    if (flags > 3) from.refuse("the stream holds flags that are not known");
    config.rotated = (flags & 1) != 0;
    config.shared = (flags & 2) != 0;
    return cache_shape(from.function(), batch, kv_heads, head_dim, config);
}
inline std::vector<entry_ends> read_cache_ends(cache_reader& from, index batch) {
    std::vector<entry_ends> ends;
    for (index b = 0; b < batch; ++b) {
        const index length = from.size();
        ends.push_back({length, from.size()});
    }
    from.checksum();
    return ends;
}

// f(bytes, n, size of a number) for the rows of the first `count` positions of a page.
template <class Byte, class F>
void each_row_area(Byte* page, const page_layout& layout, const row_areas& areas, index heads, index count,
                   const F& f) {
    for (index h = 0; h < heads; ++h)
        for (const row_area& a : areas)
            f(page + h * layout.head_bytes + a.at, static_cast<std::size_t>(count * a.row),
              static_cast<std::size_t>(a.number));
}

inline void write_cache_pages(cache_writer& to, const cache_shape& s, const page_layout& layout,
                              const row_areas& areas, const cache_pages& pages) {
    std::vector<std::byte> turned;
    const auto write = [&](const std::byte* bytes, std::size_t n, std::size_t size) {
        if constexpr (std::endian::native == std::endian::big) {
            turned.assign(bytes, bytes + n);
            to_little_endian(turned.data(), n, size);
            bytes = turned.data();
        }
        to.bytes(bytes, n);
    };
    for (index b = 0; b < s.batch; ++b)
        for (index i = 0; i < pages.pages_of(pages.length(b)); ++i)
            if (const std::byte* const page = pages.table(b)[i])
                each_row_area(page, layout, areas, s.kv_heads,
                              least(layout.page, pages.length(b) - i * layout.page), write);
    to.checksum();
}
inline void read_cache_pages(cache_reader& from, const cache_shape& s, const page_layout& layout,
                             const row_areas& areas, const std::vector<entry_ends>& ends,
                             cache_pages& pages) {
    for (index b = 0; b < s.batch; ++b) {
        const auto [length, kept] = ends[static_cast<std::size_t>(b)];
        if (!(length >= 0 && length <= longest_axis && kept >= 0 && pages.is_state(length, kept)))
            from.refuse("the stream holds lengths that no cache has");
    }
    std::vector<std::byte> rows;
    for (index b = 0; b < s.batch; ++b) {
        const auto [length, kept] = ends[static_cast<std::size_t>(b)];
        for (index i = 0; i < pages.pages_of(length); ++i) {
            const bool held = pages.is_held(i, kept);
            const index count = least(layout.page, length - i * layout.page);
            if (held) from.bytes(rows, static_cast<std::size_t>(s.kv_heads * count * areas.bytes()));
            std::byte* const page = pages.restore_page(b, held);
            if (!held) continue;
            std::byte* next = rows.data();
            each_row_area(page, layout, areas, s.kv_heads, count,
                          [&](std::byte* to, std::size_t n, std::size_t size) {
                              to_little_endian(next, n, size);
                              std::memcpy(to, next, n);
                              next += n;
                          });
        }
        pages.restore(b, length, kept);
    }
    from.checksum();
}

}  // namespace heed::inline HEED_ABI::detail
