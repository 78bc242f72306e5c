// SPDX-License-Identifier: MIT
// heed/kernel/psa/backward.hpp: the gradients of progressive sparse attention
//
// With P = w / sum w over the kept keys, dP_j = <dy, v_j> and D = sum P dP - dL, dL into the log-sum-exp:
//
//     dv_j += P_j dy
//     ds_j  = (dP_j - D) / sum w * pi'(s_j - m) where w_j > 0           intended, and
//     ds_m += dL - sum ds                              for the largest score, of equals the first
//     ds_j  = P_j (dP_j - D) pi'(s_j) where -clamp <= s_j <= clamp      masked, literal
//     dq   += scale ds_j k_j,   dk_j += scale ds_j q
//
// Scores and the choice are made by the forward's own kernel: this is a chooser of kernel/rows that keeps
// nothing. A task is a key/value head with all queries that read it, in order, so that sums do not depend on
// threads. Cost: 4 (features + value features) flops a kept pair beside the scores. Memory of a thread: that
// of the rows kernel and two numbers for each number of k and v.
#pragma once

#include <heed/kernel/psa/policies.hpp>
#include <heed/kernel/psa/sparsify.hpp>

namespace heed::inline HEED_ABI::detail {

template <class E>
struct psa_gradients {
    using T = typename exact_problem<E>::T;
    stored_or_sum<const E, const T> dy;
    strided<const T> of_logsumexp;  // (batch, head, query), or without memory
    stored_or_sum<E, T> q;
    stored_or_sum<E, T> k;
    stored_or_sum<E, T> v;
};

// What all tasks share.
template <class E>
struct psa_backward_plan {
    using T = typename exact_problem<E>::T;
    exact_problem<E> p;  // with sparser queries and keys
    psa_gradients<E> g;
    psa_chooser<T> chooser;
    psa_weigher<T> weigher;
    sparse_copy<E> queries;  // which features of the caller's rows stayed
    sparse_copy<E> keys;
    const exact_leaves<E>& leaf;
    const select_leaves<T>& select;
    const psa_leaves<T>& psa;
};

// A chooser that takes a row's gradients, and leaves nothing for the output.
template <class E>
class psa_gradient_rows {
public:
    using T = typename exact_problem<E>::T;

    psa_gradient_rows(const psa_backward_plan<E>& plan, void* scratch) : plan_(plan) {
        const exact_problem<E>& p = plan.p;
        arena pieces(scratch);
        dk_ = pieces.take<T>(p.keys * p.features);
        dv_ = pieces.take<T>(p.keys * p.value_features);
        keys_ = pieces.take<T>(p.keys * p.features);
        values_ = pieces.take<T>(p.keys * p.value_features);
        scores_ = pieces.take<T>(p.keys + select_slack);
        slope_ = pieces.take<T>(p.keys + select_slack);
        query_ = pieces.take<T>(p.features);
        dq_ = pieces.take<T>(p.features);
        dy_ = pieces.take<T>(p.value_features);
        nothing_ = pieces.take<T>(p.value_features);
        features_ = pieces.take<T>(static_cast<index>(sparse_copy<E>::row_bytes(p.features) / sizeof(T)));
        bytes_ = pieces.bytes();
    }
    std::size_t bytes() const { return bytes_; }
    // Where the rows kernel writes its output, which is not used.
    strided<T> nothing() const { return {nothing_, {0, 0, 0, 1}}; }

    void begin(index b, index kv_head) {
        const exact_problem<E>& p = plan_.p;
        k_ = rows_of(plan_.leaf, p.k, b, kv_head, 0, p.keys, p.features, keys_);
        v_ = rows_of(plan_.leaf, p.v, b, kv_head, 0, p.keys, p.value_features, values_);
        clear(dk_, p.keys * p.features);
        clear(dv_, p.keys * p.value_features);
        // Rows that see nothing are never asked for.
        clear(dq_, p.features);
        const index group = p.heads / p.kv_heads;
        for (index h = kv_head * group; h < (kv_head + 1) * group; ++h)
            for (index i = 0; i < p.queries; ++i) write_row(plan_.leaf, dq_, p.features, plan_.g.q, b, h, i);
    }

