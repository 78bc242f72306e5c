// SPDX-License-Identifier: MIT
// heed/cache/append.hpp: how keys and values become the rows of a cache
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string_view>
#include <type_traits>

#include <heed/cache/pages.hpp>
#include <heed/cache/quantise.hpp>
#include <heed/cache/shape.hpp>
#include <heed/core/check.hpp>

namespace heed::inline HEED_ABI::detail {

// Where rows of one kind go: their place in a head's part, and that of their scales.
struct row_place {
    index at;
    index row;       // bytes
    index scale_at;  // 0: they have none
    index block;     // features that are rotated together, 0: none
};

// Adds `count` positions of batch entry b of x behind those the pages have. The pages have room; scratch has
// a row's.
template <class T, class E>
void write_rows(const view<const E>& x, index b, index count, cache_pages& pages, const page_layout& layout,
                const row_place& to, float* scratch) {
    using stored = storage_t<T>;
    const index features = x.features(), stride = x.strides[3], first = pages.length(b);
    for (index h = 0; h < x.heads(); ++h) {
        std::byte* part = nullptr;
        for (index i = 0; i < count; ++i) {
            const index slot = (first + i) % layout.page;
            if (part == nullptr || slot == 0)
                part = pages.page(b, (first + i) / layout.page) + h * layout.head_bytes;
            std::byte* const row = part + to.at + slot * to.row;
            const E* const from = &x(b, h, i, 0);
            if constexpr (std::is_same_v<E, T>) {
                if (to.block == 0) {
                    if (stride == 1)
                        std::memcpy(row, from, static_cast<std::size_t>(to.row));
                    else
                        for (index f = 0; f < features; ++f)
                            std::memcpy(row + f * static_cast<index>(sizeof(E)), from + f * stride,
                                        sizeof(E));
                    continue;
                }
            }
            const float* numbers = scratch;
            if constexpr (std::is_same_v<E, float>)
                if (stride == 1 && to.block == 0) numbers = from;
            if (numbers == scratch) {
                for (index f = 0; f < features; ++f) scratch[f] = static_cast<float>(from[f * stride]);
                if (to.block > 0) hadamard_rows(scratch, features, to.block);
            }
            const float scale = store_row(numbers, features, reinterpret_cast<stored*>(row));
            if (to.scale_at > 0)
                std::memcpy(part + to.scale_at + slot * static_cast<index>(sizeof scale), &scale,
                            sizeof scale);
        }
    }
}

// Numbers that are made whole have to be finite, and so have what they are rotated to.
template <class Counts>
void check_finite(std::string_view function, std::string_view name, const view<const float>& x,
                  const Counts& counts, index block) {
    const float most = (std::numeric_limits<float>::max)() / static_cast<float>(greatest(block, 1));
    const std::int32_t limit = std::bit_cast<std::int32_t>(most);
    for (index b = 0; b < x.batch(); ++b)
        for (index h = 0; h < x.heads(); ++h)
            for (index i = 0; i < counts[b]; ++i) {
                const float* const row = &x(b, h, i, 0);
                for (index f = 0; f < x.features(); ++f) {
                    const float number = row[f * x.strides[3]];
                    if ((std::bit_cast<std::int32_t>(number) & 0x7fffffff) <= limit) continue;
                    fail(function, {name, "(", b, ", ", h, ", ", i, ", ", f, ") is ", number,
                                    block > 0 ? ", needs to stay finite when it is rotated, at most "
                                              : ", needs a finite number, at most ",
                                    most, " in magnitude"});
                }
            }
}

inline void check_rows(std::string_view function, std::string_view name, const std::array<index, 4>& extents,
                       const byte_span& memory, const cache_shape& s, index features) {
    check_extents(function, name, extents, memory);
    const auto need = [&](std::size_t axis, index needed) {
        if (extents[axis] != needed)
            fail(function, {name, " has ", extents[axis], " ", axis_names[axis], ", the cache has ", needed});
    };
    need(0, s.batch);
    need(1, s.kv_heads);
    need(3, features);
}

}  // namespace heed::inline HEED_ABI::detail
