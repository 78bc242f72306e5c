// SPDX-License-Identifier: MIT
// heed/kernel/cummax/hybrid.hpp: cummax attention with a softmax over heads blended in
//
//     p = alpha c + (1 - alpha) w,   c = cummax over heads of e,   w = softmax over heads of e
//
//     dalpha = sum dp (c - w),   de += w ((1 - alpha) dp - sum over heads of (1 - alpha) dp w)
//
// Heads that are all -inf have weights 0.
#pragma once

#include <heed/kernel/cummax/attention.hpp>
#include <heed/math.hpp>

namespace heed::inline HEED_ABI::detail {

template <class E>
struct cummax_hybrid_form : cummax_attention_form<E> {
    using T = typename cummax_leaves<E>::T;
    using in_rows = cummax_rows<const T>;
    using out_rows = cummax_rows<T>;
    using cummax_form<E>::io;

    static constexpr bool fused = false;
    double (*alpha_of)(const void* option_, index head) = nullptr;
    const void* alpha_option = nullptr;
    index sums = 0;  // one for each head

    struct weights {
        T of[2];
    };
    weights alpha(index head) const {
        const double a = alpha_of(alpha_option, head);
        return {{kept_finite<T>(a), kept_finite<T>(1 - a)}};
    }

    static index step(const cummax_plan&) { return cummax_chunk; }
    index forward_scratch(const cummax_plan& plan, index step_) const {
        return (3 * plan.group + 5) * step_ * plan.pad;
    }
    // The softmax of e over heads; `above` holds the maxima over heads.
    void softmax(const cummax_plan& plan, const cummax_slice& at, index n, const T* e, const T* above, T* w,
                 T* sum) const {
        const index table = cummax_chunk * plan.pad;
        const T* const max = plan.group == 1 ? e : above + (plan.group - 1) * table;
        fill(sum, n * plan.pad, T(0));
        for (index h = 0; h < plan.group; ++h) {
            const in_rows in[] = {{e + h * table, plan.pad}, {max, plan.pad}, {sum, plan.pad}};
            const out_rows out[] = {{w + h * table, plan.pad}, {sum, plan.pad}};
            io.leaf->weigh(in, out, nullptr, n, at.features);
        }
        for (index h = 0; h < plan.group; ++h) {
            const in_rows in[] = {{w + h * table, plan.pad}, {sum, plan.pad}};
            const out_rows out[] = {{w + h * table, plan.pad}};
            io.leaf->normalise(in, out, nullptr, n, at.features);
        }
    }
    void blend(const cummax_plan& plan, const cummax_slice& at, index h, index n, const T* c, const T* w,
               T* p) const {
        const in_rows in[] = {{c, plan.pad}, {w, plan.pad}};
        const out_rows out[] = {{p, plan.pad}};
        io.leaf->blend(in, out, alpha(at.head + h).of, n, at.features);
    }

    void forward(const cummax_plan& plan, const cummax_slice& at, index t, index n, T* state,
                 cummax_scratch<T> mine) const {
        const index table = cummax_chunk * plan.pad;
        T* const e = mine.take(plan.group * table);
        T* const above = mine.take(plan.group * table);
        T* const w = mine.take(plan.group * table);
        T* const p = mine.take(table);
        T* const o_buffer = mine.take(table);
        T* const a1_buffer = mine.take(table);
        T* const a2_buffer = mine.take(table);
        T* const y_buffer = mine.take(table);
        for (index h = 0; h < plan.group; ++h)
            this->maxima(*this, plan, at, h, t, n, state, e + h * table, o_buffer);
        this->prefix(plan, at, n, e, above);
        softmax(plan, at, n, e, above, w, p);
        for (index h = 0; h < plan.group; ++h) {
            blend(plan, at, h, n, h == 0 ? e : above + h * table, w + h * table, p);
            const in_rows in[] = {{p, plan.pad},
                                  io.read(this->a1, at, h, t, n, a1_buffer),
                                  io.read(this->a2, at, h, t, n, a2_buffer)};
            const out_rows out[] = {io.write(this->y, at, h, t, y_buffer)};
            io.leaf->output(in, out, nullptr, n, at.features);
            io.finish(this->y, at, h, t, n, y_buffer);
        }
    }

    static index backward_scratch(const cummax_plan& plan) {
        return (4 * plan.group + 3) * cummax_chunk * plan.pad + plan.pad;
    }
    void gradients(const cummax_plan& plan, const cummax_slice& at, index t, index n, T* e, T* de,
                   double* part, T* buffer, cummax_scratch<T> mine) const {
        const index table = cummax_chunk * plan.pad;
        T* const above = mine.take(plan.group * table);
        T* const w = mine.take(plan.group * table);
        T* const dp = mine.take(plan.group * table);  // of the blend
        T* const dc = mine.take(plan.group * table);  // of the maximum over heads
        T* const sum = mine.take(table);
        T* const dot = mine.take(table);
        T* const p = mine.take(table);
        T* const dalpha = mine.take(plan.pad);
        this->prefix(plan, at, n, e, above);
        softmax(plan, at, n, e, above, w, sum);
        fill(dot, n * plan.pad, T(0));
        for (index h = 0; h < plan.group; ++h) {
            const T* const c = h == 0 ? e : above + h * table;
            blend(plan, at, h, n, c, w + h * table, p);
            this->output_gradients(plan, at, h, t, n, p, dp + h * table, buffer);
            fill(dalpha, plan.pad, T(0));
            const in_rows in[] = {{dalpha, 0},
                                  {dot, plan.pad},
                                  {dp + h * table, plan.pad},
                                  {c, plan.pad},
                                  {w + h * table, plan.pad}};
            const out_rows out[] = {{dalpha, 0}, {dot, plan.pad}, {dc + h * table, plan.pad}};
            io.leaf->blend_gradients(in, out, alpha(at.head + h).of, n, at.features);
            if (part != nullptr && sums > 0)
                for (index f = 0; f < at.features; ++f) part[at.head + h] += static_cast<double>(dalpha[f]);
        }
        this->route(plan, at, n, e, above, dc, de, sum);
        for (index h = 0; h < plan.group; ++h) {
            const in_rows in[] = {{de + h * table, plan.pad},
                                  {dp + h * table, plan.pad},
                                  {w + h * table, plan.pad},
                                  {dot, plan.pad}};
            const out_rows out[] = {{de + h * table, plan.pad}};
            io.leaf->softmax_gradient(in, out, alpha(at.head + h).of, n, at.features);
        }
    }
};

}  // namespace heed::inline HEED_ABI::detail
