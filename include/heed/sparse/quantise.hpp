// SPDX-License-Identifier: MIT
// heed/sparse/quantise.hpp: values on a grid that grows finer or coarser as training goes on
//
//     y = x                                  for step < warmup_steps
//     y = round(x 2^level) / 2^level         after, ties to even
//     level = first_level + floor((step - warmup_steps) / interval)      finer: the grid halves each interval
//     level = first_level - floor((step - warmup_steps) / interval)      coarser
//
// and no further than last_level.
//
//     y = heed::quantise_progressively(x, step, {.warmup_steps = 1000, .interval = 500});
//     heed::quantise_progressively_into(y, x, step, {.first_level = 8, .toward = heed::grid::coarser});
//
// x is any tensor of attention (heed/core/tensor.hpp); y has its extents and may be x itself. Numbers that
// lie on the grid keep their bits, infinities and NaN too; a sign is kept on its zero. Numbers are never
// clipped: the grid has no ends, and what rounds beyond the type's largest number is infinite.
//
// Gradient: the function is flat between its jumps, so its derivative teaches nothing. Training takes the
// straight-through estimate, dx = dy: pass dy on as it is.
//
// Cost: one pass, a few operations an element. Options: on(device), use(workspace). Throws heed::error before
// anything is written; std::bad_alloc. Allocates the result, and a row a thread unless use(workspace) gives
// it.
#pragma once

#include <cmath>
#include <optional>

#include <heed/core/call.hpp>
#include <heed/kernel/sparse/quantise-inl.hpp>
#include <heed/kernel/sparse/rows.hpp>
#include <heed/simd/dispatch.hpp>

namespace heed::inline HEED_ABI {

enum class grid { finer, coarser };

struct progressive_grid {
    index warmup_steps = 0;
    index interval = 1;                // steps from one level to the next
    std::optional<int> first_level{};  // 0 where the grid grows finer, 8 where it grows coarser
    std::optional<int> last_level{};   // 60, and 0
    grid toward = grid::finer;
};

namespace detail {

inline constexpr int most_level = 60;

}  // namespace detail

// The level of a step; none during the warm-up. Throws heed::error where a number is out of range.
inline std::optional<int> level_of(index step, const progressive_grid& g) {
    constexpr const char* name = "quantise_progressively";
    detail::check_enumerator(name, "toward", g.toward, 2);
    const bool finer = g.toward == grid::finer;
    const int first = g.first_level.value_or(finer ? 0 : 8);
    const int last = g.last_level.value_or(finer ? detail::most_level : 0);
    const auto validate = [](const char* what, index x, index least) {
        if (x < least) detail::fail(name, {what, " is ", x, ", needs at least ", least});
    };
    validate("step", step, 0);
    validate("warmup_steps", g.warmup_steps, 0);
    validate("interval", g.interval, 1);
    for (const int level : {first, last})
        if (level < -detail::most_level || level > detail::most_level)
            detail::fail(name, {"a level is ", level, ", needs one from -60 to 60"});
    if (finer ? last < first : last > first)
        detail::fail(name, {"the last level is ", last, ", the first ", first, "; ",
                            finer ? "a grid that grows finer needs a last level that is no lower"
                                  : "a grid that grows coarser needs a last level that is no higher"});
    if (step < g.warmup_steps) return std::nullopt;
    const index moved = (step - g.warmup_steps) / g.interval;
    const index most = finer ? last - first : first - last;
    const int by = static_cast<int>(moved < most ? moved : most);
    return finer ? first + by : first - by;
}

namespace detail {

template <class T>
quantise_leaf<T> quantise_leaf_on_target() {
    HEED_RETURN_ON_TARGET(quantise_leaf<T>());
}
HEED_ONCE_FOR_SUMS(quantise_leaf_on_target);

struct quantise_call : call_base {
    HEED_CALL("quantise_progressively", "y", "x", "", "it takes on and use");
    static constexpr const char* replaces = "";
    index step;
    const progressive_grid& g;

    static constexpr bool takes(option_kind kind) {
        return is_among(kind, {option_kind::on, option_kind::use});
    }
    template <class T, class... Options>
    void run(std::string_view, call_memory& used, const view<T>& y, const view<const T>& x,
             const Options&... options) const {
        using E = storage_t<T>;
        using S = sum_t<T>;
        used.validate();
        const std::optional<int> level = level_of(step, g);
        const quantise_leaf<S> leaf = quantise_leaf_on_target<S>();
        const row_conversions<E> convert = row_conversions_on_target<E>();
        const auto from = strided_of<E>(x);
        const auto to = strided_of<E>(y);
        const index n = x.features();
        const S up = std::ldexp(S(1), level.value_or(0));
        const S down = std::ldexp(S(1), -level.value_or(0));
        // During the warm-up every number is on the grid.
        const S already = level ? std::ldexp(S(1), constants<S>::mantissa - *level) : S(0);
        for_each_row<S>(
            x.extents, 1,
            [&](index b, index h, index p, S* scratch) {
                const S* const row = read_row(convert, from, b, h, p, n, scratch);
                leaf(row, n, row_to_write(to, b, h, p, scratch), up, down, already);
                put_row(convert, to, b, h, p, n, scratch);
            },
            options...);
    }
};

}  // namespace detail

// Writes y, which may be x itself.
template <class Y, class X, class... Options>
void quantise_progressively_into(Y&& y, const X& x, index step, const progressive_grid& g,
                                 const Options&... options) {
    detail::write_result(detail::quantise_call{{}, step, g}, detail::tensors(std::forward<Y>(y)),
                         detail::tensors(x), options...);
}

// A new tensor of x's kind.
template <class X, class... Options>
auto quantise_progressively(const X& x, index step, const progressive_grid& g, const Options&... options) {
    return detail::make_result(detail::quantise_call{{}, step, g}, detail::tensors(x), options...);
}

}  // namespace heed::inline HEED_ABI
