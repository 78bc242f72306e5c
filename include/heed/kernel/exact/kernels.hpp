// SPDX-License-Identifier: MIT
// heed/kernel/exact/kernels.hpp: the exact kernels and score programs, compiled for every target
#pragma once

#include <heed/kernel/exact/problem.hpp>
#include <heed/kernel/exact/program-inl.hpp>
#include <heed/kernel/exact/program.hpp>
#include <heed/kernel/exact/table-inl.hpp>
#include <heed/simd/dispatch.hpp>

namespace heed::inline HEED_ABI::detail {

template <class E>
const exact_leaves<E>& leaves_on_target() {
    HEED_RETURN_ON_TARGET(exact_leaves<E>());
}
HEED_ONCE_FOR_ELEMENTS(leaves_on_target);

// What reads rows of S.
template <class S, class T>
const stored_leaves<T>& stored_leaves_on_target() {
    HEED_RETURN_ON_TARGET(stored_leaves_of<S, T>);
}

// The functions of a program on the active target.
template <class Program, class E>
void compile_program(exact_problem<E>& p) {
    HEED_RETURN_ON_TARGET(compile_program<Program>(p));
}

// The program of a problem; it outlives the run.
template <class Program, class E>
void set_program(exact_problem<E>& p, const Program& program) {
    compile_program<Program>(p);
    p.program = &program;
    p.has_sinks = Program::has_sinks;
    p.sink = &Program::sink;
    if (Program::has_mask) p.classify = &Program::classify;
    if (seeks_keys<decltype(program.mask)>) p.first_key = &Program::first_key;
    p.grain = grain_of(program.mask);
    const index group = p.heads / p.kv_heads;
    p.group_sees_alike = group > 0 && sees_alike(program.mask, group);
}

}  // namespace heed::inline HEED_ABI::detail
