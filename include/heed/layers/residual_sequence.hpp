// SPDX-License-Identifier: MIT
// heed/layers/residual_sequence.hpp: the residual blocks of a layer, one behind the other
//
//     x -> block 0 -> block 1 -> … -> y        block i: its branch, the sum around it, its norm
//
// An encoder layer has two, attention and feed-forward, a decoder layer a third between them. Each block's
// dropout site is its number.
//
// Cost beside the branches: that of the blocks. The rows between blocks stand on the tape, or without one in
// the scratch of the call.
#pragma once

#include <array>
#include <tuple>

#include <heed/layers/residual_block.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T, int Count>
struct residual_sequence_tape {
    using rows = Eigen::Tensor<T, 3, Eigen::RowMajor>;
    std::array<rows, Count - 1> between, d_between;  // of two blocks
    std::array<residual_block_tape<T>, Count> blocks;
    index batch = 0, positions = 0;  // of a forward that came to its end

    residual_sequence_tape() {
        for (auto* list : {&between, &d_between})
            for (rows& r : *list) fit(r, index{0}, index{0}, index{0});
    }
};

template <class T, int Count>
struct residual_sequence {
    using rows = dense_rows<T>;
    using const_rows = dense_rows<const T>;
    using tape = residual_sequence_tape<T, Count>;
    using norm_weights = std::array<const layer_norm_parameters<T>*, Count>;
    using norm_gradients = std::array<layer_norm_parameters<T>*, Count>;

    std::array<residual_block<T>, Count> blocks_;

    residual_sequence() = default;
    residual_sequence(const char* f, norm_place where, index width) {
        check_enumerator(f, "norm", where, 2);
        index dropout_site = 0;
        for (residual_block<T>& block : blocks_)
            block = {where, dropout_site++, layer_norm_parts<T>({.width = width})};
    }

    void check_tape(std::string_view f, const tape& kept, const const_rows& x) const {
        if (kept.batch != x.batch || kept.positions != x.positions)
            fail(f, {"tape holds a forward of ", kept.batch, " x ", kept.positions, " positions, x has ",
                     x.batch, " x ", x.positions});
        for (std::size_t i = 0; i < Count; ++i) blocks_[i].check_tape(f, kept.blocks[i], x);
    }

    // branches: a tuple of as many functions (to, from).
    template <class Branches, class... Options>
    void run_forward(std::string_view f, const norm_weights& norms, const forward_rows<T>& r, tape* kept,
                     workspace& scratch, const Branches& branches, const Options&... options) const {
        const index batch = r.x.batch, positions = r.x.positions, width = r.x.width;
        call_rows taken(scratch);
        std::array<rows, Count> to;  // what each block writes
        for (std::size_t i = 0; i + 1 < Count; ++i) {
            if (kept != nullptr) fit(kept->between[i], batch, positions, width);
            T* const data = kept != nullptr
                                ? kept->between[i].data()
                                : taken.take<T>(static_cast<std::size_t>(batch * positions * width));
            to[i] = {data, batch, positions, width};
        }
        to[Count - 1] = r.y;
        if (kept != nullptr) kept->batch = kept->positions = 0;
        each(
            [&](auto i) {
                blocks_[i].run_forward(f, *norms[i], to[i], i == 0 ? r.x : const_rows(to[i == 0 ? 0 : i - 1]),
                                       kept == nullptr ? nullptr : &kept->blocks[i], scratch,
                                       std::get<i>(branches), options...);
            },
            std::make_index_sequence<Count>());
        if (kept == nullptr) return;
        kept->batch = batch;
        kept->positions = positions;
    }

    // branches: a tuple of as many functions (d_from, d_to, from).
    template <class Branches, class... Options>
    void run_backward(std::string_view f, const norm_weights& norms, const norm_gradients& g,
                      const backward_rows<T>& r, tape& kept, workspace& scratch, const Branches& branches,
                      const Options&... options) const {
        for (auto& d_rows : kept.d_between) fit(d_rows, r.x.batch, r.x.positions, r.x.width);
        each(
            [&](auto from_end) {
                constexpr std::size_t i = Count - 1 - from_end;
                const rows dx = i == 0 ? r.dx : rows_in(kept.d_between[i == 0 ? 0 : i - 1]);
                const const_rows dy =
                    i == Count - 1 ? r.dy : const_rows(rows_in(kept.d_between[i == Count - 1 ? 0 : i]));
                const const_rows x = i == 0 ? r.x : rows_in(std::as_const(kept.between[i == 0 ? 0 : i - 1]));
                blocks_[i].run_backward(f, *norms[i], *g[i], dx, dy, x, kept.blocks[i], scratch,
                                        std::get<i>(branches), options...);
            },
            std::make_index_sequence<Count>());
    }

private:
    template <class Body, std::size_t... At>
    static void each(const Body& body, std::index_sequence<At...>) {
        (body(std::integral_constant<std::size_t, At>()), ...);
    }
};

}  // namespace heed::inline HEED_ABI::detail
