// SPDX-License-Identifier: MIT
// heed/kernel/linear/problem.hpp: what the linear kernels work on, and the leaves that a target compiles for
// them
//
// A chunk of positions is a handful of small matrix products with element-by-element work between them.
// The walk over chunks is written and compiled once; products and rows are compiled for each target.
#pragma once

#include <array>
#include <limits>

#include <heed/kernel/linear/products.hpp>
#include <heed/math.hpp>

namespace heed::inline HEED_ABI::detail {

// A logarithm of a decay below this is 0 to every type; sums of them stay exact enough.
inline constexpr double min_log_decay = -1e4;

// The maps of features: `rows` rows of inputs to rows of features, and their gradients back.
template <class T>
using feature_map_function = void (*)(const void* context, const T* from, index from_row, T* to, index to_row,
                                      index rows, index features);
// dx from dphi, with x and phi(x); dphi may be overwritten.
template <class T>
using feature_gradient_function = void (*)(const void* context, const T* x, index x_row, const T* phi,
                                           T* dphi, index phi_row, T* dx, index dx_row, index rows,
                                           index features);

// Sums of logarithms of decays from a chunk's start, each in two parts, so that differences of large sums
// keep the digits of a single step.
template <class T>
struct log_sums {
    const T* high;
    const T* low;
};

// The logarithms of a chunk's decays by feature and its keys; what becomes of them
// (kernel/linear/decays.hpp).
template <class T>
struct decay_steps {
    const T* steps;      // (position, feature)
    const T* low_steps;  // what they lack of more digits, or null
    const T* keys;
    index row;
    index rows;
    index n;
    T* since;
    T* until;
    T* near_keys;
    T* sums;       // scratch, two rows
    T* crossings;  // (segment, feature)
    index* starts;
};

// The exponents of a chunk's keys by feature; what becomes of them (kernel/linear/exponents-inl.hpp).
template <class T>
struct exponent_rows {
    const T* exponents;  // (position, feature)
    index row;
    index rows;
    index n;
    T* near_keys;
    T* references;  // (segment, feature)
    T* crossings;
    index* starts;
};

// Exponents are held within so much, so that sums of a few of them stay numbers.
template <class T>
inline constexpr T max_exponent = (std::numeric_limits<T>::max)() / 64;
// The reference of a state that has seen nothing.
template <class T>
inline constexpr T no_exponent = -6 * max_exponent<T>;

// The softmax over positions of one head, (feature) each: with the largest key and the sum known, a key's
// feature is e^(x - max) inverse; its gradient needs the mean of dphi under the softmax.
template <class T>
struct column_context {
    T* max;
    T* inverse;
    T* mean;
};

template <class E>
struct linear_leaves {
    using T = std::conditional_t<std::is_same_v<E, double>, double, float>;

    int pack_lanes;
    void (*widen)(const E* from, index row_stride, index stride, index rows, index n, T* to, index to_stride);
    // Rows times a number each (nullptr: as they are) to storage elements.
    void (*write)(const T* from, index from_row, const T* factor, index rows, index n, E* to,
                  index row_stride, index stride);
    void (*write_sums)(const T* from, index from_row, const T* factor, index rows, index n, T* to,
                       index row_stride, index stride);
    void (*transpose)(const T* from, index from_stride, T* to, index to_stride, const T* factor);

    void (*multiply)(const matrix_product<T>&);
    // Only the terms up to the row's own index (lower), or from it (upper): a is a triangle.
    void (*multiply_lower)(const matrix_product<T>&);
    void (*multiply_upper)(const matrix_product<T>&);
    // Only the columns up to the row's own index: c is a triangle.
    void (*multiply_to_lower)(const matrix_product<T>&);
    // x = (I + L)^-1 x and (I + L^T)^-1 x, L strictly lower; count = rows, x in c, L in a.
    void (*solve_lower)(const matrix_product<T>&);
    void (*solve_upper)(const matrix_product<T>&);

