// SPDX-License-Identifier: MIT
// heed/kernel/dense/product.hpp: the dense product of two matrices of any strides
//
//     c = a b + bias,   or   c += a b + bias
//
// The terms of a number of c are taken in blocks of depth_block. Within a block they are added one after the
// other, from zero, by multiply-adds; bias and what is in c are added to the first block, in this order, and
// the later blocks to that, first to last:
//
//     ((c + (bias + block 0)) + block 1) + …
//
// So its bits depend on its row, its column and the depth, not on the other rows and columns, on strides or
// on threads: a row of a decode step has the bits of the same row in a prefill.
//
// Cost: rows x columns x depth multiply-adds. Memory: a strip of b and a few rows of a for each lane, up to
// half a MiB, whatever the size of the matrices.
#pragma once

#include <type_traits>

#include <heed/core/device.hpp>
#include <heed/core/workspace.hpp>
#include <heed/kernel/dense/kernels.hpp>
#include <heed/kernel/dense/plan.hpp>

namespace heed::inline HEED_ABI::detail {

// A call: what it is given, and its tiles.
template <class T>
class dense_product {
public:
    dense_product(const matrix<T>& c, const matrix<const T>& a, const matrix<const T>& b, const T* bias,
                  bool bias_of_rows, bool add, index lanes)
        : c_(c),
          a_(a),
          b_(b),
          bias_(bias),
          bias_of_rows_(bias_of_rows),
          add_(add),
          leaf_(dense_leaves_on_target<T>()),
          packs_rows_(a.column_stride != 1 && c.rows > 1) {
        const bool few = c.rows <= few_rows && b.column_stride == 1 && c.columns >= leaf_.column_panel;
        plan_ = plan_of(c.rows, a.columns, c.columns, sizeof(T), leaf_.row_panel, leaf_.column_panel, few,
                        packs_rows_, lanes);
    }

    index lanes() const { return plan_.lanes; }
    index tasks() const { return plan_.rows.parts * plan_.columns.parts; }
    // Of scratch for a lane.
    std::size_t bytes() const {
        arena counting;
        (void)buffers_in(counting);
        return cache_lines(counting.bytes());
    }

    void run(index task, void* scratch) const {
        arena here(scratch);
        const buffers s = buffers_in(here);
        const index high = task / plan_.columns.parts;
        const index wide = task % plan_.columns.parts;
        const index i = plan_.rows.begin(high);
        const index j = plan_.columns.begin(wide);
        const index rows = plan_.rows.begin(high + 1) - i;
        const index columns = plan_.columns.begin(wide + 1) - j;
        for (index k = 0; k < a_.columns; k += depth_block) {
            dense_block<T> block = block_at(i, j, k, rows, columns);
            if (plan_.few) {
                block.sums = s.columns;
                leaf_.multiply_few(block);
                continue;
            }
            leaf_.pack_columns(block.b, b_.column_stride, b_.row_stride, columns, block.terms, s.columns);
            for (index r = 0; r < rows; r += fetched_rows) {
                block = block_at(i + r, j, k, least(fetched_rows, rows - r), columns);
                block.b = s.columns;
                if (packs_rows_) {
                    leaf_.pack_rows(block.a, a_.row_stride, a_.column_stride, block.rows, block.terms,
                                    s.rows);
                    block.a = s.rows, block.a_panel = leaf_.row_panel * block.terms;
                    block.a_row = 1, block.a_step = leaf_.row_panel;
                } else if (r + fetched_rows < rows) {
                    block.soon = lines_of(i + r + fetched_rows, k, rows - r - fetched_rows);
                } else {
                    block.soon = lines_of(i, k + depth_block, rows);
                }
                leaf_.multiply(block);
            }
        }
    }

private:
    struct buffers {
        T* columns;  // panels of b, or sums
        T* rows;     // panels of a
    };
    buffers buffers_in(arena& scratch) const {
        const index terms = least(a_.columns, depth_block);
        buffers s;
        s.columns = scratch.take<T>((plan_.few ? c_.rows : terms) *
                                    rounded_up(plan_.columns.longest(), leaf_.column_panel));
        s.rows = packs_rows_ ? scratch.take<T>(terms * rounded_up(least(plan_.rows.longest(), fetched_rows),
                                                                  leaf_.row_panel))
                             : nullptr;
        return s;
    }

    dense_block<T> block_at(index i, index j, index k, index rows, index columns) const {
        const bool first = k == 0;
        return {a_.data + i * a_.row_stride + k * a_.column_stride,
                leaf_.row_panel * a_.row_stride,
                a_.row_stride,
                a_.column_stride,
                b_.data + k * b_.row_stride + j * b_.column_stride,
                b_.row_stride,
                least(depth_block, a_.columns - k),
                c_.data + i * c_.row_stride + j * c_.column_stride,
                c_.row_stride,
                c_.column_stride,
                rows,
                columns,
                bias_ == nullptr || !first ? nullptr : bias_ + (bias_of_rows_ ? i : j),
                bias_of_rows_,
                add_ || !first,
                nullptr};
    }

    // Rows of a that come next where they are read in place.
    memory_lines lines_of(index i, index k, index rows) const {
        if (k >= a_.columns || a_.column_stride != 1) return {};
        constexpr index unit = sizeof(T);
        return {reinterpret_cast<const char*>(a_.data + i * a_.row_stride + k), a_.row_stride * unit,
                least(depth_block, a_.columns - k) * unit, least(rows, fetched_rows)};
    }

    matrix<T> c_;
    matrix<const T> a_;
    matrix<const T> b_;
    const T* bias_;
    bool bias_of_rows_;
    bool add_;
    const dense_leaves<T>& leaf_;
    bool packs_rows_;
    dense_plan plan_;
};

// Sums of nothing.
template <class T>
void multiply_nothing(const matrix<T>& c, const T* bias, bool add) {
    for (index i = 0; i < c.rows; ++i)
        for (index j = 0; j < c.columns; ++j) {
            T& to = c.data[i * c.row_stride + j * c.column_stride];
            if (bias != nullptr)
                to = add ? to + bias[j] : bias[j];
            else if (!add)
                to = 0;
        }
}

// c = a b, or c += a b when `add`; with `bias` (c.columns numbers, or null) added to every row. c overlaps
// none of the others. Scratch comes from `scratch`.
template <class T>
void multiply(const matrix<T>& c, const std::type_identity_t<matrix<const T>>& a,
              const std::type_identity_t<matrix<const T>>& b, const std::type_identity_t<T>* bias, bool add,
              device_ref device, workspace& scratch) {
    if (c.rows == 0 || c.columns == 0) return;
    if (a.columns == 0) return multiply_nothing(c, bias, add);
    const index lanes = device.lanes();
    // Lanes run along the columns: there should be a pack of them at least, neighbours in c.
    const bool transposes =
        c.rows > few_rows && (c.columns <= 4 || (c.row_stride == 1 && c.column_stride != 1));
    const dense_product<T> product =
        transposes ? dense_product<T>(transposed(c), transposed(b), transposed(a), bias, true, add, lanes)
                   : dense_product<T>(c, a, b, bias, false, add, lanes);
    const std::size_t each = product.bytes();
    char* const base = static_cast<char*>(scratch.reserve(each * static_cast<std::size_t>(product.lanes())));
    for_each_task(device, product.lanes(), product.tasks(), [&](index lane, index task) {
        product.run(task, base + each * static_cast<std::size_t>(lane));
    });
}
HEED_ONCE_FOR_SUMS(multiply);

}  // namespace heed::inline HEED_ABI::detail
