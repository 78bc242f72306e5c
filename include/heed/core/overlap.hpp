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

namespace heed::inline HEED_ABI::detail {

// A tensor as bytes: where it starts, extents, strides, the size of an element, and the range [low, high) in
// which all its bytes lie. An axis of one element has stride 0, whatever was given.
struct byte_span {
    std::intptr_t begin = 0;
    index extents[4] = {1, 1, 1, 1};
    index strides[4] = {0, 0, 0, 0};
    index size = 1;
    std::intptr_t low = 0;
    std::intptr_t high = 0;
    bool fits = true;  // else its strides reach past the last address, and nothing else holds

    bool empty() const { return extents[0] <= 0 || extents[1] <= 0 || extents[2] <= 0 || extents[3] <= 0; }
};

inline byte_span bytes_of(const void* data, index size, const std::array<index, 4>& extents,
                          const std::array<index, 4>& strides) {
    byte_span s;
    s.begin = reinterpret_cast<std::intptr_t>(data);
    s.size = size;
    s.low = s.high = s.begin;
    // Far less than all addresses, so that a search may add two such distances.
    constexpr index furthest = PTRDIFF_MAX / 8;
    index down = 0;
    index up = size;
    for (std::size_t axis = 0; axis < 4; ++axis) {
        s.extents[axis] = extents[axis];
        if (extents[axis] <= 1) continue;
        index reach = 0;
        if (!fitting_product(strides[axis], extents[axis] - 1, reach) ||
            !fitting_product(reach, size, reach) || reach > furthest || reach < -furthest) {
            s.fits = false;
            continue;
        }
        s.strides[axis] = strides[axis] * size;
        (reach < 0 ? down : up) += reach;
    }
    if (s.empty()) return s;
    s.low += down;
    s.high += up;
    s.fits = s.fits && -down <= furthest && up <= furthest;
    return s;
}
template <class T>
byte_span bytes_of(const T* data, const std::array<index, 4>& extents, const std::array<index, 4>& strides) {
    return bytes_of(data, static_cast<index>(sizeof(T)), extents, strides);
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
        int at = count_++;
        for (; at > 0 && terms_[at - 1].stride < stride; --at) terms_[at] = terms_[at - 1];
        terms_[at] = {stride, low, high, 0, 0};
    }

    bool reach(int i, index rest) {
        if (i == count_) return rest == 0;
        const term& t = terms_[i];
        if (rest < t.least || rest > t.most) return false;
        if (++steps_ > most_steps)
            return true;  // a layout without use: called shared rather than searched on
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
    if (a.low >= b.high || b.low >= a.high || a.empty() || b.empty() || !a.fits || !b.fits) return false;
    return overlap_search(a, b).found();
}

// Do two elements of one tensor share a byte? A layout that nests, every stride at least as long as all that
// the shorter ones reach, has none. For the others: two elements that differ first on some axis lie in two
// parts of the tensor, one at 0 along that axis and one behind it, alike on the axes in front.
inline bool overlaps_itself(const byte_span& s) {
    if (s.empty() || !s.fits) return false;
    const auto nests = [&](const auto& order) {
        index reach = s.size;
        for (const int axis : order) {
            if (s.extents[axis] == 1) continue;
            if ((std::abs)(s.strides[axis]) < reach) return false;
            reach += (s.extents[axis] - 1) * (std::abs)(s.strides[axis]);
        }
        return true;
    };
    std::array<int, 4> order{3, 2, 1, 0};
    if (nests(order)) return false;
    const auto length = [&](int axis) { return (std::abs)(s.strides[axis]); };
    std::sort(order.begin(), order.end(), [&](int a, int b) { return length(a) < length(b); });
    if (nests(order)) return false;
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

// The name of what an option reads that shares memory with an output, or nullptr. Options that read the
// caller's memory say so with a function overlapped(output).
template <class O>
const char* overlapped_by(const O& o, const byte_span& output) {
    if constexpr (requires { o.overlapped(output); })
        return o.overlapped(output);
    else
        return nullptr;
}

}  // namespace heed::inline HEED_ABI::detail
