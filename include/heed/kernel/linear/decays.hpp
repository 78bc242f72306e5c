// SPDX-License-Identifier: MIT
// heed/kernel/linear/decays.hpp: decays that differ from feature to feature, in segments of a chunk
//
// A pair (i, j), j <= i, is multiplied by e^(b_i - b_j), feature by feature, b the sum of the logarithms.
// Where that may be written e^(b_i - r) e^(r - b_j), one product of matrices does all pairs. So a chunk is
// cut into segments, each with a reference r: the chunk's start for the first, the first row's own b for the
// others. In a segment no factor of a row is below e^-30 (e^-300 for double), hence no inverse above e^30; a
// row that would be begins the next segment. Keys of earlier segments are carried over by the factor between
// the references. A trained model's chunk is one segment; with decays of every size a row is at worst its own
// segment, and what is multiplied then is what the recurrence multiplies.
#pragma once

#include <heed/kernel/linear/kernels.hpp>
#include <heed/kernel/scratch.hpp>

namespace heed::inline HEED_ABI::detail {

template <class E>
class feature_decays {
public:
    using T = typename linear_problem<E>::T;

    explicit feature_decays(const linear_leaves<E>& leaves) : leaf_(leaves) {}
    void take(arena& scratch, index feature_row, index positions) {
        row_ = feature_row;
        since = scratch.take<T>(positions * row_);
        until = scratch.take<T>(positions * row_);
        sums_ = scratch.take<T>(2 * row_);
        crossings_ = scratch.take<T>((positions + 1) * row_);
        before_ = scratch.take<T>((positions + 1) * row_);
        after_ = scratch.take<T>((positions + 1) * row_);
    }

    // From the logarithms of a chunk's rows and its keys: the segments, and near_keys, the keys as seen from
    // the reference of their own segment.
    void bind(const T* steps, const T* low_steps, const T* keys, T* near_keys, index rows) {
        count = leaf_.segment_decays(
            {steps, low_steps, keys, row_, rows, row_, since, until, near_keys, sums_, crossings_, starts_});
        for (index s = 1; s < count; ++s)
            leaf_.scale_elements(crossing(s), s > 1 ? before(s - 1) : nullptr, nullptr, nullptr, row_, 1,
                                 row_, before_ + s * row_);
        for (index s = count - 2; s >= 0; --s)
            leaf_.scale_elements(crossing(s + 1), nullptr, to_end(s + 1), nullptr, row_, 1, row_,
                                 after_ + s * row_);
    }

    // From the exponents of a chunk's keys, near_keys, e^(exponent - reference).
    void bind_exponents(const T* exponents, T* near_keys, index rows) {
        count =
            leaf_.segment_exponents({exponents, row_, rows, row_, near_keys, before_, crossings_, starts_});
        for (index s = count - 2; s >= 0; --s)
            leaf_.scale_elements(crossing(s + 1), nullptr, after(s + 1), nullptr, row_, 1, row_,
                                 after_ + s * row_);
    }
    const T* reference(index s) const { return before_ + s * row_; }
    // Near keys as seen from the last reference.
    void carry_to_end(const T* near_keys, T* to) const {
        for (index s = 0; s < count; ++s)
            leaf_.scale_elements(near_keys + start(s) * row_, nullptr, after(s), nullptr, row_, rows(s), row_,
                                 to + start(s) * row_);
    }

    index count = 0;  // segments; of a first one that is empty, too
    index start(index s) const { return starts_[s]; }
    index rows(index s) const { return starts_[s + 1] - starts_[s]; }
    // From the reference before to that of segment s.
    const T* crossing(index s) const { return crossings_ + s * row_; }

    // to = x e^b, row by row, and x e^(b_end - b).
    void scale_since_start(const T* x, T* to) const {
        for (index s = 0; s < count; ++s)
            leaf_.scale_elements(x + start(s) * row_, since + start(s) * row_, before(s), nullptr, row_,
                                 rows(s), row_, to + start(s) * row_);
    }
    void scale_until_end(const T* x, T* to) const {
        // After the last row nothing decays: its factor and its inverse would round.
        const index last = start(count) - 1;
        for (index s = 0; s < count; ++s)
            leaf_.scale_elements(x + start(s) * row_, until + start(s) * row_, to_end(s), nullptr, row_,
                                 rows(s) - (s + 1 == count ? 1 : 0), row_, to + start(s) * row_);
        if (to != x) copy(x + last * row_, to + last * row_, row_);
    }
    // e^b_end
    void keep(T* to) const {
        leaf_.scale_elements(last_of(count - 1), before(count - 1), nullptr, nullptr, row_, 1, row_, to);
    }

    T* since = nullptr;  // e^(b_i - r), (position, feature)
    T* until = nullptr;  // e^(r - b_j)

private:
    // The factor of the segment's last row, from the reference to the chunk's end, and from its start to it.
    const T* last_of(index s) const { return rows(s) == 0 ? nullptr : since + (start(s + 1) - 1) * row_; }
    const T* to_end(index s) const { return s + 1 < count ? after_ + s * row_ : last_of(s); }
    const T* after(index s) const { return s + 1 < count ? after_ + s * row_ : nullptr; }
    const T* before(index s) const { return s > 0 ? before_ + s * row_ : nullptr; }

    const linear_leaves<E>& leaf_;
    index row_ = 0;
    T* sums_ = nullptr;
    T* crossings_ = nullptr;
    T* before_ = nullptr;  // from the chunk's start to the reference; of exponents the reference
    T* after_ = nullptr;
    index starts_[chunk_positions + 2] = {};
};

}  // namespace heed::inline HEED_ABI::detail
