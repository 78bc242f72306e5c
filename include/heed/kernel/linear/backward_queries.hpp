// SPDX-License-Identifier: MIT
// heed/kernel/linear/backward_queries.hpp: a chunk of queries of one head: dQ, and what it adds to dU, dK, R
#pragma once

#include <heed/kernel/linear/work.hpp>

namespace heed::inline HEED_ABI::detail {

// Where z is a column of the state: D = [dO / den, -<dO, O> / den].
template <class E, class T = typename linear_problem<E>::T>
void normalise_outputs(gradient_work<E>& x, index count, const T* state) {
    const index columns = x.c.value_row / x.w;
    x.leaf.multiply({x.c.decayed_queries, x.c.feature_row, 1, state, x.c.value_row, x.answer, x.c.value_row,
                     count, x.p.features, columns});
    if (x.p.causal)
        x.leaf.multiply_lower({x.c.pairs, x.c.pair_row, 1, x.c.values, x.c.value_row, x.answer, x.c.value_row,
                               count, count, columns, 1});
    x.leaf.row_products(x.out, x.answer, x.c.value_row, count, x.c.value_row, x.slope);
    for (index i = 0; i < count; ++i)
        x.inverse[i] = x.p.inverse_of(x.answer[i * x.c.value_row + x.p.value_features]);
    x.leaf.scale_rows(x.out, x.out, x.c.value_row, x.inverse, count, x.c.value_row);
    for (index i = 0; i < count; ++i)
        x.out[i * x.c.value_row + x.p.value_features] = -x.slope[i] * x.inverse[i] * x.inverse[i];
}
// Where z stands apart: dq holds X.
template <class E, class T = typename linear_problem<E>::T>
void normalise_gradients(gradient_work<E>& x, index count, const T* normaliser) {
    if (x.p.causal)
        x.leaf.normalisers(x.c.queries, x.c.keys, x.c.feature_row, count, x.p.features, normaliser,
                           x.inverse);
    else
        x.leaf.multiply_row(x.c.queries, x.c.feature_row, normaliser, count, x.p.features, x.inverse);
    x.leaf.row_products(x.c.queries, x.dq, x.c.feature_row, count, x.c.feature_row, x.slope);
    for (index i = 0; i < count; ++i) {
        x.inverse[i] = x.p.inverse_of(x.inverse[i]);
        x.slope[i] = -x.slope[i] * x.inverse[i] * x.inverse[i];
    }
    x.leaf.scale_rows(x.dq, x.dq, x.c.feature_row, x.inverse, count, x.c.feature_row);
    x.leaf.scale_rows(x.out, x.out, x.c.value_row, x.inverse, count, x.c.value_row);
    if (x.p.causal) {
        x.leaf.add_running(x.dq, x.c.keys, x.c.feature_row, count, x.p.features, normaliser, x.slope);
        x.leaf.scale_lower(x.products, x.c.pair_row, x.inverse, x.slope, count);
    } else {
        x.leaf.multiply(
            {x.slope, 1, 0, normaliser, 0, x.dq, x.c.feature_row, count, 1, x.c.feature_row / x.w, 1});
    }
}

// One query head: its dQ, and what it adds to dU, dK and R.
template <class E, class T = typename linear_problem<E>::T>
void take_queries(gradient_work<E>& x, index b, index head, index first, index count, const T* state,
                  const T* normaliser) {
    const index columns = x.c.value_row / x.w;
    const index wide = x.c.feature_row / x.w;
    const index value_row = x.c.value_row;
    const index feature_row = x.c.feature_row;
    x.c.load_queries(b, head, first, count);
    if (x.p.relative) x.c.place_queries();
    read_rows(x.g.dy, x.leaf.widen, b, head, first, count, x.p.value_features, x.out, value_row);
    clear_columns(x.out, value_row, x.p.value_features, count);
    if (x.p.causal) x.c.pair_scores(x.c.queries, x.c.decayed_queries, x.c.pairs);
    if (!x.p.normalised && x.p.scale != T(1))
        x.leaf.scale_rows(x.out, x.out, value_row, x.c.filled(x.p.scale), count, value_row);
    if (x.p.ones()) normalise_outputs(x, count, state);

    // Causal chunks come last to first.
    const index next = x.p.causal ? first - chunk_positions : first + chunk_positions;
    const memory_span soon_queries = soon_rows(x.p.q, b, head, next, x.p.queries, x.p.inputs);
    const memory_span soon_outputs = soon_rows(x.g.dy, b, head, next, x.p.queries, x.p.value_features);
    x.leaf.multiply({x.out,
                     value_row,
                     1,
                     x.transposed_state,
                     feature_row,
                     x.dq,
                     feature_row,
                     count,
                     x.p.columns(),
                     wide,
                     0,
                     {soon_queries, soon_outputs}});
    if (x.p.relative)
        x.leaf.scale_elements(x.dq, x.c.decayed_queries, nullptr, nullptr, feature_row, count, feature_row,
                              x.dq);
    else if (x.p.decays != decay_of::nothing)
        x.c.decay_rows_since_start(x.dq, x.dq);
    if (x.p.causal)
        x.leaf.multiply_to_lower({x.out, value_row, 1, x.transposed_values, x.c.pair_row, x.products,
                                  x.c.pair_row, count, x.p.columns(), x.packs(count)});
    if (x.p.separate()) {
        if (x.p.causal)
            x.leaf.multiply_lower({x.products, x.c.pair_row, 1, x.c.keys, feature_row, x.dq, feature_row,
                                   count, count, wide, 1});
        normalise_gradients(x, count, normaliser);
        if (x.p.causal)
            x.leaf.multiply_upper({x.products, 1, x.c.pair_row, x.c.queries, feature_row, x.earlier,
                                   feature_row, count, count, wide, 1});
        x.leaf.multiply(
            {x.slope, 0, 1, x.c.queries, feature_row, x.added_normaliser, feature_row, 1, count, wide, 1});
    } else if (x.p.causal) {
        x.c.pair_gradient(x.products, x.c.queries, x.dq, x.earlier);
    }
    if (x.p.causal)
        x.leaf.multiply_upper(
            {x.c.pairs, 1, x.c.pair_row, x.out, value_row, x.du, value_row, count, count, columns, 1});
    const index keys_next = x.p.causal ? next : -1;
    const memory_span soon_keys = soon_rows(x.p.k, b, head / x.p.group(), keys_next, x.p.keys, x.p.inputs);
    const memory_span soon_values =
        soon_rows(x.p.v, b, head / x.p.group(), keys_next, x.p.keys, x.p.value_features);
    x.leaf.multiply({x.c.decayed_queries,
                     1,
                     feature_row,
                     x.out,
                     value_row,
                     x.added,
                     value_row,
                     x.p.features,
                     count,
                     columns,
                     1,
                     {soon_keys, soon_values}});
    if (x.db != nullptr) x.leaf.add_products(x.c.queries, x.dq, count * feature_row, T(1), x.db);
    x.writer.write_mapped(x.p.query_map, 0, x.c.queries, x.dq, feature_row, count, x.c, x.dx, x.g.q, b, head,
                          first);
}

}  // namespace heed::inline HEED_ABI::detail
