// SPDX-License-Identifier: MIT
// heed/kernel/exact/backward_sums.hpp: the gradients of a bias, of slopes and of sinks
//
//     dbias = sum of dS over the axes it broadcasts along
//     dsink = -sum over queries of e^(sink - shift) factor delta
//
// A bias is as large as the scores or is a sum over them, so its gradient is a pass of its own, which works
// out the weights once more: two products beside the backward's five, and no memory. A task owns what it
// writes and adds in a fixed order, in double where there may be many terms.
#pragma once

#include <cmath>

#include <heed/core/device.hpp>
#include <heed/kernel/exact/backward_tile.hpp>

namespace heed::inline HEED_ABI::detail {

template <class E>
class bias_sums {
public:
    using problem = exact_problem<E>;
    using T = typename problem::T;

    bias_sums(const problem& p, const exact_gradients<E>& g, const gradient_leaves<E>& leaves,
              const row_numbers<T>& numbers, void* scratch = nullptr)
        : p_(p), g_(g), numbers_(numbers), tile_(p, g, leaves), arena_(scratch) {
        panel_ = tile_.panel_in(arena_, arena_.take<T>(panel_keys * tile_.key_row()));
        values_ = arena_.take<T>(panel_keys * tile_.value_row());
        m_ = tile_.scratch_in(arena_);
        ds_ = arena_.take<T>((p.queries < gradient_queries ? p.queries : gradient_queries) * panel_keys);
    }
    std::size_t bytes() const { return arena_.bytes(); }

    // One for each batch entry, head and panel of keys that the bias tells apart.
    index tasks() const {
        const auto& e = g_.bias.extents;
        return e[2] == 0 || e[3] == 0 ? 0 : e[0] * e[1] * panels();
    }
    void run(index task) {
        const index panel = task % panels();
        const index h = task / panels() % g_.bias.extents[1];
        const index b = task / panels() / g_.bias.extents[1];
        const bool each_query = g_.bias.extents[2] > 1;
        const index first = each_key() ? panel * panel_keys : 0;
        const index end = each_key() ? least(first + panel_keys, p_.keys) : p_.keys;
        const index columns = each_key() ? end - first : 1;
        double sums[panel_keys] = {};
        for (index q = 0; each_query && q < p_.queries; ++q)
            for (index k = 0; k < columns; ++k) *at(b, h, q, first + k) = 0;
        const index last_b = g_.bias.extents[0] > 1 ? b + 1 : p_.batch;
        const index last_h = g_.bias.extents[1] > 1 ? h + 1 : p_.heads;
        for (index i = b; i < last_b; ++i)
            for (index j = h; j < last_h; ++j)
                for (index key = first; key < end; key += panel_keys) add_panel(i, j, key, each_query, sums);
        for (index k = 0; !each_query && k < columns; ++k) *at(b, h, 0, first + k) = static_cast<T>(sums[k]);
    }

private:
    bool each_key() const { return g_.bias.extents[3] > 1; }
    index panels() const { return each_key() ? (p_.keys + panel_keys - 1) / panel_keys : 1; }
    T* at(index b, index h, index q, index k) const {
        const table<T>& t = g_.bias;
        return t.data + b * t.strides[0] + h * t.strides[1] + q * t.strides[2] + k * t.strides[3];
    }

    // Key panel against the queries of one head.
    void add_panel(index b, index h, index key, bool each_query, double (&sums)[panel_keys]) {
        bool loaded = false;
        for (index first = 0; first < p_.queries; first += gradient_queries) {
            const index count = least(p_.queries - first, gradient_queries);
            const index keys = least(p_.keys - key, panel_keys);
            const cover seen = p_.cover_of({b, h, first, first + count, key, key + keys});
            if (seen == cover::empty) continue;
            if (!loaded) tile_.load_keys(b, h / (p_.heads / p_.kv_heads), key, keys, panel_, values_);
            loaded = true;
            const index row = (b * p_.heads + h) * p_.queries + first;
            query_rows<T> q = tile_.load_queries(b, h, first, count, numbers_.from(row), m_);
            tile_.weigh(b, h, seen, q, panel_, m_, ds_, panel_keys);
            for (index r = 0; r < count; ++r) {
                const T* const ds = ds_ + r * panel_keys;
                double row_sum = 0;
                for (index k = 0; k < keys; ++k) {
                    if (each_query && each_key())
                        *at(b, h, first + r, key + k) += ds[k];
                    else if (each_key())
                        sums[k] += static_cast<double>(ds[k]);
                    else
                        row_sum += static_cast<double>(ds[k]);
                }
                if (each_key()) continue;
                if (each_query)
                    *at(b, h, first + r, 0) += static_cast<T>(row_sum);
                else
                    sums[0] += row_sum;
            }
        }
    }

    const problem& p_;
    const exact_gradients<E>& g_;
    row_numbers<T> numbers_;
    gradient_tile<E> tile_;
    arena arena_;
    key_panel<T> panel_;
    T* values_;
    tile_scratch<T> m_;
    T* ds_;
};

// One number for each head: a sink's from the numbers of the rows, a slope's from the sums that the sweep has
// left, (batch, head, key block).
template <class E, class T = typename exact_problem<E>::T>
void write_sinks(const exact_problem<E>& p, const exact_gradients<E>& g, const row_numbers<T>& numbers) {
    for (index h = 0; h < p.heads; ++h) {
        // Rounded as in the sums that it has joined.
        const double sink = static_cast<double>(kept_finite<T>(p.sink(p.program, h)));
        double sum = 0;
        for (index b = 0; b < p.batch; ++b)
            for (index i = 0; i < p.queries; ++i) {
                const index row = (b * p.heads + h) * p.queries + i;
                // The sink's weight is at most 1; where L is -inf, here +inf, there was none.
                const double shift = static_cast<double>(numbers.shift[row]);
                const double x = sink == shift ? 0 : sink - shift;
                if (!(x < -700))
                    sum -= std::exp(x < 0 ? x : 0) * static_cast<double>(numbers.factor[row]) *
                           static_cast<double>(numbers.delta[row]);
            }
        g.sink.data[h * g.sink.stride[3]] = static_cast<T>(sum);
    }
}
template <class E, class T = typename exact_problem<E>::T>
void write_slopes(const exact_problem<E>& p, const exact_gradients<E>& g, const double* slopes,
                  index key_blocks) {
    for (index h = 0; h < p.heads; ++h) {
        double sum = 0;
        for (index b = 0; b < p.batch; ++b)
            for (index i = 0; i < key_blocks; ++i) sum -= slopes[(b * p.heads + h) * key_blocks + i];
        g.slope.data[h * g.slope.stride[3]] = static_cast<T>(sum);
    }
}

}  // namespace heed::inline HEED_ABI::detail
