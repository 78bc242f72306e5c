// SPDX-License-Identifier: MIT
// heed/select/select_top_k.hpp: the k largest of n numbers
//
//     std::vector<int> indices(k);
//     const auto found = heed::select_top_k(scores, k, indices);      // indices[0 … found), ascending
//
// Exactly the k largest: of equal ones those with the lowest indices, +0 and -0 being equal. NaN counts as
// larger than every number, so that it stays visible in what is made of the choice. -inf means that there
// is nothing and is never chosen; so fewer than k may be found.
//
// Cost: O(n) for any input: as a rule three vector passes and a sample, 1 ns for four numbers. Memory: n
// numbers, from use(workspace) where one is given; else allocated. Algorithm: kernel/select/threshold.hpp.
#pragma once

#include <heed/core/numbers.hpp>
#include <heed/core/workspace.hpp>
#include <heed/kernel/select/kernels.hpp>
#include <heed/kernel/select/threshold.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

// A contiguous range of numbers, written or read: a std:: container, a span, an Eigen vector or rank-1
// tensor.
template <class R>
auto number_row(R& range) {
    if constexpr (requires { range.innerStride(); }) {
        if (range.size() > 1 && range.innerStride() != 1)
            fail("select_top_k",
                 {"a vector has a stride of ", range.innerStride(), ", needs numbers one behind the other"});
    }
    if constexpr (std::ranges::contiguous_range<R>)
        return std::pair{std::ranges::data(range), static_cast<index>(std::ranges::size(range))};
    else
        return std::pair{range.data(), static_cast<index>(range.size())};
}
template <class R>
concept row_of_numbers =
    (std::ranges::contiguous_range<R> || eigen_tensor<R> || eigen_matrix<R>) &&
    requires(R& r) { requires std::is_arithmetic_v<std::remove_pointer_t<decltype(number_row(r).first)>>; };
template <class R>
using number_of_row = std::remove_cv_t<std::remove_pointer_t<decltype(number_row(std::declval<R&>()).first)>>;

template <class T>
index select_top_k(const T* scores, index n, index k, std::int32_t* indices, index capacity,
                   workspace& memory) {
    const select_leaves<T>& leaf = select_leaves_on_target<T>();
    const index candidates = leaf.count_not_below(scores, n, constants<T>::lowest);
    const index found = k < candidates ? k : candidates;
    if (found > capacity) fail("select_top_k", {"indices has room for ", capacity, ", needs ", found});
    if (found == 0) return 0;
    T* const own = static_cast<T*>(
        memory.reserve(static_cast<std::size_t>(n + select_slack) * sizeof(T), workspace::part::selection));
    const threshold<T> t = find_threshold(leaf, scores, n, k, candidates, own);
    return emit_chosen(leaf, t, scores, 0, n, 0, indices, static_cast<T*>(nullptr), capacity);
}

}  // namespace detail

// Scores: n numbers, float or double, one behind the other. Indices: int, or 32 bits without a sign,
// with room for min(k, n), or for as many as are not -inf; a little more room than k is faster.
// Gives how many were found. Throws heed::error when k is negative or the room does not do.
template <class Scores, class K, class Indices>
index select_top_k(const Scores& scores, K k, Indices&& indices, workspace& memory) {
    static_assert(detail::row_of_numbers<const Scores>,
                  "heed::select_top_k: scores are a contiguous range of float or double");
    static_assert(detail::whole_number<K>,
                  "heed::select_top_k: k is a whole number, the number of indices wanted");
    static_assert(detail::row_of_numbers<std::remove_reference_t<Indices>>,
                  "heed::select_top_k: indices are a contiguous range of 32-bit integers, which is written");
    if constexpr (detail::row_of_numbers<const Scores> && detail::whole_number<K> &&
                  detail::row_of_numbers<std::remove_reference_t<Indices>>) {
        using T = detail::number_of_row<const Scores>;
        using Int = detail::number_of_row<std::remove_reference_t<Indices>>;
        static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>,
                      "heed::select_top_k: scores are a contiguous range of float or double");
        static_assert(
            std::is_integral_v<Int> && sizeof(Int) == sizeof(std::int32_t),
            "heed::select_top_k: indices are a contiguous range of 32-bit integers, which is written");
        const auto [from, n] = detail::number_row(scores);
        const auto [to, capacity] = detail::number_row(indices);
        static_assert(!std::is_const_v<std::remove_pointer_t<decltype(detail::number_row(indices).first)>>,
                      "heed::select_top_k: indices are written, and these are const");
        const index wanted = detail::index_of(k);
        if (wanted < 0)
            detail::fail("select_top_k", {"k is ", wanted, ", needs a number that is not negative"});
        if (n > longest_axis)
            detail::fail("select_top_k", {"scores has ", n, " numbers, needs at most 2^31 - 1"});
        return detail::select_top_k<T>(from, n, wanted, reinterpret_cast<std::int32_t*>(to), capacity,
                                       memory);
    } else {
        return 0;
    }
}
template <class Scores, class K, class Indices>
index select_top_k(const Scores& scores, K k, Indices&& indices) {
    workspace memory;
    return select_top_k(scores, k, indices, memory);
}

}  // namespace heed::inline HEED_ABI
