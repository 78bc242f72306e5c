// SPDX-License-Identifier: MIT
// bench/dense.hpp: a dense product of float matrices, as layers ask for it
//
// It has no queries, keys and values, so it is no variant; figures.cpp measures it by itself. White noise
// will do: its time does not depend on the values.
#pragma once

#include <functional>
#include <random>
#include <string>
#include <vector>

#include <heed/kernel/dense/product.hpp>
#include <heed/thread_pool.hpp>

#include "problem.hpp"

namespace heed_bench {

// What of c = a b is stored transposed: nothing (a projection), a (the gradient of its weights) or b (that of
// its input).
enum class transposed_factor { none, left, right };

class dense_call {
public:
    dense_call(size rows, size depth, size columns, transposed_factor which)
        : which_(which),
          rows_(rows),
          depth_(depth),
          columns_(columns),
          a_(noise(rows * depth)),
          b_(noise(depth * columns)),
          c_(std::size_t(rows * columns)) {}

    void run(const heed::thread_pool& pool) {
        using heed::detail::matrix;
        const matrix<float> c{c_.data(), rows_, columns_, columns_, 1};
        matrix<const float> a{a_.data(), rows_, depth_, depth_, 1};
        matrix<const float> b{b_.data(), depth_, columns_, columns_, 1};
        if (which_ == transposed_factor::left) a.row_stride = 1, a.column_stride = rows_;
        if (which_ == transposed_factor::right) b.row_stride = 1, b.column_stride = depth_;
        heed::detail::multiply(c, a, b, nullptr, false, heed::detail::device_ref(pool), memory_);
    }
    double flops() const { return 2.0 * double(rows_) * double(depth_) * double(columns_); }
    double bytes() const {
        return 4.0 * (double(rows_) * double(depth_ + columns_) + double(depth_) * double(columns_));
    }
    // dense a^T b 768x512x3072: rows, depth and columns.
    std::string name() const {
        const char* const factors[] = {"dense a b ", "dense a^T b ", "dense a b^T "};
        return factors[int(which_)] + std::to_string(rows_) + "x" + std::to_string(depth_) + "x" +
               std::to_string(columns_);
    }

private:
    static std::vector<float> noise(size count) {
        static std::mt19937 random(1);
        std::uniform_real_distribution<float> uniform(-1, 1);
        std::vector<float> x(std::size_t(count), 0.0f);
        for (float& value : x) value = uniform(random);
        return x;
    }

    transposed_factor which_;
    size rows_, depth_, columns_;
    std::vector<float> a_, b_, c_;
    heed::workspace memory_;
};

}  // namespace heed_bench
