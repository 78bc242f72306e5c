// SPDX-License-Identifier: MIT
// heed/core/broadcast.hpp: tables that broadcast right-aligned to (batch, head, query, key)
#pragma once

#include <ranges>
#include <string_view>

#include <heed/core/check.hpp>

namespace heed::inline HEED_ABI::detail {

// A table the caller keeps: an object with a name, or a map or view that owns nothing.
template <class X>
inline constexpr bool table_may_be_kept =
    std::is_lvalue_reference_v<X> || !owns_elements<std::remove_cvref_t<X>>;

// Axes of extent 1 are repeated; every other extent has to be the score's.
template <class T>
table<T> broadcast(std::string_view function, std::string_view argument, table<T> t,
                   const problem_shape& shape) {
    const std::array<index, 4> needed{shape.batch, shape.heads, shape.queries, shape.keys};
    constexpr const char* names[] = {"batch entries", "heads", "queries", "keys"};
    for (std::size_t axis = 0; axis < 4; ++axis) {
        if (!(t.extents[axis] == needed[axis] || t.extents[axis] == 1))
            fail(function,
                 {argument, " has ", t.extents[axis], " ", names[axis], ", needs ", needed[axis], " or 1"});
        if (t.extents[axis] == 1) t.strides[axis] = 0;
    }
    check_memory(function, argument, bytes_of(t));
    return t;
}

// One number per head: a vector or rank-1 tensor, or a contiguous range of numbers, kept by reference.
// option: what an error calls its function.
template <class X>
auto number_table(std::string_view option, X&& x) {
    constexpr bool tensor = has_elements<X>;
    static_assert(tensor || std::ranges::contiguous_range<X>,
                  "heed: needs one number per head: a vector, a tensor of rank 1 or a contiguous range");
    if constexpr (tensor) {
        static_assert(table_may_be_kept<X>,
                      "heed: the numbers are a temporary and would be gone; give them a name");
        const auto t = as_table(x);
        check_memory(option, "the tensor", bytes_of(t));
        using S = element_t<decltype(t)>;
        return table<const S>{t.data, t.extents, t.strides, t.rank};
    } else {
        static_assert(std::is_lvalue_reference_v<X> || std::ranges::borrowed_range<X>,
                      "heed: the numbers are a temporary and would be gone; give them a name");
        using S = std::remove_cvref_t<std::ranges::range_value_t<X>>;
        table<const S> t;
        t.data = std::ranges::data(x);
        t.extents[3] = static_cast<index>(std::ranges::size(x));
        t.strides[3] = 1;
        t.rank = 1;
        return t;
    }
}

}  // namespace heed::inline HEED_ABI::detail