    // s = s + x, and with a compensation kept beside it (Kahan): nothing drifts over a million chunks.
    void (*accumulate)(T* s, T* lost, const T* x, index n);
    // Row r: s = factor[r] s + x; a null x adds nothing.
    void (*decay_rows)(T* s, index row, const T* factor, const T* x, index rows, index columns);
    void (*walk_state)(const state_walk<T>&);
    // e^g of n steps, and products of two rows.
    void (*decays_of_steps)(const T* logs, index n, T* to);
    void (*multiply_elements)(const T* x, const T* y, index n, T* to);
    // Rows times a number each, in place or elsewhere.
    void (*scale_rows)(const T* x, T* to, index row, const T* factor, index rows, index n);
    // a_ij *= e^(b_i - b_j) for j <= i (strictly below with `strict`), times row_factor[i] if given.
    void (*decay_lower)(T* a, index row, index rows, const T* high, const T* low);
    // to_i = e^(b_i - from), `from` one number.
    void (*decay_factors)(const log_sums<T>& b, const log_sums<T>& from, index n, T* to);
    // How many segments.
    index (*segment_decays)(const decay_steps<T>&);
    index (*segment_exponents)(const exponent_rows<T>&);
    // Row i: x = x + shift[i], x held within max; what stands behind n is far below all.
    void (*shift_rows)(T* x, index row, const T* shift, index rows, index n, T max);
    // near = e^(x + reference - s), of_state = e^(x + shift - s), s the row's largest x + reference or level.
    void (*relative_queries)(const T* x, const T* reference, const T* level, const T* shift, index row,
                             index rows, index n, T* since, T* of_state);
    // to = x y v w, y by elements, v and w the same for all rows; those that are null are 1.
    void (*scale_elements)(const T* x, const T* y, const T* v, const T* w, index row, index rows, index n,
                           T* to);
    // The first columns of each row times the row's number.
    void (*scale_columns)(T* x, index row, const T* factor, index rows, index columns);
    // total[i] = sum over f of q_if z_if, z the running sum of the keys over start.
    void (*normalisers)(const T* q, const T* k, index row, index rows, index n, const T* start, T* total);
    // x_i += factor[i] z_i, with the same z.
    void (*add_running)(T* x, const T* k, index row, index rows, index n, const T* start, const T* factor);
    // Row i of a triangle, up to its own column: x = factor[i] x + added[i]; a null `added` is 0.
    void (*scale_lower)(T* x, index row, const T* factor, const T* added, index rows);
    // sum += x y, element by element, times sign.
    void (*add_products)(const T* x, const T* y, index n, T sign, T* sum);
    // r[i] = sum over f of x_if y_f
    void (*multiply_row)(const T* x, index row, const T* y, index rows, index n, T* r);
    // r[i] = sum over f of x_if y_if
    void (*row_products)(const T* x, const T* y, index row, index rows, index n, T* r);

    // Row i: x = e^(x + shift[i]) factor, or with `largest` e^(x - the largest x of the row) factor.
    void (*exponentials)(T* x, index row, const T* shift, T factor, bool largest, index rows, index n);
    // Column by column: the largest number and the sum of e^(x - largest) of the rows so far.
    void (*scan_columns)(const T* x, index row, index rows, index n, T* max, T* sum);

    feature_map_function<T> elu1;
    feature_gradient_function<T> elu1_gradient;
    feature_map_function<T> relu;
    feature_gradient_function<T> relu_gradient;
    feature_map_function<T> softmax;
    feature_gradient_function<T> softmax_gradient;
    feature_map_function<T> columns;  // of a column_context
    feature_gradient_function<T> columns_gradient;
};

// Rows times a factor each (nullptr: as they are) to positions from `first` on of a head.
template <class E, class T>
void write_to(const stored_or_sum<E, T>& y, const linear_leaves<E>& leaves, index b, index h, index first,
              const T* rows, index row, const std::type_identity_t<T>* factor, index count, index n) {
    if (y.sums.data != nullptr)
        leaves.write_sums(rows, row, factor, count, n, y.sums.row(b, h, first), y.sums.stride[2],
                          y.sums.stride[3]);
    else
        leaves.write(rows, row, factor, count, n, y.stored.row(b, h, first), y.stored.stride[2],
                     y.stored.stride[3]);
}

// Numbers of a head by position: decays (n = 1, or one for each feature) and betas.
struct number_source {
    const void* context = nullptr;
    // Features [feature, feature + n) of positions [first, first + rows), row by row.
    void (*read)(const void* context, index b, index h, index first, index rows, index feature, index n,
                 double* to) = nullptr;
    // The numbers where they stand, of `size` bytes each, and the steps from one to the next of an axis.
    const void* data = nullptr;
    std::size_t size = 0;
    index stride[4] = {0, 0, 0, 0};

