// SPDX-License-Identifier: MIT
// heed/core/numbers.hpp: one whole number for all batch entries, or a contiguous range with one for each
#pragma once

#include <concepts>
#include <iterator>
#include <ranges>
#include <string_view>

#include <heed/core/overlap.hpp>
#include <heed/core/tensor.hpp>

namespace heed::inline HEED_ABI::detail {

// Contiguous integers: a std::vector, std::array, C array, span, or an Eigen vector or rank-1 tensor.
template <class R>
concept eigen_integers = (eigen_tensor<R> || eigen_matrix<R>) && requires(const std::remove_cvref_t<R>& r) {
    requires std::integral<std::remove_cvref_t<decltype(*r.data())>>;
};
template <class R>
concept std_integers =
    std::ranges::contiguous_range<R> && std::integral<std::remove_cvref_t<std::ranges::range_value_t<R>>>;
template <class R>
concept integers = eigen_integers<R> || std_integers<R>;

// One whole number: anything that turns into one without losing a fraction.
template <class N>
concept whole_number =
    std::convertible_to<N, index> && !std::is_floating_point_v<std::remove_cvref_t<N>> && !integers<N>;
template <class N>
concept whole_numbers = whole_number<N> || integers<N>;

// Only an unsigned number of 64 bits may be too large for an index.
template <class N>
constexpr bool fits_index(const N& n) {
    if constexpr (std::is_unsigned_v<N> && sizeof(N) >= sizeof(index))
        return n <= static_cast<N>(PTRDIFF_MAX);
    else
        return true;
}
// As an index; what is too large becomes the largest.
template <whole_number N>
constexpr index index_of(const N& n) {
    return fits_index(n) ? static_cast<index>(n) : PTRDIFF_MAX;
}

template <class Int>
struct number_span {
    const Int* data = nullptr;
    index size = 0;
    index operator[](index i) const { return static_cast<index>(data[i]); }
    // True where the number itself, not what an index makes of it, is in [least, most].
    bool within(index i, index least, index most) const {
        return fits_index(data[i]) && operator[](i) >= least && operator[](i) <= most;
    }
    bool overlaps(const byte_span& output) const {
        return overlap(output, bytes_of(data, {1, 1, 1, size}, {0, 0, 0, 1}));
    }
};

template <integers R>
auto span_of(const R& range) {
    if constexpr (eigen_integers<R>) {
        using Int = std::remove_cvref_t<decltype(*range.data())>;
        if constexpr (eigen_matrix<R>) {
            static_assert(std::remove_cvref_t<R>::IsVectorAtCompileTime,
                          "heed: lengths, offsets and ids are a vector, not a matrix");
            if (range.size() > 1 && range.innerStride() != 1)
                fail("numbers", {"a vector with a stride of ", range.innerStride(),
                                 " was given, needs integers one behind the other"});
        }
        return number_span<Int>{range.data(), static_cast<index>(range.size())};
    } else {
        using Int = std::remove_cvref_t<std::ranges::range_value_t<R>>;
        return number_span<Int>{std::ranges::data(range), static_cast<index>(std::ranges::size(range))};
    }
}

// What may be kept: a number, or by reference an object with a name, or a view that owns nothing.
template <class R>
inline constexpr bool may_be_kept =
    whole_number<R> || std::is_lvalue_reference_v<R> || std::ranges::borrowed_range<R> ||
    ((eigen_tensor<R> || eigen_matrix<R>) && !owns_elements<std::remove_cvref_t<R>>);

// The number for batch entry b: single, or values[b].
template <class Int>
struct per_batch {
    index single = 0;
    number_span<Int> values{};
    bool many = false;

    index operator[](index b) const { return many ? values[b] : single; }
    bool within(index b, index least, index most) const {
        return many ? values.within(b, least, most) : single >= least && single <= most;
    }
    text_piece text_of(index b) const { return many ? text_piece(values.data[b]) : text_piece(single); }

    void validate(std::string_view function, std::string_view argument, index batch) const {
        if (!(!many || values.size == batch))
            fail(function, {argument, " has ", values.size, " numbers, needs one or one for each of the ",
                            batch, " batch entries"});
    }
};

template <whole_number N>
per_batch<index> numbers_of(const N& single) {
    return {index_of(single), {}, false};
}
template <integers R>
auto numbers_of(const R& range) {
    const auto span = span_of(range);
    using Int = element_t<decltype(span)>;
    return per_batch<Int>{0, span, true};
}

}  // namespace heed::inline HEED_ABI::detail
