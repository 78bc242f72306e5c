// SPDX-License-Identifier: MIT
// heed/layers/heads/carried_keys.hpp: keys and values of the positions so far, for a stream
//
// A buffer longer than it has to be: it doubles when it is full, so that appending costs the same on average
// however long the stream is.
#pragma once

#include <algorithm>

#include <heed/core/tensor.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
class carried_positions {
public:
    index length() const { return length_; }
    void clear() { length_ = 0; }
    // Forgets what came behind the first `length` positions.
    void shorten(index length) { length_ = length; }

    // Rows of neighbouring features, of the batch entries and heads that came first.
    void append(const view<const T>& x) {
        const bool fits = buffer_.dimension(0) == x.batch() && buffer_.dimension(1) == x.heads() &&
                          buffer_.dimension(2) >= length_ && buffer_.dimension(3) == x.features();
        if (length_ > 0 && !fits)
            fail("multi_head_attention::extend", {"the stream holds no keys of this layer and batch for the ",
                                                  length_, " positions so far; begin with a new one"});
        if (!fits) buffer_.resize(x.batch(), x.heads(), x.positions(), x.features());
        if (length_ + x.positions() > buffer_.dimension(2)) grow(length_ + x.positions());
        copy(x, as_view(buffer_).slice_positions(length_, x.positions()));
        length_ += x.positions();
    }
    view<const T> rows() const { return view<const T>(as_view(buffer_)).slice_positions(0, length_); }

private:
    Eigen::Tensor<T, 4, Eigen::RowMajor> buffer_{0, 0, 0, 0};
    index length_ = 0;

    static void copy(const view<const T>& from, const view<T>& to) {
        for (index b = 0; b < from.batch(); ++b)
            for (index h = 0; h < from.heads(); ++h)
                for (index p = 0; p < from.positions(); ++p)
                    std::copy_n(&from(b, h, p, 0), from.features(), &to(b, h, p, 0));
    }
    void grow(index needed) {
        const index doubled = 2 * buffer_.dimension(2);
        Eigen::Tensor<T, 4, Eigen::RowMajor> larger(buffer_.dimension(0), buffer_.dimension(1),
                                                    doubled > needed ? doubled : needed,
                                                    buffer_.dimension(3));
        if (length_ > 0) copy(rows(), as_view(larger).slice_positions(0, length_));
        buffer_ = std::move(larger);
    }
};

// Rows that stay only if the call they are for comes to its end.
template <class T>
class appended {
public:
    appended(carried_positions<T>& rows, const view<const T>& x) : rows_(&rows), before_(rows.length()) {
        rows.append(x);
    }
    appended(const appended&) = delete;
    appended& operator=(const appended&) = delete;
    ~appended() {
        if (rows_ != nullptr) rows_->shorten(before_);
    }
    void keep() { rows_ = nullptr; }

private:
    carried_positions<T>* rows_;
    index before_;
};

}  // namespace heed::inline HEED_ABI::detail
