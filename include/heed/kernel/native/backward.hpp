// SPDX-License-Identifier: MIT
// heed/kernel/native/backward.hpp: the gradients of native sparse attention
//
//     D_c = <dy, o_c>             dg_c = D_c          P = e^(s - m_c) / l_c
//     dP = g_c <dy, v>            dS = P (dP - g_c D_c)
//     dq += scale dS k            dk += scale dS q    dv += g_c P dy
//
// over the pairs that each branch c kept, m_c and l_c being the maximum and the sum of its scores. Scores are
// rounded in another order than the forward's; where they are large, m_c, l_c and D_c of a row are worked out
// again from those that its weights are made of, so that these add up to 1 (kernel/exact/backward_rows.hpp);
// what was chosen is constant. The gradient of a compressed key goes to its block in equal shares. A task is
// one group of heads: it runs the forward over its blocks of queries, for the choice, the sums and the
// outputs, and then query by query, the heads of the group being rows. The order of all sums is that of
// queries and keys, whatever the threads.
//
// Cost: the forward and 10 d flops a pair. Memory of a thread: that of the forward, and the gradients of the
// keys, values and their means of one head in the type sums are kept in.
#pragma once

#include <cmath>

#include <heed/kernel/native/run.hpp>
#include <heed/kernel/scratch.hpp>

namespace heed::inline HEED_ABI::detail {

template <class E>
class native_backward {
public:
    using T = typename native_problem<E>::T;

    native_backward(const native_problem<E>& p, const native_gradient_problem<E>& g)
        : p_(p), g_(g), leaf_(leaves_on_target<E>()), forward_(p, p.queries) {
        compressed_ = p.blocks.compressed_of(p.keys);
        rows_ = p.group() < decode_keys ? p.group() : decode_keys;
    }

    std::size_t bytes() const {
        arena counted;
        layout_in(counted);
        return counted.bytes();
    }

    // All queries of a group of heads.
    void run(index b, index kv_head, void* scratch) const {
        arena pieces(scratch);
        layout m = layout_in(pieces);
        clear(m.dk, p_.keys * p_.features);
        clear(m.dv, p_.keys * p_.value_features);
        clear(m.dck, compressed_ * p_.features);
        clear(m.dcv, compressed_ * p_.value_features);
        m.keys = rows_of(leaf_, p_.k, b, kv_head, 0, p_.keys, p_.features, m.key_scratch, p_.keys);
        m.values = rows_of(leaf_, p_.v, b, kv_head, 0, p_.keys, p_.value_features, m.value_scratch, p_.keys);
        const auto& sum_leaf = leaves_on_target<T>();
        m.compressed_keys = rows_of(sum_leaf, p_.compressed_k, b, kv_head, 0, compressed_, p_.features,
                                    m.compressed_key_scratch);
        m.compressed_values = rows_of(sum_leaf, p_.compressed_v, b, kv_head, 0, compressed_,
                                      p_.value_features, m.compressed_value_scratch);
        const index step = forward_.queries();
        for (index begin = 0; begin < p_.queries; begin += step) {
            const index end = begin + step < p_.queries ? begin + step : p_.queries;
            const auto found = forward_.run(b, kv_head, begin, end, m.forward);
            for (index query = begin; query < end; ++query)
                for (index h = 0; h < p_.group(); h += rows_)
                    take_query(b, kv_head, query, query - begin, h,
                               h + rows_ < p_.group() ? rows_ : p_.group() - h, found, m);
        }
        if (g_.dcompressed_k.data != nullptr) {
            write_sums(m.dck, b, kv_head, compressed_, p_.features, g_.dcompressed_k);
            write_sums(m.dcv, b, kv_head, compressed_, p_.value_features, g_.dcompressed_v);
        } else {
            share_out(m.dck, p_.features, m.dk);
            share_out(m.dcv, p_.value_features, m.dv);
        }
        for (index key = 0; key < p_.keys; ++key) {
            write_row(leaf_, m.dk + key * p_.features, p_.features, g_.dk, b, kv_head, key);
            write_row(leaf_, m.dv + key * p_.value_features, p_.value_features, g_.dv, b, kv_head, key);
        }
    }

private:
    struct layout {
        T *dk, *dv, *dck, *dcv;          // (position, feature)
        T *key_scratch, *value_scratch;  // keys and values of the head, where they are converted
        T *compressed_key_scratch, *compressed_value_scratch;
        number_rows<T> keys, values, compressed_keys, compressed_values;
        T *query, *dy, *dq;                 // (head, feature); queries times the scale
        T *ones, *delta, *gate;             // (head)
        T *maximum, *sum;                   // (head)
        T *weights, *slopes;                // (head, key): P, and <dy, v>
        T *weights_by_key, *slopes_by_key;  // (key, head): g P, and dS
        char* forward;
    };

