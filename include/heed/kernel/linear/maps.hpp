// SPDX-License-Identifier: MIT
// heed/kernel/linear/maps.hpp: feature maps that make other features than one of each number
//
//     taylor      1, x d^-1/4, x_i x_j d^-1/2 (the squares over sqrt 2): products are 1 + s + s^2 / 2
//     favor       e^(<w, x> - |x|^2 / 2 - h) / sqrt(count), x over d^1/4; w in orthogonal directions, with
//                 the lengths of normal vectors. h >= 0 is the same for all keys and keeps the largest
//                 feature finite; a normalised query takes its own largest exponent instead
#pragma once

#include <cmath>
#include <cstdint>

#include <heed/core/workspace.hpp>
#include <heed/kernel/linear/chunk.hpp>

namespace heed::inline HEED_ABI::detail {

inline index taylor_features(index d) { return 1 + d + d * (d + 1) / 2; }

template <class T>
void taylor_map(const void*, const T* from, index from_row, T* to, index to_row, index rows, index d) {
    const double root = 1 / std::sqrt(static_cast<double>(d));
    const T first = static_cast<T>(std::sqrt(root));
    const T mixed = static_cast<T>(root);
    const T square = static_cast<T>(root * std::sqrt(0.5));
    for (index r = 0; r < rows; ++r, from += from_row, to += to_row) {
        T* next = to;
        *next++ = 1;
        for (index i = 0; i < d; ++i) *next++ = from[i] * first;
        for (index i = 0; i < d; ++i) {
            *next++ = from[i] * from[i] * square;
            for (index j = i + 1; j < d; ++j) *next++ = from[i] * from[j] * mixed;
        }
        while (next < to + to_row) *next++ = 0;
    }
}
template <class T>
void taylor_gradient(const void*, const T* x, index x_row, const T*, T* dphi, index phi_row, T* dx,
                     index dx_row, index rows, index d) {
    const double root = 1 / std::sqrt(static_cast<double>(d));
    const T first = static_cast<T>(std::sqrt(root));
    const T mixed = static_cast<T>(root);
    const T square = static_cast<T>(root * std::sqrt(2.0));
    for (index r = 0; r < rows; ++r, x += x_row, dphi += phi_row, dx += dx_row) {
        const T* next = dphi + 1;
        for (index i = 0; i < d; ++i) dx[i] = first * *next++;
        for (index i = 0; i < d; ++i) {
            dx[i] += square * x[i] * *next++;
            for (index j = i + 1; j < d; ++j, ++next) {
                dx[i] += mixed * x[j] * *next;
                dx[j] += mixed * x[i] * *next;
            }
        }
    }
}

// Normal numbers from a seed, two at a time (Box and Muller).
class normal_numbers {
public:
    explicit normal_numbers(std::uint64_t seed) : state_(seed) {}
    double next() {
        if (spare_left_) {
            spare_left_ = false;
            return spare_;
        }
        const double length = std::sqrt(-2 * std::log(uniform()));
        const double angle = 6.283185307179586 * uniform();
        spare_ = length * std::sin(angle);
        spare_left_ = true;
        return length * std::cos(angle);
    }

private:
    // In (0, 1]: the mixing steps of SplitMix64.
    double uniform() {
        state_ += 0x9e3779b97f4a7c15u;
        std::uint64_t z = state_;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        z ^= z >> 31;
        return (static_cast<double>(z >> 11) + 1) * 0x1p-53;
    }

