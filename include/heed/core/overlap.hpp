// SPDX-License-Identifier: MIT
// heed/core/overlap.hpp: do two strided tensors share an element?
//
// Address ranges that cross are not enough: the q, k and v parts of one fused buffer interleave without
// sharing anything. A shared byte means integers x_i, y_j within the extents with
//     sum x_i s_i + x = (b - a) + sum y_j t_j + y,   0 <= x < size of a's element, 0 <= y < size of b's
// found by trying the axes from the longest stride down and leaving off where the rest cannot reach.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <heed/core/error.hpp>

namespace heed {
inline namespace HEED_ABI {
namespace detail {

// A tensor as bytes: where it starts, extents, strides, and the size of an element.
struct byte_span {
    std::intptr_t begin = 0;
    index extents[4] = {1, 1, 1, 1};
    index strides[4] = {0, 0, 0, 0};
    index size = 1;

    bool empty() const { return extents[0] == 0 || extents[1] == 0 || extents[2] == 0 || extents[3] == 0; }
};

template <class T>
byte_span bytes_of(const T* data, const std::array<index, 4>& extents, const std::array<index, 4>& strides) {
    byte_span s;
    s.begin = reinterpret_cast<std::intptr_t>(data);
    s.size = static_cast<index>(sizeof(T));
    for (std::size_t axis = 0; axis < 4; ++axis) {
        s.extents[axis] = extents[axis];
        s.strides[axis] = strides[axis] * s.size;
    }
    return s;
}

class overlap_search {
public:
    overlap_search(const byte_span& a, const byte_span& b) {
        for (int axis = 0; axis < 4; ++axis) {
            add(a.strides[axis], 0, a.extents[axis] - 1);
            add(b.strides[axis], -(b.extents[axis] - 1), 0);
        }
        add(1, -(b.size - 1), a.size - 1);
        // The range and the divisor of all that comes behind a term.
        for (int i = count_ - 1; i >= 0; --i) {
            term& t = terms_[i];
            t.least = t.low * t.stride + (i + 1 < count_ ? terms_[i + 1].least : 0);
            t.most = t.high * t.stride + (i + 1 < count_ ? terms_[i + 1].most : 0);
        }
        found_ = reach(0, b.begin - a.begin);
    }
    bool found() const { return found_; }
    // Searched to the end? If not, found() is a guess on the safe side.
    bool certain() const { return steps_ <= most_steps; }

private:
    struct term {
        index stride;
        index low;
        index high;
        index least;
        index most;
    };

    void add(index stride, index low, index high) {
        if (stride < 0) {
            stride = -stride;
            std::swap(low, high);
            low = -low;
            high = -high;
        }
        if (stride == 0 || (low == 0 && high == 0)) return;
        for (int i = 0; i < count_; ++i)
            if (terms_[i].stride == stride) {
                terms_[i].low += low;
                terms_[i].high += high;
                return;
            }
        int place = count_++;
        for (; place > 0 && terms_[place - 1].stride < stride; --place) terms_[place] = terms_[place - 1];
        terms_[place] = {stride, low, high, 0, 0};
    }

    bool reach(int i, index rest) {
        if (i == count_) return rest == 0;
        const term& t = terms_[i];
        if (rest < t.least || rest > t.most) return false;
        if (++steps_ > most_steps) return true;  // a layout nobody has: call it shared rather than search on
        const index least = i + 1 < count_ ? terms_[i + 1].least : 0;
        const index most = i + 1 < count_ ? terms_[i + 1].most : 0;
        // rest - x stride has to lie in [least, most]
        index x = (std::max)(t.low, divided_up(rest - most, t.stride));
        const index end = (std::min)(t.high, divided_down(rest - least, t.stride));
        for (; x <= end; ++x)
            if (reach(i + 1, rest - x * t.stride)) return true;
        return false;
    }
    static index divided_down(index a, index b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }
    static index divided_up(index a, index b) { return -divided_down(-a, b); }

    static constexpr int most_steps = 100000;
    term terms_[10] = {};
    int count_ = 0;
    int steps_ = 0;
    bool found_ = false;
};

inline bool overlap(const byte_span& a, const byte_span& b) {
    if (a.empty() || b.empty()) return false;
    return overlap_search(a, b).found();
}

// Do two elements of one tensor share a byte? A layout that nests, every stride at least as long as all that
// the shorter ones reach, has none. For the others: two elements that differ first on some axis lie in two
// parts of the tensor, one at 0 along that axis and one behind it, alike on the axes in front.
inline bool overlaps_itself(const byte_span& s) {
    if (s.empty()) return false;
    std::array<int, 4> order{0, 1, 2, 3};
    const auto length = [&](int axis) { return (std::abs)(s.strides[axis]); };
    std::sort(order.begin(), order.end(), [&](int a, int b) { return length(a) < length(b); });
    bool nested = true;
    index reach = s.size;
    for (const int axis : order) {
        if (s.extents[axis] == 1) continue;
        nested = nested && length(axis) >= reach;
        reach += (s.extents[axis] - 1) * length(axis);
    }
    if (nested) return false;
    byte_span ahead = s;
    byte_span rest = s;
    for (int axis = 0; axis < 4; ++axis) {
        ahead.begin = s.begin + s.strides[axis];
        ahead.extents[axis] = s.extents[axis] - 1;
        rest.extents[axis] = 1;
        if (!ahead.empty()) {
            const overlap_search search(ahead, rest);
            // Refused is only what is known to overlap.
            if (search.found() && search.certain()) return true;
        }
        ahead.extents[axis] = 1;
    }
    return false;
}

// The same elements in the same order: an output may replace such an input row by row.
inline bool same_elements(const byte_span& a, const byte_span& b) {
    bool same = a.begin == b.begin && a.size == b.size;
    for (int axis = 0; axis < 4; ++axis)
        same = same && a.extents[axis] == b.extents[axis] &&
               (a.extents[axis] == 1 || a.strides[axis] == b.strides[axis]);
    return same;
}

// An output may not share an element with an input (or another output); y may be q itself.
inline void check_overlap(std::string_view function, std::string_view output, const byte_span& o,
                          std::string_view input, const byte_span& i) {
    if (overlap(o, i)) fail(function, {output, " overlaps ", input, ", needs memory of its own"});
}
// The name of what an option reads that shares memory with an output, or nullptr. Options that read the
// caller's memory say so with a function overlapped(output).
template <class O>
const char* overlapped_by(const O& option_, const byte_span& output) {
    if constexpr (requires { option_.overlapped(output); })
        return option_.overlapped(output);
    else
        return nullptr;
}
// No option may read what the call writes.
void check_read_by_options(std::string_view function, std::string_view output, const byte_span& span,
                           const auto&... options) {
    const char* shared = nullptr;
    ((shared = shared != nullptr ? shared : overlapped_by(options, span)), ...);
    if (shared != nullptr) fail(function, {output, " overlaps ", shared, ", needs memory of its own"});
}
// An output has an element of its own for every result.
inline void check_distinct_elements(std::string_view function, std::string_view output, const byte_span& o) {
    if (!overlaps_itself(o)) return;
    const auto stride = [&](int axis) { return o.strides[axis] / o.size; };
    fail(function, {output, " has strides (", stride(0), ", ", stride(1), ", ", stride(2), ", ", stride(3),
                    ") with which its elements overlap, needs an element of its own for every result"});
}

}  // namespace detail
}  // namespace HEED_ABI
}  // namespace heed