    layout layout_in(arena& scratch) const {
        layout m{};
        scratch.take(m.dk, p_.keys * p_.features);
        scratch.take(m.dv, p_.keys * p_.value_features);
        scratch.take(m.dck, compressed_ * p_.features);
        scratch.take(m.dcv, compressed_ * p_.value_features);
        scratch.take(m.key_scratch, stands_in_rows<T>(p_.k) ? 0 : p_.keys * p_.features);
        scratch.take(m.value_scratch, stands_in_rows<T>(p_.v) ? 0 : p_.keys * p_.value_features);
        scratch.take(m.compressed_key_scratch,
                     stands_in_rows<T>(p_.compressed_k) ? 0 : compressed_ * p_.features);
        scratch.take(m.compressed_value_scratch,
                     stands_in_rows<T>(p_.compressed_v) ? 0 : compressed_ * p_.value_features);
        scratch.take(m.query, rows_ * p_.features);
        scratch.take(m.dy, rows_ * p_.value_features);
        scratch.take(m.dq, rows_ * p_.features);
        for (T** x : {&m.delta, &m.gate, &m.maximum, &m.sum}) scratch.take(*x, rows_);
        scratch.take(m.ones, decode_keys);
        for (T** x : {&m.weights, &m.slopes, &m.weights_by_key, &m.slopes_by_key})
            scratch.take(*x, decode_keys * decode_keys);
        scratch.take(m.forward, static_cast<index>(forward_.bytes()));
        return m;
    }

    // `rows` heads of the group from h on, for one query.
    void take_query(index b, index kv_head, index query, index in_block, index h, index rows,
                    const native_found<T>& found, const layout& m) const {
        const index head = kv_head * p_.group() + h;
        const index n = p_.features;
        const index n_v = p_.value_features;
        for (index r = 0; r < rows; ++r) {
            leaf_.widen(p_.q.row(b, head + r, query), 0, p_.q.stride[3], 1, n, m.query + r * n, 0);
            read_rows(g_.dy, leaf_.widen, b, head + r, query, 1, n_v, m.dy + r * n_v, 0);
        }
        for (index x = 0; x < rows * n; ++x) m.query[x] *= p_.scale;
        for (index i = 0; i < decode_keys; ++i) m.ones[i] = 1;
        clear(m.dq, rows * n);
        const index p = p_.position(query);
        for (const native_branch c : {compressed_branch, selected_branch, sliding_branch}) {
            const bool seen = p_.sees(c, query);
            for (index r = 0; r < rows; ++r) {
                const index row = (h + r) * found.rows + in_block;
                const T* const o = found.output[c] + row * n_v;
                T sum = 0;
                for (index f = 0; seen && f < n_v; ++f) sum += m.dy[r * n_v + f] * o[f];
                m.delta[r] = sum;
                m.maximum[r] = found.maximum[c][row];
                m.sum[r] = found.sum[c][row];
                m.gate[r] = p_.gate(b, head + r, query, c);
                g_.write_gate(g_.dgates,
                              b * g_.dgate_stride[0] + (head + r) * g_.dgate_stride[1] +
                                  query * g_.dgate_stride[2] + static_cast<index>(c) * g_.dgate_stride[3],
                              sum);
            }
            if (!seen) continue;
            const bool pooled = c == compressed_branch;
            const auto for_keys = [&](const auto& take) {
                if (c == selected_branch)
                    return for_chosen_keys(found.chosen[in_block], p_.blocks.select_block, p + 1, decode_keys,
                                           take);
                const index first = pooled || p < p_.blocks.window ? 0 : p - p_.blocks.window + 1;
                const index end = pooled ? p_.blocks.compressed_of(p + 1) : p + 1;
                for (index key = first; key < end; key += decode_keys)
                    take(key, key + decode_keys < end ? key + decode_keys : end);
            };
            const number_rows<T>& keys = pooled ? m.compressed_keys : m.keys;
            const number_rows<T>& values = pooled ? m.compressed_values : m.values;
            work_out(keys, values, rows, m, for_keys);
            for_keys([&](index begin, index key_end) {
                take_keys(keys, values, begin, key_end, rows, m, pooled ? m.dck : m.dk,
                          pooled ? m.dcv : m.dv);
            });
        }
        for (index x = 0; x < rows * n; ++x) m.dq[x] *= p_.scale;
        for (index r = 0; r < rows; ++r) write_row(leaf_, m.dq + r * n, n, g_.dq, b, head + r, query);
    }

