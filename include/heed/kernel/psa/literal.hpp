// SPDX-License-Identifier: MIT
// heed/kernel/psa/literal.hpp: the literal reading, a step behind the score program of an exact call
//
// Every visible score becomes the polynomial of its clamped self, and the exact kernels do the rest.
#pragma once

#include <heed/kernel/psa/kernels.hpp>

namespace heed::inline HEED_ABI::detail {

// A call's program with the polynomial behind it.
template <class E>
struct literal_program {
    using T = typename exact_problem<E>::T;

    const exact_problem<E>* inner;
    const psa_leaves<T>* leaf;
    exponential_numbers<T> e;

    void finish(T* s, index row_stride, const lane_block& block, index lanes, bool hidden) const {
        for (index row = 0; row < block.rows; ++row) leaf->exponents(s + row * row_stride, lanes, hidden, e);
    }
    static const literal_program& of(const void* program) {
        return *static_cast<const literal_program*>(program);
    }
    static void score(const void* program, T* s, index row_stride, const lane_block& block, index lanes) {
        const literal_program& me = of(program);
        const auto inner = me.inner->score;
        if (inner != nullptr) inner(me.inner->program, s, row_stride, block, lanes);
        // Without a step of the caller's -inf is a score that overflowed, and not hidden.
        me.finish(s, row_stride, block, lanes, inner != nullptr);
    }
    static void masked(const void* program, T* s, index row_stride, const lane_block& block, index lanes) {
        const literal_program& me = of(program);
        const auto inner = me.inner->score_masked;
        if (inner != nullptr) inner(me.inner->program, s, row_stride, block, lanes);
        me.finish(s, row_stride, block, lanes, inner != nullptr);
    }
    static void drop(const void* program, T* s, index row_stride, const lane_block& block, index lanes) {
        of(program).inner->drop(of(program).inner->program, s, row_stride, block, lanes);
    }
    static cover classify(const void* program, const tile& t) {
        return of(program).inner->classify(of(program).inner->program, t);
    }
    static index first_key(const void* program, const tile& t) {
        return of(program).inner->first_key(of(program).inner->program, t);
    }
    static double sink(const void* program, index head) {
        return of(program).inner->sink(of(program).inner->program, head);
    }
};

template <class E>
void run_literal(const exact_problem<E>& p, const exponential_numbers<typename exact_problem<E>::T>& e,
                 device_ref device, workspace& memory) {
    using T = typename exact_problem<E>::T;
    using program = literal_program<E>;
    const program steps{&p, &psa_leaves_on_target<T>(), e};
    exact_problem<E> outer = p;
    outer.program = &steps;
    outer.score = &program::score;
    outer.score_masked = &program::masked;
    if (p.drop != nullptr) outer.drop = &program::drop;
    if (p.classify != nullptr) outer.classify = &program::classify;
    if (p.first_key != nullptr) outer.first_key = &program::first_key;
    if (p.has_sinks) outer.sink = &program::sink;
    run_exact(outer, device, memory);
}

}  // namespace heed::inline HEED_ABI::detail
