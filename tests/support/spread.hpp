// SPDX-License-Identifier: MIT
// tests/support/spread.hpp: tensors whose elements lie more than 2^31 elements apart, in little memory
//
// One axis gets a stride so long that its last element stands past 2^31: an offset computed in 32 bits then
// misses it by gigabytes. The memory is only promised (MAP_NORESERVE); pages that nobody touches do not
// exist.
#pragma once

#include <memory>
#include <new>
#include <vector>

#include <sys/mman.h>

#include <heed/core/view.hpp>

#include "tensors.hpp"

namespace support {

class spread {
public:
    explicit spread(std::size_t axis) : axis_(axis) {}
    spread(const spread&) = delete;
    spread& operator=(const spread&) = delete;

    // Zeros, (batch, head, position, feature).
    template <class T>
    heed::view<T> zeros(const std::array<long, 4>& extents) {
        heed::view<T> x;
        long length = 1;
        for (std::size_t axis = 4; axis-- > 0;) {
            x.extents[axis] = extents[axis];
            if (axis == axis_) continue;
            x.strides[axis] = length;
            length *= extents[axis];
        }
        const long steps = extents[axis_] - 1;
        x.strides[axis_] = steps > 0 ? std::max(length, ((1L << 31) + 8) / steps + 1) : length;
        const std::size_t bytes = static_cast<std::size_t>(x.strides[axis_] * steps + length) * sizeof(T);
        parts_.push_back(std::make_unique<part>(bytes));
        x.data = static_cast<T*>(parts_.back()->data);
        return x;
    }
    // A copy.
    template <class T>
    heed::view<T> of(const tensor<T>& t) {
        const auto x = zeros<T>({t.dimension(0), t.dimension(1), t.dimension(2), t.dimension(3)});
        for (long b = 0; b < t.dimension(0); ++b)
            for (long h = 0; h < t.dimension(1); ++h)
                for (long p = 0; p < t.dimension(2); ++p)
                    for (long f = 0; f < t.dimension(3); ++f) x(b, h, p, f) = t(b, h, p, f);
        return x;
    }

private:
    struct part {
        void* data;
        std::size_t bytes;
        explicit part(std::size_t n) : bytes(n) {
            data = ::mmap(nullptr, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
                          0);
            if (data == MAP_FAILED) throw std::bad_alloc();
        }
        part(const part&) = delete;
        part& operator=(const part&) = delete;
        ~part() { ::munmap(data, bytes); }
    };
    std::size_t axis_;
    std::vector<std::unique_ptr<part>> parts_;
};

// The elements in row-major order.
template <class T>
tensor<std::remove_const_t<T>> gathered(const heed::view<T>& x) {
    tensor<std::remove_const_t<T>> t(x.extents[0], x.extents[1], x.extents[2], x.extents[3]);
    for (long b = 0; b < x.extents[0]; ++b)
        for (long h = 0; h < x.extents[1]; ++h)
            for (long p = 0; p < x.extents[2]; ++p)
                for (long f = 0; f < x.extents[3]; ++f) t(b, h, p, f) = x(b, h, p, f);
    return t;
}

}  // namespace support
