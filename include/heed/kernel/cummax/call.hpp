// SPDX-License-Identifier: MIT
// heed/kernel/cummax/call.hpp: from a call's tensors and options to a checked problem
//
// Everything a caller can get wrong is found here, before anything is written.
#pragma once

#include <heed/core/call.hpp>
#include <heed/cummax/options.hpp>
#include <heed/kernel/cummax/backward.hpp>
#include <heed/kernel/cummax/kernels.hpp>

namespace heed::inline HEED_ABI::detail {

// The running maximum and its attention: outputs have the inputs' extents and element type.
struct cummax_call : call_base {
    static constexpr const char* replaces = "";
    template <class... Options>
    static constexpr void beside() {
        static_assert(count_of<option_kind::state, Options...> == 0 ||
                          count_of<option_kind::initial_state, Options...> +
                                  count_of<option_kind::final_state, Options...> ==
                              0,
                      "heed: state is both the initial and the final state; give it alone, or the other two");
    }
};

// body(device, workspace), of a form whose tensors are bound.
template <class Form, class Body, class... Options>
void run_form(Form& form, const cummax_plan& plan, const Body& body, const Options&... options) {
    form.io = {&cummax_leaves_on_target<typename Form::element>(), plan.pad};
    with_resources(body, options...);
}
template <class Form, class... Options>
void run_forward(Form& form, const cummax_plan& plan, const call_states<typename Form::number>& states,
                 const Options&... options) {
    run_form(
        form, plan,
        [&](const device_ref device, workspace& scratch) {
            walk_forward(form, plan, states, device, scratch);
        },
        options...);
}
// finish(sums) with the form's sums of every chain.
template <class Form, class Finish, class... Options>
void run_backward(Form& form, const cummax_plan& plan, const call_states<typename Form::number>& states,
                  const Finish& finish, const Options&... options) {
    run_form(
        form, plan,
        [&](const device_ref device, workspace& scratch) {
            finish(walk_backward(form, plan, states, device, scratch));
        },
        options...);
}

// A state is (batch, head, 1, feature).
inline call_extents state_extents(const call_extents& x) { return {x[0], x[1], 1, x[3]}; }

// The axis of a call; a state goes along positions.
template <class... Options>
along::axis axis_of(std::string_view function, index positions, index heads, const Options&... options) {
    constexpr bool streams =
        (is_among(Options::kind, {option_kind::state, option_kind::initial_state, option_kind::final_state,
                                  option_kind::initial_state_gradient, option_kind::final_state_gradient}) ||
         ...);
    const auto& wanted = pick<option_kind::along>(options...);
    if constexpr (is_absent<decltype(wanted)>) {
        return along::axis::position;
    } else {
        check_enumerator(function, "along", wanted.of, 4);
        if constexpr (streams) {
            if (wanted.of == along::axis::head || wanted.of == along::axis::feature)
                fail(function, {"a state goes along positions, along is ",
                                wanted.of == along::axis::head ? "head" : "feature"});
            return along::axis::position;
        } else {
            return wanted.resolved(positions, heads);
        }
    }
}

// A view or table whose positions are the elements of this axis, from the last to the first where wanted.
template <class X>
X permuted(X x, along::axis axis, bool reversed_) {
    if (axis == along::axis::head) {
        std::swap(x.extents[1], x.extents[2]);
        std::swap(x.strides[1], x.strides[2]);
    } else if (axis == along::axis::feature) {
        std::swap(x.extents[2], x.extents[3]);
        std::swap(x.strides[2], x.strides[3]);
    }
    if (reversed_ && x.extents[2] > 0) {
        x.data += (x.extents[2] - 1) * x.strides[2];
        x.strides[2] = -x.strides[2];
    }
    return x;
}

// Joins an axis to the one behind it, where the tensors hold both as one: fewer and longer rows for a scan,
// which knows nothing but rows and positions.
template <class... X>
void join_axes(std::size_t front, std::size_t back, X&... x) {
    const auto joins = [&](const auto& t) {
        return t.extents[front] == 1 || t.extents[back] == 1 ||
               t.strides[front] == t.extents[back] * t.strides[back];
    };
    if (!(joins(x) && ...)) return;
    const auto join = [&](auto& t) {
        if (t.extents[back] == 1) t.strides[back] = t.strides[front];
        t.extents[back] *= t.extents[front];
        t.extents[front] = 1;
    };
    (join(x), ...);
}
// Batch entries to heads, then heads to features.
template <class... X>
void join_rows(X&... x) {
    join_axes(0, 1, x...);
    join_axes(1, 3, x...);
}

}  // namespace heed::inline HEED_ABI::detail
