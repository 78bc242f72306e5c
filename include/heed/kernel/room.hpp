// SPDX-License-Identifier: MIT
// heed/kernel/room.hpp: scratch memory of a kernel, in pieces, and the plain work on it
#pragma once

#include <cstring>

#include <heed/core/strided.hpp>

namespace heed::inline HEED_ABI::detail {

// Scratch memory handed out piece by piece; without memory it only counts.
template <class T>
class room {
public:
    explicit room(void* memory = nullptr) : next_(static_cast<T*>(memory)) {}
    T* take(index n) {
        n = rounded_up(n, 64 / static_cast<index>(sizeof(T)));
        T* const here = next_;
        if (next_ != nullptr) next_ += n;
        taken_ += n;
        return here;
    }
    std::size_t bytes() const { return static_cast<std::size_t>(taken_) * sizeof(T); }

private:
    T* next_;
    index taken_ = 0;
};

template <class T>
void copy(const T* from, T* to, index n) {
    std::memcpy(to, from, static_cast<std::size_t>(n) * sizeof(T));
}
template <class T>
void clear(T* x, index n) {
    std::memset(x, 0, static_cast<std::size_t>(n) * sizeof(T));
}
// Columns from `first` on, of `count` rows.
template <class T>
void clear_columns(T* x, index row, index first, index count) {
    for (index i = 0; first < row && i < count; ++i)
        for (index j = first; j < row; ++j) x[i * row + j] = 0;
}

}  // namespace heed::inline HEED_ABI::detail
