// SPDX-License-Identifier: MIT
// tests/support/guard.hpp: memory with a wall at both ends
//
// An arena is whole pages between two pages that may not be touched. place() lays an array
// against the front wall or the back wall, `gap` bytes away from it, so that one element read or
// written outside faults; what the arena holds beside the array is NaN, so that a read inside
// the arena but outside the array shows in the result. A gap of 4...60 bytes misaligns.
#pragma once

#include <cstddef>
#include <cstring>
#include <new>

#include <sys/mman.h>
#include <unistd.h>

#include "catch.hpp"
#include "random.hpp"

namespace support {

enum class wall { front, back };

class guarded_arena {
public:
    explicit guarded_arena(std::size_t bytes) {
        const std::size_t page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
        inside_ = (bytes + 64 + page - 1) / page * page;
        whole_ = inside_ + 2 * page;
        void* all = ::mmap(nullptr, whole_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (all == MAP_FAILED) throw std::bad_alloc();
        base_ = static_cast<unsigned char*>(all);
        data_ = base_ + page;
        if (::mprotect(data_, inside_, PROT_READ | PROT_WRITE) != 0) throw std::bad_alloc();
    }
    guarded_arena(const guarded_arena&) = delete;
    guarded_arena& operator=(const guarded_arena&) = delete;
    ~guarded_arena() { ::munmap(base_, whole_); }

    // `count` elements of T; the 256 bytes on either side (as far as the arena goes) become NaN.
    template <class T>
    T* place(std::size_t count, wall side, std::size_t gap) {
        const std::size_t bytes = count * sizeof(T);
        if (bytes + gap > inside_) throw std::bad_alloc();
        first_ = side == wall::front ? gap : inside_ - bytes - gap;
        last_ = first_ + bytes;
        const std::size_t low = first_ > 256 ? first_ - 256 : 0;
        const std::size_t high = last_ + 256 < inside_ ? last_ + 256 : inside_;
        std::memset(data_ + low, poison, first_ - low);
        std::memset(data_ + last_, poison, high - last_);
        return reinterpret_cast<T*>(data_ + first_);
    }

    // Nothing was written beside the array that place() gave out last.
    bool untouched_outside() const {
        const std::size_t low = first_ > 256 ? first_ - 256 : 0;
        const std::size_t high = last_ + 256 < inside_ ? last_ + 256 : inside_;
        for (std::size_t i = low; i < first_; ++i)
            if (data_[i] != poison) return false;
        for (std::size_t i = last_; i < high; ++i)
            if (data_[i] != poison) return false;
        return true;
    }

private:
    static constexpr unsigned char poison = 0xFF;  // every float format reads it as NaN
    unsigned char* base_ = nullptr;
    unsigned char* data_ = nullptr;
    std::size_t inside_ = 0, whole_ = 0, first_ = 0, last_ = 0;
};

// Random calls of a guarded_call, whose run(r, what) is false where something outside was touched.
template <class Call>
void many(std::uint64_t seed, long cases) {
    support::random r(seed);
    Call call;
    long wrong = 0;
    std::string first, what;
    for (long i = 0; i < cases; ++i)
        if (!call.run(r, what) && wrong++ == 0) first = what;
    INFO(first);
    CHECK(wrong == 0);
}

}  // namespace support