    std::uint64_t state_;
    double spare_ = 0;
    bool spare_left_ = false;
};

// The directions of a call and what its maps need; stands in the call's workspace.
template <class E>
struct favor_context {
    using T = typename linear_problem<E>::T;
    const linear_leaves<E>* leaf;
    T* rows;     // (count, input), over d^1/4
    T* columns;  // (input, count)
    index input_row;
    index feature_row;
    index count;
    T half_root;  // 1 / (2 sqrt d)
    T half_log_count;
    T shift;  // h
    bool largest;
    bool exponents;  // logarithms of features, and gradients of these
};

// `count` directions in groups of d that are orthogonal, each with the length of a normal vector of its own.
template <class E, class T>
void draw_directions(favor_context<E>& c, index d, std::uint64_t seed) {
    normal_numbers normal(seed);
    const double root = std::pow(static_cast<double>(d), -0.25);
    double max = 0;
    for (index m = 0; m < c.count; ++m) {
        T* const row = c.rows + m * c.input_row;
        const index group = m - m % d;
        double length = 0;
        for (index f = 0; f < c.input_row; ++f) row[f] = f < d ? static_cast<T>(normal.next()) : T(0);
        for (int twice = 0; twice < 2; ++twice)
            for (index other = group; other < m; ++other) {
                const T* const o = c.rows + other * c.input_row;
                double product = 0;
                double square = 0;
                for (index f = 0; f < d; ++f) {
                    product += static_cast<double>(row[f]) * static_cast<double>(o[f]);
                    square += static_cast<double>(o[f]) * static_cast<double>(o[f]);
                }
                for (index f = 0; f < d; ++f)
                    row[f] = static_cast<T>(static_cast<double>(row[f]) -
                                            product / square * static_cast<double>(o[f]));
            }
        double wanted = 0;
        for (index f = 0; f < d; ++f) {
            const double x = normal.next();
            wanted += x * x;
            length += static_cast<double>(row[f]) * static_cast<double>(row[f]);
        }
        max = wanted > max ? wanted : max;
        const double factor = std::sqrt(wanted / length) * root;
        for (index f = 0; f < d; ++f) row[f] = static_cast<T>(static_cast<double>(row[f]) * factor);
    }
    for (index f = 0; f < c.input_row; ++f)
        for (index m = 0; m < c.feature_row; ++m)
            c.columns[f * c.feature_row + m] = m < c.count ? c.rows[m * c.input_row + f] : T(0);
    // An exponent is at most |w|^2 / 2, reached where x is w itself.
    c.shift = static_cast<T>(max / 2 > 40 ? max / 2 - 40 : 0);
    c.half_log_count = static_cast<T>(0.5 * std::log(static_cast<double>(c.count)));
    c.half_root = static_cast<T>(0.5 / std::sqrt(static_cast<double>(d)));
}

template <class E, class T = typename linear_problem<E>::T>
void favor_map(const void* context, const T* from, index from_row, T* to, index to_row, index rows,
               index inputs) {
    const auto& c = *static_cast<const favor_context<E>*>(context);
    T shift[chunk_positions];
    c.leaf->multiply(
        {from, from_row, 1, c.columns, c.feature_row, to, to_row, rows, inputs, to_row / c.leaf->pack_lanes});
    c.leaf->row_products(from, from, from_row, rows, inputs, shift);
    for (index r = 0; r < rows; ++r) shift[r] = -shift[r] * c.half_root - c.shift;
    if (c.exponents) {
        const T min = -2 * max_exponent<T>;
        for (index r = 0; r < rows; ++r) shift[r] = (shift[r] < min ? min : shift[r]) - c.half_log_count;
        c.leaf->shift_rows(to, to_row, shift, rows, c.count, max_exponent<T>);
        return;
    }
    c.leaf->exponentials(to, to_row, shift, static_cast<T>(1 / std::sqrt(static_cast<double>(c.count))),
                         c.largest, rows, c.count);
}
// The largest exponent of a normalised query cancels: it is a constant here.
template <class E, class T = typename linear_problem<E>::T>
void favor_gradient(const void* context, const T* x, index x_row, const T* phi, T* dphi, index phi_row, T* dx,
                    index dx_row, index rows, index inputs) {
    const auto& c = *static_cast<const favor_context<E>*>(context);
    T sums[chunk_positions];
    for (index i = 0; !c.exponents && i < rows * phi_row; ++i) dphi[i] *= phi[i];
    c.leaf->multiply(
        {dphi, phi_row, 1, c.rows, c.input_row, dx, dx_row, rows, c.count, dx_row / c.leaf->pack_lanes});
    for (index r = 0; r < rows; ++r) {
        sums[r] = 0;
        for (index m = 0; m < c.count; ++m) sums[r] += dphi[r * phi_row + m];
        for (index f = 0; f < inputs; ++f) dx[r * dx_row + f] -= 2 * c.half_root * sums[r] * x[r * x_row + f];
    }
}

}  // namespace heed::inline HEED_ABI::detail
