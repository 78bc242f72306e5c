// SPDX-License-Identifier: MIT
// heed/kernel/cummax/call.hpp: from a call's tensors and options to a checked problem
//
// Everything a caller can get wrong is found here, before anything is written.
#pragma once

#include <heed/core/call.hpp>
#include <heed/cummax/options.hpp>
#include <heed/kernel/cummax/problem.hpp>

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

// A state, (batch, head, 1, feature), of the type sums are kept in. Its result is deduced so that a compiler
// reads this sentence before it tries to convert the result.
template <class T, class S>
auto state_of(std::string_view function, const char* name, const table<S>& t, const std::array<index, 4>& x) {
    static_assert(std::is_same_v<std::remove_const_t<S>, T>,
                  "heed: a state is float, or double where the tensors hold double");
    const std::array<index, 4> needed{x[0], x[1], 1, x[3]};
    if (t.extents != needed)
        fail(function, {name, " is (", t.extents[0], ", ", t.extents[1], ", ", t.extents[2], ", ",
                        t.extents[3], "), needs (", needed[0], ", ", needed[1], ", 1, ", needed[3], ")"});
    check_memory(function, name, bytes_of(t));
    return strided<S>{t.data, {t.strides[0], t.strides[1], t.strides[2], t.strides[3]}};
}

// The state options of a call.
template <class T, class... Options>
cummax_states<T> states_of(std::string_view function, const std::array<index, 4>& x, call_memory& memory,
                           const Options&... options) {
    cummax_states<T> s;
    const auto& both = pick<option_kind::state>(options...);
    if constexpr (!is_absent<decltype(both)>) {
        s.last = state_of<T>(function, "state", both.to, x);
        s.initial = {s.last.data, {s.last.stride[0], s.last.stride[1], s.last.stride[2], s.last.stride[3]}};
        memory.writes("state", bytes_of(both.to));
    }
    const auto& initial = pick<option_kind::initial_state>(options...);
    if constexpr (!is_absent<decltype(initial)>) {
        s.initial = state_of<T>(function, "initial_state", initial.to, x);
        memory.reads("initial_state", bytes_of(initial.to));
    }
    const auto& last = pick<option_kind::final_state>(options...);
    if constexpr (!is_absent<decltype(last)>) {
        s.last = state_of<T>(function, "final_state", last.to, x);
        memory.writes("final_state", bytes_of(last.to));
    }
    const auto& initial_gradient = pick<option_kind::initial_state_gradient>(options...);
    if constexpr (!is_absent<decltype(initial_gradient)>) {
        s.initial_gradient = state_of<T>(function, "initial_state_gradient", initial_gradient.to, x);
        memory.writes("initial_state_gradient", bytes_of(initial_gradient.to));
    }
    const auto& last_gradient = pick<option_kind::final_state_gradient>(options...);
    if constexpr (!is_absent<decltype(last_gradient)>) {
        s.last_gradient = state_of<T>(function, "final_state_gradient", last_gradient.to, x);
        memory.reads("final_state_gradient", bytes_of(last_gradient.to));
    }
    return s;
}

// The axis of a call; a state goes along positions.
template <class... Options>
along::axis axis_of(std::string_view function, index positions, index heads, const Options&... options) {
    constexpr bool streams = count_of<option_kind::state, Options...> +
                                 count_of<option_kind::initial_state, Options...> +
                                 count_of<option_kind::final_state, Options...> +
                                 count_of<option_kind::initial_state_gradient, Options...> + count_of <
                             option_kind::final_state_gradient,
                   Options... >> 0;
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

// A view or table whose positions are the elements of this axis, from the last to the first where asked.
template <class X>
X turned(X x, along::axis axis, bool reversed_) {
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
