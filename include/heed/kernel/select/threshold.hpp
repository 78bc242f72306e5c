// SPDX-License-Identifier: MIT
// heed/kernel/select/threshold.hpp: the k-th largest of n numbers, exactly
//
// A small sample says between which two numbers the k-th largest lies, most likely. One pass over the row
// counts what is above them and closes up what is between, about a seventh of a row of 4096; counting passes
// over that buffer narrow the bracket until a few dozen are left. When the bracket misses, the side that
// holds the k-th largest is closed up instead. Guesses of a narrowing are linear interpolation, with every
// third step a bisection, of the values or of their bits: the latter halves any range in 32 or 64 steps.
//
// Cost: O(n) for any input; three passes over a row as a rule. Memory: n + select_slack numbers.
// Source: the sampled bracket is that of Floyd & Rivest, "Expected time bounds for selection", 1975.
#pragma once

#include <cmath>

#include <heed/kernel/select/problem.hpp>

namespace heed::inline HEED_ABI::detail {

// Where the rank-th largest is: in [low, high], with this many numbers above it and inside.
template <class T>
struct bracket {
    T low;
    T high;
    index above;
    index inside;
    bool found() const { return !(low < high); }
    // NaN is above every number, and holds this rank.
    bool is_nan(index rank) const { return above >= rank; }
};

// By its bits, so that -ffast-math cannot decide.
template <class T>
bool not_a_number(T x) {
    return (scalar::bits_of(x) & ~constants<T>::sign_bit) > constants<T>::infinity_bits;
}

// Numbers as integers in their order, neighbours one step apart.
template <class T>
auto steps_of(T x) {
    const auto bits = scalar::bits_of(x);
    return bits < 0 ? static_cast<decltype(bits)>(bits ^ ~constants<T>::sign_bit) : bits;
}
template <class T, class Int>
T number_at(Int order) {
    return scalar::float_of(order < 0 ? static_cast<Int>(order ^ ~constants<T>::sign_bit) : order);
}
// The neighbour of x that is larger, or smaller; -0 and +0 are one number.
template <class T>
T next_number(T x) {
    return number_at<T>(x == T(0) ? 1 : steps_of(x) + 1);
}
template <class T>
T number_before(T x) {
    return number_at<T>(x == T(0) ? -2 : steps_of(x) - 1);
}

// A number in [low, high): where the rank would be if the numbers inside were spread evenly, or the middle.
// It aims a little beyond the rank, seen from the nearer bound, so that this bound comes close next time.
template <class T>
T guess(const bracket<T>& b, index rank, index few, int step) {
    T c = b.high;
    // An infinite bound gives nothing to interpolate.
    if (step % 6 == 5 || is_minus_infinity(b.low) || is_minus_infinity(-b.high)) {
        const auto low = steps_of(b.low);
        const auto high = steps_of(b.high);
        c = number_at<T>(static_cast<decltype(low)>((low >> 1) + (high >> 1) + (low & high & 1)));
    } else {
        const T place = static_cast<T>(rank - b.above) - T(0.5);
        const T inside = static_cast<T>(b.inside);
        const T beyond = static_cast<T>(few) / 3;
        const T aim = place + place < inside ? place + beyond : place - beyond;
        const T share = step % 3 == 2 || aim <= 0 || aim >= inside ? T(0.5) : aim / inside;
        // In halves: the whole may overflow.
        const T half = b.high * T(0.5) - b.low * T(0.5);
        c = b.high - half * share - half * share;
        if (!(c >= b.low && c < b.high)) return guess(b, rank, few, 5);
    }
    return c < b.low ? b.low : c < b.high ? c : b.low;
}

// Bisections every sixth step narrow 64 bits in fewer steps than this. More are taken only where the
// processor reads denormal numbers as 0, so that a bound between them moves nothing (-ffast-math).
inline constexpr int most_steps = 400;

// Narrows a bracket until `few` numbers are inside or all of them are equal.
template <class T>
bracket<T> narrowed(const select_leaves<T>& leaf, const T* x, index n, index rank, index few, bracket<T> b) {
    for (int step = 0; b.inside > few && !b.found() && step < most_steps; ++step) {
        const T c = guess(b, rank, few, step);
        index above = 0;
        index from = 0;
        leaf.count(x, n, c, above, from);
        if (above < rank && rank <= from) return {c, c, above, from - above};
        if (above >= rank) {
            b.low = next_number(c);
            b.inside = above - b.above;
        } else {
            b.high = number_before(c);
            b.inside = b.above + b.inside - from;
            b.above = from;
        }
    }
    return b;
}
// Rows up to this length are narrowed as they are, and this few numbers are compared each with all.
inline constexpr index unsampled_row = 512;
inline constexpr index few_numbers = 32;

// A bracket that holds the rank-th largest, most likely, by a sample.
template <class T>
bracket<T> likely_bracket(const select_leaves<T>& leaf, const T* x, index n, index rank, T* scratch) {
    const index runs = (n / 16 < 256 ? 256 : n / 16 > 4096 ? 4096 : n / 16) / sample_run;
    const index count = runs * sample_run;
    leaf.sample(x, (n - sample_run) / (runs - 1), runs, scratch);
    const double share = static_cast<double>(rank) / static_cast<double>(n);
    const double at_rank = share * static_cast<double>(count);
    const double margin = 1 + 2.5 * std::sqrt(at_rank * (1 - share));
    const index upper = static_cast<index>(at_rank - margin);
    const index lower = static_cast<index>(at_rank + margin) + 1;
    bracket<T> b{minus_infinity<T>(), -minus_infinity<T>(), 0, n};
    bracket<T> all{};
    index from = 0;
    leaf.range(scratch, count, all.low, all.high);
    leaf.count(scratch, count, all.high, all.above, from);
    all.inside = count - all.above;
    const index few = 2 + static_cast<index>(margin) / 2;
    if (upper > all.above) {
        const bracket<T> top = narrowed(leaf, scratch, count, upper, few, all);
        b.high = top.high;
        // The lower rank is not above this one.
        all = {all.low, top.high, top.above, all.inside + all.above - top.above};
    }
    if (lower > all.above && lower <= count) b.low = narrowed(leaf, scratch, count, lower, few, all).low;
    return b;
}

// The rank-th largest of numbers in [low, high], which are overwritten.
template <class T>
T find_largest(const select_leaves<T>& leaf, T* x, index n, T low, T high, index rank, index& above,
               index& equal) {
    above = 0;
    if (n > few_numbers) {
        // An infinite bound says nothing.
        if (is_minus_infinity(low) || is_minus_infinity(-high)) leaf.range(x, n, low, high);
        const bracket<T> b = narrowed<T>(leaf, x, n, rank, few_numbers, {low, high, 0, n});
        above = b.above;
        equal = b.inside;
        if (b.found()) return b.low;
        index higher = 0;
        n = leaf.within(x, n, b.low, b.high, x, higher);
    }
    index inner = 0;
    const T found = leaf.largest(x, n, rank - above, inner, equal);
    above += inner;
    return found;
}

// Chooses the k largest of n numbers, of which `candidates` are not -inf: 1 <= k. `scratch` holds
// n + select_slack numbers.
template <class T>
threshold<T> find_threshold(const select_leaves<T>& leaf, const T* x, index n, index k, index candidates,
                            T* scratch) {
    if (k >= candidates) return {constants<T>::lowest, n, n};
    const T infinity = -minus_infinity<T>();
    bracket<T> b{minus_infinity<T>(), infinity, 0, n};
    if (n > unsampled_row) b = likely_bracket(leaf, x, n, k, scratch);
    index count = leaf.within(x, n, b.low, b.high, scratch, b.above);
    if (b.is_nan(k) && b.high < infinity) {
        // Too high a bracket by half: what is above it, without NaN.
        b.low = next_number(b.high);
        b.high = infinity;
        count = leaf.within(x, n, b.low, b.high, scratch, b.above);
    } else if (b.above + count < k) {
        const index seen = b.above + count;
        b.high = number_before(b.low);
        b.low = minus_infinity<T>();
        count = leaf.within(x, n, b.low, b.high, scratch, b.above);
        b.above = seen;
    }
    // More NaN than are asked for: the first of them.
    if (b.is_nan(k)) {
        index end = 0;
        for (index nans = 0; nans < k; ++end) nans += not_a_number(x[end]) ? 1 : 0;
        return {infinity, 0, end};
    }
    index above = 0;
    index equal = 0;
    const T min = find_largest(leaf, scratch, count, b.low, b.high, k - b.above, above, equal);
    const index ties = k - b.above - above;
    return {min, ties == equal ? n : leaf.behind_equal(x, n, min, ties), n};
}

// The chosen of x[begin, end): their indices, counted from `first` at x[0], and the numbers unless nullptr.
template <class T>
index emit_chosen(const select_leaves<T>& leaf, const threshold<T>& t, const T* x, index begin, index end,
                  std::int32_t first, std::int32_t* indices, T* values, index capacity) {
    const index cut = t.cut < begin ? begin : t.cut < end ? t.cut : end;
    const index stop = t.end < end ? t.end : end;
    index found = 0;
    if (cut > begin)
        found = leaf.write_chosen(x + begin, cut - begin, t.min, false,
                                  first + static_cast<std::int32_t>(begin), indices, values, capacity);
    if (stop > cut)
        found += leaf.write_chosen(x + cut, stop - cut, t.min, true, first + static_cast<std::int32_t>(cut),
                                   indices + found, values == nullptr ? nullptr : values + found,
                                   capacity - found);
    return found;
}

}  // namespace heed::inline HEED_ABI::detail