    // Scores of keys [begin, end) to m.weights, and <dy, v> to m.slopes.
    void score_keys(const number_rows<T>& keys, const number_rows<T>& values, index begin, index end,
                    index rows, const layout& m) const {
        const index count = end - begin;
        const index n = p_.features;
        const index n_v = p_.value_features;
        const number_rows<T> k{keys.data + begin * keys.stride, keys.stride, keys.there - begin};
        const number_rows<T> v{values.data + begin * values.stride, values.stride, values.there - begin};
        in_fours(rows, [&](index r, int four) {
            leaf_.row_scores[four](m.query + r * n, n, k, count, n, m.weights + r * decode_keys);
            leaf_.row_scores[four](m.dy + r * n_v, n_v, v, count, n_v, m.slopes + r * decode_keys);
        });
        // A product that overflows to -inf counts as the lowest number, as in the forward.
        for (index r = 0; r < rows; ++r)
            for (T* s = m.weights + r * decode_keys; s < m.weights + r * decode_keys + count; ++s)
                *s = *s < constants<T>::lowest ? constants<T>::lowest : *s;
    }

    // Maximum, sum and D of the rows whose scores are above 2 sqrt(keys) or that see few keys, from the
    // scores of the backward.
    template <class ForKeys>
    void work_out(const number_rows<T>& keys, const number_rows<T>& values, index rows, const layout& m,
                  const ForKeys& for_keys) const {
        index seen = 0;
        for_keys([&](index begin, index end) { seen += end - begin; });
        const T enough = seen < 8 ? T(-1) : 2 * static_cast<T>(std::sqrt(static_cast<double>(seen)));
        bool lost[decode_keys];
        bool any = false;
        for (index r = 0; r < rows; ++r) {
            lost[r] = m.maximum[r] > enough || -m.maximum[r] > enough;
            if (!lost[r]) continue;
            any = true;
            m.maximum[r] = minus_infinity<T>();
            m.sum[r] = m.delta[r] = 0;
        }
        if (!any) return;
        for_keys([&](index begin, index end) {
            score_keys(keys, values, begin, end, rows, m);
            for (index r = 0; r < rows; ++r) {
                if (!lost[r]) continue;
                T* const weight = m.weights + r * decode_keys;
                T rescale = 1;
                leaf_.rows_softmax(weight, 1, end - begin, true, m.maximum + r, m.sum + r, &rescale);
                T mean = 0;
                for (index i = 0; i < end - begin; ++i) mean += weight[i] * m.slopes[r * decode_keys + i];
                m.delta[r] = m.delta[r] * rescale + mean;
            }
        });
        for (index r = 0; r < rows; ++r)
            if (lost[r]) m.delta[r] /= m.sum[r];
    }