    index choose(score_row<T>& row) const {
        const exact_problem<E>& p = plan_.p;
        const index b = row.row_id.batch;
        const index h = row.row_id.head;
        const index i = row.row_id.query;
        const index count = plan_.chooser.choose(row);
        const std::int32_t* const chosen = row.keys;
        row.keys[count] = INT32_MAX;
        const row_leaves<T>& leaf = row_leaves_on_target<T>();
        copy(static_cast<const T*>(row.scores), scores_, count);
        T row_max = 0;
        T row_sum = 0;
        plan_.weigher.weigh(leaf, row.scores, count, row_max, row_sum);
        T* const weights = row.scores;
        const T inverse = T(1) / row_sum;
        query_to_row(p, plan_.leaf, b, h, i, query_);
        read_rows(plan_.g.dy, plan_.leaf.widen, b, h, i, 1, p.value_features, dy_, 0);
        plan_.psa.chosen_dots(dy_, v_, chosen, count, p.value_features, slope_);
        for (index f = 0; f < p.value_features; ++f) dy_[f] *= inverse;
        plan_.psa.add_to_chosen(weights, dy_, chosen, count, p.value_features, dv_);
        const strided<const T>& given = plan_.g.of_logsumexp;
        const T of_logsumexp = given.data == nullptr ? T(0) : *given.row(b, h, i);
        const T mean = plan_.psa.dot(weights, slope_, count) * inverse - of_logsumexp;
        if (plan_.chooser.reading == psa_reading::intended) {
            const T total = plan_.psa.weight_gradients(scores_, weights, count, row_max, mean, inverse,
                                                       slope_, plan_.chooser.e);
            for (index j = 0; j < count; ++j)
                if (scores_[j] == row_max) {
                    slope_[j] -= total - of_logsumexp;
                    break;
                }
        } else {
            plan_.psa.exponent_gradients(scores_, weights, count, mean, inverse, slope_, plan_.chooser.e);
        }
        clear(dq_, p.features);
        index next = 0;
        leaf.outputs(slope_, chosen, 0, 1, &next, 0, INT32_MAX, k_, nullptr, p.features, dq_);
        for (index f = 0; f < p.features; ++f) dq_[f] *= p.scale;
        plan_.psa.add_to_chosen(slope_, query_, chosen, count, p.features, dk_);
        plan_.queries.clear_others(plan_.leaf, plan_.select, b, h, i, dq_, features_);
        write_row(plan_.leaf, dq_, p.features, plan_.g.q, b, h, i);
        return 0;
    }

    void finish(index b, index kv_head) {
        const exact_problem<E>& p = plan_.p;
        for (index j = 0; j < p.keys; ++j) {
            T* const dk = dk_ + j * p.features;
            plan_.keys.clear_others(plan_.leaf, plan_.select, b, kv_head, j, dk, features_);
            write_row(plan_.leaf, dk, p.features, plan_.g.k, b, kv_head, j);
            write_row(plan_.leaf, dv_ + j * p.value_features, p.value_features, plan_.g.v, b, kv_head, j);
        }
    }

private:
    const psa_backward_plan<E>& plan_;
    number_rows<T> k_{};
    number_rows<T> v_{};
    T* dk_;
    T* dv_;
    T* keys_;  // where they are converted
    T* values_;
    T* scores_;
    T* slope_;  // dP, then ds
    T* query_;  // scaled
    T* dq_;
    T* dy_;
    T* nothing_;
    T* features_;
    std::size_t bytes_;
};

template <class E>
void run_psa_backward(const psa_backward_plan<E>& plan, device_ref device, workspace& memory) {
    const exact_problem<E>& p = plan.p;
    const index tasks = p.batch * p.kv_heads;
    if (tasks == 0) return;
    const bool few = p.queries <= decode_queries;
    const index rows = few ? p.heads / p.kv_heads * p.queries : least(rows_together(p.keys), p.queries);
    using rows_of_gradients = rows_block<E, psa_gradient_rows<E>, softmax_weights>;
    const softmax_weights weigher;
    const psa_gradient_rows<E> no_rows(plan, nullptr);
    const std::size_t own = cache_lines(no_rows.bytes());
    const std::size_t each = own + cache_lines(rows_of_gradients(p, no_rows, weigher, rows).bytes());
    index lanes = device.lanes();
    if (lanes > tasks) lanes = tasks;
    char* const base = static_cast<char*>(memory.reserve(each * static_cast<std::size_t>(lanes)));
    for_each_task(device, lanes, tasks, [&](index lane, index task) {
        char* const mine = base + each * static_cast<std::size_t>(lane);
        const index b = task / p.kv_heads;
        const index kv_head = task % p.kv_heads;
        psa_gradient_rows<E> gradients(plan, mine);
        gradients.begin(b, kv_head);
        exact_problem<E> problem = p;
        problem.y.sums = gradients.nothing();
        const rows_of_gradients kernel(problem, gradients, weigher, rows);
        const index group = p.heads / p.kv_heads;
        if (p.queries > 0 && few && group > 0) kernel.run_heads(b, kv_head, mine + own);
        for (index h = kv_head * group; !few && h < (kv_head + 1) * group; ++h)
            for (index i = 0; i < p.queries; i += rows)
                kernel.run_queries(b, h, i, least(i + rows, p.queries), mine + own);
        gradients.finish(b, kv_head);
    });
}
HEED_ONCE_FOR_ELEMENTS(run_psa_backward);

}  // namespace heed::inline HEED_ABI::detail
