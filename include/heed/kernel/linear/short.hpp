// SPDX-License-Identifier: MIT
// heed/kernel/linear/short.hpp: calls of a few positions, on the state where it lies
//
//     O = (Q e^b) S + lower(Q K^T e^(b_i - b_j)) U         S' = e^b_end S + (K e^(b_end - b))^T U
//
// The chunk of forward.hpp, and its bits, without a copy of the state: what a chunk does to copies of a state
// is all that such a call costs. Columns of the state that fill packs are read and written in the caller's
// tensors, from one to the other or in place; those left over, or all of a state whose numbers do not stand
// side by side, go through scratch. A single position reads and writes each column in one go.
//
// Cost for each position: 4 features d_v flops; the state is read once and written once.
#pragma once

#include <heed/core/device.hpp>
#include <heed/core/workspace.hpp>
#include <heed/kernel/linear/chunk.hpp>

namespace heed::inline HEED_ABI::detail {

// Calls of at most this many positions are short: beyond, the register blocks of a chunk's products win.
inline constexpr index short_positions = 16;

template <class E>
bool is_short(const linear_problem<E>& p) {
    return p.causal && p.keys <= short_positions && p.random_features == 0;
}

template <class E>
class linear_short {
public:
    using problem = linear_problem<E>;
    using T = typename problem::T;

    linear_short(const problem& p, const linear_leaves<E>& leaves, arena scratch = arena())
        : p_(p),
          leaf_(leaves),
          w_(leaves.pack_lanes),
          c_(p, leaves, scratch, p.keys),
          in_place_(lies_in_place(p) ? p.columns() / w_ * w_ : 0),
          side_row_(c_.value_row - in_place_) {
        const index readers = p.keys == 1 ? p.group() + (p.delta ? 1 : 0) : 0;
        plain_ = scratch.take<T>(readers * c_.feature_row);
        rows_ = p.decays == decay_of::nothing ? plain_ : scratch.take<T>(readers * c_.feature_row);
        outputs_ = scratch.take<T>((readers > p.keys ? readers : p.keys) * c_.value_row);
        total_ = scratch.take<T>(readers > p.keys ? readers : p.keys);
        pairs_ = scratch.take<T>(readers);
        one_ = scratch.take<T>(1);
        side_ = scratch.take<T>(p.features * side_row_);
        zeros_ = p.initial.data == nullptr ? scratch.take<T>(c_.value_row) : nullptr;
        if (p.separate()) {
            normaliser_ = scratch.take<T>(c_.feature_row);
            added_ = scratch.take<T>(c_.feature_row);
        }
        bytes_ = scratch.bytes();
        if (one_ == nullptr) return;
        *one_ = 1;
        if (zeros_ != nullptr) clear(zeros_, c_.value_row);
    }
    std::size_t bytes() const { return bytes_; }

    // All positions of one key head and the query heads that share it.
    void run(index b, index h) {
        read_side(b, h);
        if (p_.keys == 1)
            run_one(b, h);
        else
            run_some(b, h);
        write_side(b, h);
    }

private:
    static bool lies_in_place(const problem& p) {
        return (p.initial.data == nullptr || p.initial.stride[3] == 1) &&
               (p.last.data == nullptr || p.last.stride[3] == 1);
    }

    void run_one(index b, index h) {
        const index first = p_.delta ? 1 : 0;
        const index readers = p_.group() + first;
        c_.load_one(b, h);
        if (p_.delta) copy(c_.keys, plain_, c_.feature_row);
        for (index g = 0; g < p_.group(); ++g)
            c_.load_mapped(p_.q, b, h * p_.group() + g, 1, p_.query_map, row(plain_, first + g));
        c_.decay_one(plain_, rows_, readers);
        state_walk<T> walk = walk_of(rows_, readers, outputs_);
        walk.alone = true;
        walk.plain = plain_;
        if (p_.decays == decay_of::feature && readers > 0) {
            leaf_.multiply_row(plain_, c_.feature_row, c_.keys, readers, c_.feature_row, pairs_);
            walk.pairs = pairs_;
        }
        if (p_.delta) walk.beta = c_.beta;
        move(walk, b, h);
        for (index g = 0; g < p_.group(); ++g)
            write(b, h * p_.group() + g, outputs_ + (first + g) * c_.value_row, row(plain_, first + g));
        move_normaliser(b, h, c_.keys);
    }

    void run_some(index b, index h) {
        const index count = p_.keys;
        c_.load_keys(b, h, 0, count);
        if (p_.delta) {
            state_walk<T> walk = walk_of(c_.early_keys, count, c_.values);
            walk.subtract = true;
            read(walk, b, h);
            c_.solve_values();
        }
        for (index g = 0; g < p_.group(); ++g) {
            const index head = h * p_.group() + g;
            c_.load_queries(b, head, 0, count);
            const state_walk<T> walk = walk_of(c_.decayed_queries, count, outputs_);
            if (g + 1 < p_.group())
                read(walk, b, h);
            else
                move(walk, b, h);
            c_.add_pairs_to(outputs_);
            write(b, head, outputs_, c_.queries);
        }
        if (p_.group() == 0) move(walk_of(nullptr, 0, nullptr), b, h);
        if (!p_.separate()) return;
        c_.sum_keys(added_);
        move_normaliser(b, h, added_);
    }

    T* row(T* rows, index r) const { return rows + r * c_.feature_row; }

