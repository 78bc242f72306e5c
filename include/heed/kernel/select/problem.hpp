// SPDX-License-Identifier: MIT
// heed/kernel/select/problem.hpp: what the passes over a row of numbers take and give
//
// The order is that of the numbers, -0 being equal to +0, with NaN above all of them. Every comparison is
// one of floating-point numbers: nothing is turned into keys.
#pragma once

#include <cstdint>

#include <heed/core/strided.hpp>
#include <heed/math.hpp>
#include <heed/simd/constants.hpp>

namespace heed::inline HEED_ABI::detail {

// Numbers of space behind what a pass writes: whole packs are stored.
inline constexpr index select_slack = 16;

// Numbers that a sample takes side by side: a compromise between what neighbours tell and reading lines.
inline constexpr index sample_run = 4;

// Which numbers of a row are chosen: x[i] that is not below `min` for i < cut, x[i] that is neither below
// nor equal to it for cut <= i < end. So ties are kept up to the cut.
template <class T>
struct threshold {
    T min;
    index cut;
    index end;
};

template <class T>
struct select_leaves {
    int pack_lanes;
    // How many are above c, and how many are not below it.
    void (*count)(const T* x, index n, T c, index& above, index& from);
    index (*count_not_below)(const T* x, index n, T c);
    // The smallest and the largest, NaN left out; +inf and -inf where there is no number.
    void (*range)(const T* x, index n, T& low, T& high);
    // Those in [low, high] to `to`, which may be x and has space for select_slack more. Gives how many;
    // `above` is how many are above high.
    index (*within)(const T* x, index n, T low, T high, T* to, index& above);
    // Runs of sample_run numbers from x, x + step, x + 2 step, …
    void (*sample)(const T* x, index step, index runs, T* to);
    // The rank-th largest of a few numbers (rank from 1, none of them NaN): how many are above, and equal.
    T (*largest)(const T* x, index n, index rank, index& above, index& equal);
    // The index behind the count-th of those equal to c.
    index (*behind_equal)(const T* x, index n, T c, index count);
    // Chosen are those not below c, without those equal to it if `above`: their indices, counted from
    // `first`, and unless nullptr the numbers themselves, to memory for `capacity` of them; values may be x.
    // Gives how many. Fastest where the capacity is select_slack more than are chosen.
    index (*write_chosen)(const T* x, index n, T c, bool above, std::int32_t first, std::int32_t* indices,
                          T* values, index capacity);
};

}  // namespace heed::inline HEED_ABI::detail
