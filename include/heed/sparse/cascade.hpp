// SPDX-License-Identifier: MIT
// heed/sparse/cascade.hpp: numbered things, what each has counted for so far, and which of them are left
//
// Of `all` tokens (or heads) of a batch entry some have left for good. Those that are left stand in ascending
// order; every batch entry has as many, though not the same ones. Beside each stand its importance and its
// place in the list before the latest change, which is its row in a tensor made then.
//
// Cost: memory for those that are left, twice. Nothing is allocated where the numbers do not grow.
#pragma once

#include <algorithm>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include <heed/core/view.hpp>

namespace heed::inline HEED_ABI::detail {

class cascade {
public:
    cascade(index batch, index count) : batch_(batch) { append(count); }

    index all() const { return all_; }
    index left() const { return left_; }
    index before() const { return before_; }

    // (batch, left) each.
    std::span<const index> kept() const { return now_.kept; }
    std::span<const double> importance() const { return now_.importance; }
    double* importance(index b) { return now_.importance.data() + b * left_; }

    // A tensor may hold a row for each there ever was, or for each before the latest change: where in it do
    // those stand that are left? (batch, left)
    bool has_rows(index count) const { return count == before_ || count == all_; }
    std::span<const index> rows_among(index count) const { return count == before_ ? now_.from : now_.kept; }
    // Those rows of x to y: axis 1 (heads) or 2 (positions) of both counts them.
    template <class E>
    void gather(const view<const E>& x, const view<E>& y, std::size_t axis) const {
        const index* const rows = rows_among(x.extents[axis]).data();
        for (index b = 0; b < y.batch(); ++b)
            for (index h = 0; h < y.heads(); ++h)
                for (index p = 0; p < y.positions(); ++p) {
                    const index row = rows[b * left_ + (axis == 2 ? p : h)];
                    const index head = axis == 2 ? h : row, position = axis == 2 ? row : p;
                    for (index f = 0; f < y.features(); ++f) y(b, h, p, f) = x(b, head, position, f);
                }
    }

    // New ones come behind the others.
    void append(index count) {
        next_.resize(batch_ * (left_ + count));
        for (index b = 0; b < batch_; ++b) {
            const index to = b * (left_ + count);
            for (index i = 0; i < left_; ++i) move(b * left_ + i, i, to + i);
            for (index i = 0; i < count; ++i) next_.set(to + left_ + i, all_ + i, left_ + i, 0);
        }
        std::swap(now_, next_);
        left_ += count;
        all_ += count;
        before_ = left_;
    }

    // Of the ones at [first, last) of the list only the `count` most important stay; of equal ones those that
    // come first.
    void keep_best(index first, index last, index count) {
        const index left = left_ - (last - first) + count;
        next_.resize(batch_ * left);
        order_.resize(static_cast<std::size_t>(last - first));
        for (index b = 0; b < batch_; ++b) {
            const double* const importance_of = importance(b);
            std::iota(order_.begin(), order_.end(), first);
            std::nth_element(order_.begin(), order_.begin() + count, order_.end(), [&](index x, index y) {
                return importance_of[x] > importance_of[y] || (importance_of[x] == importance_of[y] && x < y);
            });
            std::sort(order_.begin(), order_.begin() + count);
            index to = b * left;
            const auto stays = [&](index i) { move(b * left_ + i, i, to++); };
            for (index i = 0; i < first; ++i) stays(i);
            for (index i = 0; i < count; ++i) stays(order_[static_cast<std::size_t>(i)]);
            for (index i = last; i < left_; ++i) stays(i);
        }
        std::swap(now_, next_);
        before_ = left_;
        left_ = left;
    }

private:
    struct lists {
        std::vector<index> kept, from;
        std::vector<double> importance;

        void resize(index count) {
            const auto n = static_cast<std::size_t>(count);
            kept.resize(n);
            from.resize(n);
            importance.resize(n);
        }
        void set(index i, index number, index row, double counted) {
            const auto at = static_cast<std::size_t>(i);
            kept[at] = number;
            from[at] = row;
            importance[at] = counted;
        }
    };

    // Entry `at` of the lists, row `row` of its batch entry, becomes entry `to`.
    void move(index at, index row, index to) {
        const auto i = static_cast<std::size_t>(at);
        next_.set(to, now_.kept[i], row, now_.importance[i]);
    }

    index batch_;
    index all_ = 0, left_ = 0, before_ = 0;
    lists now_, next_;
    std::vector<index> order_;
};

}  // namespace heed::inline HEED_ABI::detail
