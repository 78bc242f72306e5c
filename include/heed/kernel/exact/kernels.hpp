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
template <class Program, class T>
void compile_program(exact_hooks<T>& hooks) {
    HEED_RETURN_ON_TARGET(compile_program<Program>(hooks));
}

// A program as hooks, for groups of so many heads that share keys; it outlives the run.
template <class T, class Program>
exact_hooks<T> hooks_of(const Program& program, index group) {
    exact_hooks<T> hooks;
    compile_program<Program>(hooks);
    hooks.program = &program;
    hooks.has_sinks = Program::has_sinks;
    hooks.sink = &Program::sink;
    if (Program::has_mask) hooks.classify = &Program::classify;
    if (seeks_keys<decltype(program.mask)>) hooks.first_key = &Program::first_key;
    hooks.grain = grain_of(program.mask);
    hooks.group_sees_alike = group > 0 && sees_alike(program.mask, group);
    return hooks;
}

// The problem of a call: what it reads and writes under a score program.
template <class E, class Program>
exact_problem<E> problem_of(const exact_inputs<E>& inputs, const exact_outputs<E>& outputs,
                            const Program& program) {
    using T = typename exact_problem<E>::T;
    return {inputs, outputs, hooks_of<T>(program, inputs.heads / inputs.kv_heads)};
}

}  // namespace heed::inline HEED_ABI::detail