    // Keys [begin, end) for the rows of a query.
    void take_keys(const number_rows<T>& keys, const number_rows<T>& values, index begin, index end,
                   index rows, const layout& m, T* dk, T* dv) const {
        const index count = end - begin;
        const index n = p_.features;
        const index n_v = p_.value_features;
        const number_rows<T> k{keys.data + begin * keys.stride, keys.stride, keys.there - begin};
        score_keys(keys, values, begin, end, rows, m);
        for (index r = 0; r < rows; ++r) {
            T* const weight = m.weights + r * decode_keys;
            T* const slope = m.slopes + r * decode_keys;
            leaf_.weights(weight, 1, count, m.maximum[r], m.gate[r] / m.sum[r]);
            for (index i = 0; i < count; ++i) {
                slope[i] = weight[i] * (slope[i] - m.delta[r]);
                m.weights_by_key[i * decode_keys + r] = weight[i];
                m.slopes_by_key[i * decode_keys + r] = slope[i];
            }
        }
        in_fours(rows, [&](index r, int four) {
            leaf_.row_outputs[four](m.slopes + r * decode_keys, k, count, n, m.dq + r * n, m.ones);
        });
        in_fours(count, [&](index i, int four) {
            leaf_.row_outputs[four](m.slopes_by_key + i * decode_keys, {m.query, n}, rows, n,
                                    dk + (begin + i) * n, m.ones);
            leaf_.row_outputs[four](m.weights_by_key + i * decode_keys, {m.dy, n_v}, rows, n_v,
                                    dv + (begin + i) * n_v, m.ones);
        });
    }

    template <class F>
    static void in_fours(index count, const F& f) {
        for (index r = 0; r < count; r += r + 4 <= count ? 4 : 1) f(r, r + 4 <= count ? 1 : 0);
    }

    // A mean hands its gradient to its keys.
    void share_out(const T* means, index features, T* to) const {
        const T share = T(1) / static_cast<T>(p_.blocks.compress_block);
        for (index i = 0; i < compressed_; ++i)
            for (index t = 0; t < p_.blocks.compress_block; ++t)
                for (index f = 0; f < features; ++f)
                    to[(i * p_.blocks.compress_stride + t) * features + f] += share * means[i * features + f];
    }

    void write_sums(const T* from, index b, index h, index rows, index n, const strided<T>& to) const {
        for (index r = 0; r < rows; ++r)
            for (index f = 0; f < n; ++f) to.row(b, h, r)[f * to.stride[3]] = from[r * n + f];
    }

    const native_problem<E>& p_;
    const native_gradient_problem<E>& g_;
    const exact_leaves<E>& leaf_;
    native_block<E> forward_;
    index compressed_;
    index rows_;  // heads of a group at a time
};

template <class E>
void run_native_backward(const native_problem<E>& p, const native_gradient_problem<E>& g, device_ref device,
                         workspace& memory) {
    const index tasks = p.batch * p.kv_heads;
    if (tasks == 0) return;
    const native_backward<E> kernel(p, g);
    index lanes = device.lanes();
    lanes = lanes < tasks ? lanes : tasks;
    const std::size_t each = cache_lines(kernel.bytes());
    char* const base = static_cast<char*>(memory.reserve(each * static_cast<std::size_t>(lanes)));
    for_each_task(device, lanes, tasks, [&](index lane, index task) {
        kernel.run(task / p.kv_heads, task % p.kv_heads, base + each * static_cast<std::size_t>(lane));
    });
}
HEED_ONCE_FOR_ELEMENTS(run_native_backward);

}  // namespace heed::inline HEED_ABI::detail
