// SPDX-License-Identifier: MIT
// heed/layers/residual_block.hpp: a branch of a layer, the sum with what went around it, and the norm
//
//     after      y = norm(x + drop(branch(x)))            as in the first transformers
//     before     y = x + drop(branch(norm(x)))            what goes around stays untouched: deep stacks
//
// Cost beside the branch: two passes over the rows forward, four backward.
#pragma once

#include <heed/layers/layer_norm.hpp>
#include <heed/layers/layer_options.hpp>
#include <heed/layers/residual.hpp>

namespace heed::inline HEED_ABI {

enum class norm_place { before, after };

// What a block's backward reads, and rows it works in.
template <class T>
struct residual_block_tape {
    using rows = Eigen::Tensor<T, 3, Eigen::RowMajor>;  // (batch, position, width)
    rows inner{0, 0, 0};                                // norm(x), or x + drop(branch(x))
    rows d_inner{0, 0, 0}, d_branch{0, 0, 0};
    layer_norm_tape<T> norm;
    norm_place where = norm_place::after;  // in the layer of the forward
};

namespace detail {

template <class T>
struct residual_block {
    using rows = dense_rows<T>;
    using const_rows = dense_rows<const T>;
    using tape = residual_block_tape<T>;

    norm_place where = norm_place::after;
    index dropout_site = 0;  // among those of the layer
    layer_norm_parts<T> norm;

    // Refuses a tape of another block, or of a forward of other rows.
    void check_tape(std::string_view f, const tape& kept, const const_rows& x) const {
        const auto name = [](norm_place at) { return at == norm_place::before ? "before" : "after"; };
        if (kept.where != where)
            fail(f, {"tape holds a forward with norms ", name(kept.where),
                     " the branches, this layer has them ", name(where)});
        const auto& inner = kept.inner;
        if (inner.dimension(0) != x.batch || inner.dimension(1) != x.positions ||
            inner.dimension(2) != x.width)
            fail(f, {"tape holds a forward of ", inner.dimension(0), " x ", inner.dimension(1),
                     " positions of a width of ", inner.dimension(2), ", needs ", x.batch, " x ", x.positions,
                     " of ", x.width});
        norm.check_tape(f, kept.norm, x.rows());
    }

    // branch(to, from) writes the branch's rows.
    template <class Branch, class... Options>
    void run_forward(std::string_view f, const layer_norm_parameters<T>& w, const rows& y,
                     const const_rows& x, tape* kept, workspace& scratch, const Branch& branch,
                     const Options&... options) const {
        call_rows taken(scratch);
        if (kept != nullptr) kept->where = where;
        const rows inner{tape_or_scratch(kept, &tape::inner, taken, x.batch, x.positions, x.width), x.batch,
                         x.positions, x.width};
        const auto normalise = [&](const rows& to, const const_rows& from) {
            norm.run_forward(f, w, {to, from}, part_of(kept, &tape::norm), scratch, options...);
        };
        if (where == norm_place::before) {
            normalise(inner, x);
            branch(y, const_rows(inner));
            add_branch(y, x, y, dropout_site, options...);
        } else {
            branch(inner, x);
            add_branch(inner, x, inner, dropout_site, options...);
            normalise(y, inner);
        }
    }

    // branch_back(d_from, d_to, from) writes d_from.
    template <class Branch, class... Options>
    void run_backward(std::string_view f, const layer_norm_parameters<T>& w, layer_norm_parameters<T>& g,
                      const rows& dx, const const_rows& dy, const const_rows& x, tape& kept,
                      workspace& scratch, const Branch& branch_back, const Options&... options) const {
        fit(kept.d_inner, x.batch, x.positions, x.width);
        const rows d_inner = rows_in(kept.d_inner);
        const const_rows inner = rows_in(std::as_const(kept.inner));
        const auto normalise_back = [&](const rows& to, const const_rows& d, const const_rows& from) {
            norm.run_backward(f, w, {to, nullptr, d, from}, kept.norm, g, scratch, options...);
        };
        const auto dropped = [&](const const_rows& d) {
            if constexpr (count_of<option_kind::dropout, Options...> == 0) {
                return d;
            } else {
                fit(kept.d_branch, x.batch, x.positions, x.width);
                drop_backward(rows_in(kept.d_branch), d, dropout_site, options...);
                return const_rows(rows_in(kept.d_branch));
            }
        };
        const auto add_around = [&](const const_rows& d) { add_rows(dx, d, dx, device_of(options...)); };
        if (where == norm_place::before) {
            branch_back(d_inner, dropped(dy), inner);
            normalise_back(dx, d_inner, x);
            add_around(dy);
        } else {
            normalise_back(d_inner, dy, inner);
            branch_back(dx, dropped(d_inner), x);
            add_around(d_inner);
        }
    }
};

}  // namespace detail
}  // namespace heed::inline HEED_ABI
