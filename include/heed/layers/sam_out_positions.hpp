// SPDX-License-Identifier: MIT
// heed/layers/sam_out_positions.hpp: rows of a table of positions, joined to the input of a SamOut layer
//
//     z = [p; x] W_join,   p(t) = table[t mod P] (+ table[t / P] where t >= P),   t < P^2
#pragma once

#include <heed/kernel/layers/row_blocks.hpp>
#include <heed/layers/projection.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
struct sam_out_positions {
    index width_ = 0;
    bool joins_ = false;

    // The table of positions of a call, (rows, width), or nothing; and where the call's first position is.
    struct call_positions {
        const dense_rows<const T>* table = nullptr;
        index first = 0;
    };

    void check_table(std::string_view f, const call_positions& p, index positions) const {
        if (p.table == nullptr) {
            if (joins_) fail(f, {"this layer joins positions; needs their table behind x"});
            return;
        }
        if (!joins_) fail(f, {"this layer joins no positions; give .positions = true in its config"});
        const dense_rows<const T>& t = *p.table;
        check_width(f, "positions", t.width, width_);
        if (t.batch != 1) fail(f, {"positions has ", t.batch, " batch entries, needs 1"});
        if (positions > 0 && (t.positions == 0 || (p.first + positions - 1) / t.positions >= t.positions))
            fail(f, {"reaches position ", p.first + positions, ", a table of ", t.positions, " rows serves ",
                     t.positions * t.positions});
    }
    // The halves of the join's weight: what multiplies positions, and x.
    template <class W>
    auto half(W& join, index which) const {
        auto m = matrix_of(join.weight);
        m.rows = width_;
        m.data += which * width_ * m.row_stride;
        return m;
    }
    // z = p W_0 + x W_1, p(t) = table[t mod P] + (table[t / P] where t >= P); `position_rows` holds p and its
    // product.
    template <class... Options>
    void join(const projection_parameters<T>& w, const dense_rows<const T>& x, const call_positions& p,
              T* position_rows, const dense_rows<T>& z, workspace& scratch, const Options&... options) const {
        const index width = width_, P = p.table->positions;
        const dense_rows<T> summed{position_rows, 1, x.positions, width};
        const dense_rows<T> product{position_rows + x.positions * width, 1, x.positions, width};
        for (index i = 0; i < x.positions; ++i) {
            const index t = p.first + i;
            T* const to = summed.data + i * width;
            copy(p.table->data + t % P * width, to, width);
            if (t >= P) add_rows(to, to, p.table->data + t / P * width, 1);
        }
        multiply<T>(product.as_matrix(), summed.as_matrix(), half(w, 0), nullptr, false,
                    device_of(options...), scratch);
        for (index b = 0; b < x.batch; ++b)
            copy(product.data, z.data + b * x.positions * width, x.positions * width);
        multiply<T>(z.as_matrix(), x.as_matrix(), half(w, 1), nullptr, true, device_of(options...), scratch);
    }
    // to = a + b, rows of the layer's width.
    void add_rows(T* to, const T* a, const T* b, index count) const {
        const index width = width_;
        const element_rows<const T> in[] = {{a, width}, {b, width}};
        const element_rows<T> out[] = {{to, width}};
        branch_leaves_on_target<T>().add(in, out, nullptr, count, width);
    }

    template <class Tape, class... Options>
    void backward(const projection_parameters<T>& w, const backward_rows<T>& r, Tape& kept,
                  projection_parameters<T>& g, workspace& scratch, const Options&... options) const {
        const index width = width_, count = r.x.positions, P = r.second->positions;
        const dense_rows<const T> dz = rows_in(std::as_const(kept.dz));
        multiply_backward<T>(r.dx.as_matrix(), false, half(g, 1), nullptr, dz.as_matrix(), r.x.as_matrix(),
                             half(w, 1), device_of(options...), scratch);
        // Every batch entry read the same positions.
        fit(kept.d_position_rows, index{2}, count, width);
        T* const sum = kept.d_position_rows.data();
        T* const d_position_rows = sum + count * width;
        clear(sum, count * width);
        for (index b = 0; b < r.x.batch; ++b) add_rows(sum, sum, dz.data + b * count * width, count);
        const dense_rows<const T> dq{sum, 1, count, width};
        multiply_backward<T>(dense_rows<T>{d_position_rows, 1, count, width}.as_matrix(), false, half(g, 0),
                             nullptr, dq.as_matrix(),
                             dense_rows<const T>{kept.position_rows.data(), 1, count, width}.as_matrix(),
                             half(w, 0), device_of(options...), scratch);
        for (index t = 0; t < count; ++t) {
            const auto add = [&](index row) {
                T* const to = r.d_second->data + row * width;
                add_rows(to, to, d_position_rows + t * width, 1);
            };
            add(t % P);
            if (t >= P) add(t / P);
        }
    }
};

}  // namespace heed::inline HEED_ABI::detail
