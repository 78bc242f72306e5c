// SPDX-License-Identifier: MIT
// heed/state/options.hpp: the state of a variant that streams, as options of its calls
//
//     state(t)                     read at the start of the call, overwritten with the state at its end
//     initial_state(t)             only read
//     final_state(t)               only written
//     initial_state_gradient(t)    backward: written
//     final_state_gradient(t)      backward: read, what flows back into the state after the last position
//
// The tensors are the caller's, kept by reference, of float (double for double). Their shape is the
// variant's: heed/linear.hpp, heed/cummax.hpp.
#pragma once

#include <heed/core/broadcast.hpp>
#include <heed/core/option.hpp>
#include <heed/core/overlap.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

constexpr const char* name_of_table(option_kind kind) {
    switch (kind) {
        case option_kind::state:
            return "the state";
        case option_kind::initial_state:
            return "the initial state";
        case option_kind::final_state:
            return "the final state";
        case option_kind::initial_state_gradient:
            return "the initial state's gradient";
        case option_kind::final_state_gradient:
            return "the final state's gradient";
        case option_kind::decay_gradient:
            return "the decay's gradient";
        case option_kind::delta_gradient:
            return "the gradient of beta";
        default:
            return "an option's tensor";
    }
}

// An option that is one table of numbers, read or written.
template <option_kind Kind, class T>
struct table_option : option<Kind> {
    table<T> to;
    explicit table_option(const table<T>& t) : to(t) {}
    auto content() const { return std::tie(to); }
    const char* overlapped(const byte_span& output) const {
        return overlap(output, bytes_of(to.data, to.extents, to.strides)) ? name_of_table(Kind) : nullptr;
    }
};

// A table that a call writes, or one that it reads.
template <class X>
auto written_table(X&& x) {
    auto t = as_table(x);
    using T = stored_t<decltype(t)>;
    static_assert(!std::is_const_v<T>, "heed: this tensor is written, and it is const");
    static_assert(table_may_be_kept<X>, "heed: the tensor is a temporary and would be gone; give it a name");
    return t;
}
template <class X>
auto read_table(X&& x) {
    const auto t = as_table(x);
    using T = element_t<decltype(t)>;
    static_assert(table_may_be_kept<X>, "heed: the tensor is a temporary and would be gone; give it a name");
    return table<const T>{t.data, t.extents, t.strides, t.rank};
}

template <option_kind Kind, class X>
auto writing(X&& x) {
    const auto t = written_table(std::forward<X>(x));
    return table_option<Kind, stored_t<decltype(t)>>(t);
}
template <option_kind Kind, class X>
auto reading(X&& x) {
    const auto t = read_table(std::forward<X>(x));
    return table_option<Kind, stored_t<decltype(t)>>(t);
}

}  // namespace detail

template <class X>
auto state(X&& t) {
    return detail::writing<option_kind::state>(std::forward<X>(t));
}
template <class X>
auto initial_state(X&& t) {
    return detail::reading<option_kind::initial_state>(std::forward<X>(t));
}
template <class X>
auto final_state(X&& t) {
    return detail::writing<option_kind::final_state>(std::forward<X>(t));
}
template <class X>
auto initial_state_gradient(X&& t) {
    return detail::writing<option_kind::initial_state_gradient>(std::forward<X>(t));
}
template <class X>
auto final_state_gradient(X&& t) {
    return detail::reading<option_kind::final_state_gradient>(std::forward<X>(t));
}

}  // namespace heed::inline HEED_ABI