    // Rows that read the state, and what moves it.
    state_walk<T> walk_of(const T* rows, index count, T* out) const {
        state_walk<T> walk;
        walk.features = p_.features;
        walk.rows = rows;
        walk.row = c_.feature_row;
        walk.count = count;
        walk.out = out;
        walk.out_row = c_.value_row;
        walk.keep = p_.decays == decay_of::nothing ? one_ : c_.keep;
        walk.keep_step = p_.decays == decay_of::feature ? 1 : 0;
        walk.keys = p_.keys == 1 ? c_.keys : c_.decayed_keys;
        walk.key_row = c_.feature_row;
        walk.values = c_.values;
        walk.value_row = c_.value_row;
        walk.positions = p_.keys;
        return walk;
    }
    void read(const state_walk<T>& walk, index b, index h) const { over_columns(walk, b, h, false); }
    void move(const state_walk<T>& walk, index b, index h) const {
        over_columns(walk, b, h, p_.last.data != nullptr);
    }
    void over_columns(state_walk<T> walk, index b, index h, bool moves) const {
        if (!moves && walk.count == 0) return;
        T* const out = walk.out;
        T* const values = walk.values;
        if (in_place_ > 0) {
            walk.columns = in_place_;
            walk.from = p_.initial.data == nullptr ? zeros_ : p_.initial.row(b, h, 0);
            walk.from_row = p_.initial.data == nullptr ? 0 : p_.initial.stride[2];
            walk.to = moves ? p_.last.row(b, h, 0) : nullptr;
            walk.to_row = p_.last.stride[2];
            leaf_.walk_state(walk);
        }
        if (side_row_ == 0) return;
        walk.columns = side_row_;
        walk.from = side_;
        walk.from_row = side_row_;
        walk.to = moves ? side_ : nullptr;
        walk.to_row = side_row_;
        walk.out = out == nullptr ? nullptr : out + in_place_;
        walk.values = values + in_place_;
        leaf_.walk_state(walk);
    }

    // Columns that do not lie in place, and z.
    void read_side(index b, index h) const {
        const index columns = p_.columns() - in_place_;
        const index stride = p_.initial.stride[3];
        if (side_row_ > 0 && (p_.initial.data == nullptr || columns < side_row_))
            clear(side_, p_.features * side_row_);
        if (p_.separate()) clear(normaliser_, c_.feature_row);
        if (p_.initial.data == nullptr || (columns == 0 && !p_.separate())) return;
        for (index f = 0; f < p_.features; ++f) {
            const T* const from = p_.initial.row(b, h, f);
            for (index e = 0; e < columns; ++e) side_[f * side_row_ + e] = from[(in_place_ + e) * stride];
            if (p_.separate()) normaliser_[f] = from[p_.value_features * stride];
        }
    }
    void write_side(index b, index h) const {
        const index columns = p_.columns() - in_place_;
        if (p_.last.data == nullptr) return;
        for (index f = 0; columns > 0 && f < p_.features; ++f) {
            T* const to = p_.last.row(b, h, f);
            for (index e = 0; e < columns; ++e)
                to[(in_place_ + e) * p_.last.stride[3]] = side_[f * side_row_ + e];
        }
    }
    // z, after every query has read the one before.
    void move_normaliser(index b, index h, const T* added) const {
        if (!p_.separate() || p_.last.data == nullptr) return;
        leaf_.accumulate(normaliser_, nullptr, added, c_.feature_row);
        for (index f = 0; f < p_.features; ++f)
            p_.last.row(b, h, f)[p_.value_features * p_.last.stride[3]] = normaliser_[f];
    }

    // The rows of one query head, over their normalisers or times the scale.
    void write(index b, index head, const T* out, const T* queries) const {
        const T* factor = p_.scale == T(1) ? nullptr : c_.filled(p_.scale);
        if (p_.normalised) {
            if (p_.ones())
                for (index i = 0; i < p_.keys; ++i) total_[i] = out[i * c_.value_row + p_.value_features];
            else
                leaf_.normalisers(queries, c_.keys, c_.feature_row, p_.keys, p_.features, normaliser_,
                                  total_);
            for (index i = 0; i < p_.keys; ++i) total_[i] = p_.inverse_of(total_[i]);
            factor = total_;
        }
        c_.write_rows(b, head, 0, p_.keys, out, factor);
    }

    const problem& p_;
    const linear_leaves<E>& leaf_;
    index w_;
    linear_chunk<E> c_;
    index in_place_;  // columns
    index side_row_;
    T* plain_;    // a position that stands alone: (reader, feature), the key first under the delta rule
    T* rows_;     // the same decayed
    T* outputs_;  // (reader, value feature), or (position, value feature)
    T* total_;
    T* pairs_;
    T* one_;
    T* side_;  // (feature, column)
    T* zeros_;
    T* normaliser_ = nullptr;  // z, (feature)
    T* added_ = nullptr;
    std::size_t bytes_;
};

// Every head is a task.
template <class E>
void run_short(const linear_problem<E>& p, const linear_leaves<E>& leaves, device_ref device,
               workspace& scratch) {
    const index heads = p.batch * p.kv_heads;
    const index lanes = least(device.lanes(), heads);
    const linear_short<E> measure(p, leaves);
    const std::size_t each = cache_lines(measure.bytes());
    constexpr std::size_t stack_bytes = 8192;
    alignas(workspace::alignment) char on_stack[stack_bytes];
    char* const start = each * static_cast<std::size_t>(lanes) <= stack_bytes
                            ? on_stack
                            : static_cast<char*>(scratch.reserve(each * static_cast<std::size_t>(lanes)));
    if (lanes == 1) {
        linear_short<E> kernel(p, leaves, arena(start));
        for (index head = 0; head < heads; ++head) kernel.run(head / p.kv_heads, head % p.kv_heads);
        return;
    }
    for_each_task(device, lanes, heads, [&](index lane, index head) {
        linear_short<E> kernel(p, leaves, arena(start + each * static_cast<std::size_t>(lane)));
        kernel.run(head / p.kv_heads, head % p.kv_heads);
    });
}

}  // namespace heed::inline HEED_ABI::detail