    // The features of one position, where they stand side by side as numbers of T.
    template <class T>
    const T* row(index b, index h, index position) const {
        if (data == nullptr || size != sizeof(T) || stride[3] != 1) return nullptr;
        return static_cast<const T*>(data) + b * stride[0] + h * stride[1] + position * stride[2];
    }
    // The same for all features, to rows of floats; null where a float does not hold them.
    void (*read_floats)(const void* context, index b, index h, index first, index rows, index n, float* to,
                        index to_row) = nullptr;
};

template <class T>
struct feature_map_leaf {
    const void* context = nullptr;
    std::size_t head_bytes = 0;             // a head's own context stands this far from the one before
    feature_map_function<T> map = nullptr;  // nullptr: features are the inputs
    feature_gradient_function<T> gradient = nullptr;

    const void* of_head(index head) const {
        return static_cast<const char*>(context) + head_bytes * static_cast<std::size_t>(head);
    }
};

enum class decay_of { nothing, head, feature };

// A call of linear attention, forward.
template <class E>
struct linear_problem {
    using T = typename linear_leaves<E>::T;

    strided<const E> q;
    strided<const E> k;
    strided<const E> v;
    stored_or_sum<E, T> y;
    index batch = 0;
    index heads = 0;
    index kv_heads = 0;
    index queries = 0;
    index keys = 0;
    index inputs = 0;          // features of q and k
    index features = 0;        // after the map
    index value_features = 0;  // of v and y
    bool causal = false;
    bool normalised = true;
    T scale = 1;
    feature_map_leaf<T> query_map;
    feature_map_leaf<T> key_map;
    decay_of decays = decay_of::nothing;
    number_source decay;
    bool delta = false;
    number_source beta;
    bool over_positions = false;  // the key features are a softmax over positions
    index random_features = 0;    // or this many random ones, of this seed
    std::uint64_t seed = 0;
    bool relative = false;       // features are exponents, relative to the largest so far (relative.hpp)
    bool coded_initial = false;  // the initial state may hold rows in the form of relative.hpp
    strided<const T> initial;    // (batch, kv_head, feature, value feature), a null one is zero
    strided<T> last;
    // The references h of relative features apart, (batch, kv_head, feature, 1), the states then sums over
    // e^h as they are, for a state that is read again bit by bit.
    strided<const T> initial_shift;
    strided<T> last_shift;

    // What rows are multiplied by for <q, z>, to which 1e-10 is added; relative features sum to at least
    // about 1, or to 0 where there were no keys. A scale is for what is not normalised: here it would cancel.
    T inverse_of(T total) const {
        return relative ? (total == 0 ? T(0) : T(1) / total) : T(1) / (total + T(1e-10));
    }
    index group() const { return kv_heads == 0 ? 0 : heads / kv_heads; }
    // A chunk's state is scaled before what it adds comes to it.
    bool scaled() const { return relative || decays != decay_of::nothing; }
    // Where z is scaled, too, it stands as one more column of the values, which are 1 there.
    bool ones() const { return normalised && scaled(); }
    bool separate() const { return normalised && !ones(); }
    index columns() const { return value_features + (ones() ? 1 : 0); }
    // Of a state outside: z stands in its last column.
    index state_columns() const { return value_features + (normalised ? 1 : 0); }
    std::array<index, 4> state_extents() const { return {batch, kv_heads, features, state_columns()}; }
};

}  // namespace heed::inline HEED_ABI::detail
