// SPDX-License-Identifier: MIT
// heed/kernel/layers/leaves.hpp: what a target compiles for the layers around attention
//
// Rows stand one behind the other, `width` numbers each. A row's bits depend on the row alone.
#pragma once

#include <heed/kernel/elementwise/rows.hpp>
#include <heed/score/dropout.hpp>

namespace heed::inline HEED_ABI::detail {

// Mean, in two numbers, and 1 / deviation of each row: where the mean is large, what it is rounded to is
// not small against the deviation.
template <class T>
struct row_statistics {
    T* mean;
    T* mean_rest;
    T* inverse;
    row_statistics from(index row) const { return {mean + row, mean_rest + row, inverse + row}; }
};

template <class T>
struct norm_leaves {
    // y = (x - mean) / deviation gain + offset; the deviation is sqrt(variance + epsilon).
    void (*forward)(const T* x, index rows, index width, const T* gain, const T* offset, T epsilon, T* y,
                    const row_statistics<T>& statistics);
    // dx, and the sums over the rows of dy x' and dy, which are added to; x' is x normalised.
    void (*backward)(const T* dy, const T* x, const row_statistics<T>& statistics, index rows, index width,
                     const T* gain, T* dx, T* d_gain, T* d_offset);
};

// Batch norm; statistics are one number for each feature. x' = ((x - mean) - rest) inverse.
template <class T>
struct batch_norm_leaves {
    element_leaf<T> moments;  // {x, mean, s, q} -> {s, q} + (x - mean), (x - mean)^2
    // {x, mean, rest, scale, offset}, eta -> y = ((x - mean) - rest) scale + offset + eta x
    // {…, z}, eta, lambda -> lambda z + (1 - lambda) y
    element_leaf<T> output[2];
    element_leaf<T> sums;  // {dy, x, mean, rest, inverse, s, p} -> {s, p} + dy, dy x'
    // {dy, x, mean, rest, inverse, scale, m, slope}, eta -> scale ((dy - m) - x' slope) + eta dy
    // {…, d}, eta -> d + that
    element_leaf<T> gradient[2];
};

// to += the rows of x, first to last.
template <class T>
using sum_rows_leaf = void (*)(const T* x, index rows, index stride, index width, T* to);

// The functions between the two products of a feed-forward layer.
template <class T>
struct activation_leaves {
    element_leaf<T> gelu;           // {x} -> {f(x)}
    element_leaf<T> gelu_gradient;  // {d, x} -> {d f'(x)}
    element_leaf<T> relu;
    element_leaf<T> relu_gradient;
    element_leaf<T> gated_relu;           // {up, gate} -> {up relu(gate)}
    element_leaf<T> gated_relu_gradient;  // {d, up, gate} -> {d_up, d_gate}
};

template <class T>
struct branch_leaves {
    element_leaf<T> add;  // {x, branch} -> {x + branch}
    // y = drop(branch), or x + that; rows are queries from `first` on, numbers of a row are keys.
    void (*drop)(const dropout_option::kept& keep, T factor, index first, const T* x, const T* branch,
                 index rows, index width, T* y);
};

// Of one row of logits, the largest and the sum of e^(x - largest); with d, its share of the gradient,
// share (softmax - one at the target). d may be x.
template <class T>
using softmax_loss_leaf = void (*)(const T* x, index n, index target, T share, T* d, T& largest, T& sum);

}  // namespace heed::inline HEED_ABI::detail
