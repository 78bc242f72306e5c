// SPDX-License-Identifier: MIT
// heed/kernel/states.hpp: the state options of a call (state/options.hpp), checked and bound
#pragma once

#include <heed/core/strided.hpp>
#include <heed/state/options.hpp>

namespace heed::inline HEED_ABI::detail {

// Read at the start of a call and written at its end; without memory where an option is absent.
template <class S>
struct call_states {
    strided<const S> initial;
    strided<S> last;
    strided<S> initial_gradient;
    strided<const S> last_gradient;
};

// Those among the options of a call, of these extents; they join what it reads and writes.
template <class S, class... Options>
call_states<S> states_of(std::string_view function, call_memory& used, const std::array<index, 4>& needed,
                         const Options&... options) {
    call_states<S> s;
    [[maybe_unused]] const auto bind = [&]<class O>(const O& o) {
        if constexpr (is_among(O::kind,
                               {option_kind::state, option_kind::initial_state, option_kind::final_state,
                                option_kind::initial_state_gradient, option_kind::final_state_gradient})) {
            using X = stored_t<decltype(o.to)>;
            constexpr bool sums = std::is_same_v<std::remove_const_t<X>, S>;
            static_assert(sums, "heed: a state is float, or double where the tensors hold double");
            constexpr const char* name = name_of_table(O::kind);
            exact_extents(function, name, o.to, needed, 4);
            std::is_const_v<X> ? used.reads(name, bytes_of(o.to)) : used.writes(name, bytes_of(o.to));
            const auto [b, h, p, f] = o.to.strides;
            if constexpr (!sums)
                return;
            else if constexpr (O::kind == option_kind::initial_state_gradient)
                s.initial_gradient = {o.to.data, {b, h, p, f}};
            else if constexpr (O::kind == option_kind::final_state_gradient)
                s.last_gradient = {o.to.data, {b, h, p, f}};
            else if constexpr (O::kind == option_kind::initial_state)
                s.initial = {o.to.data, {b, h, p, f}};
            else
                s.last = {o.to.data, {b, h, p, f}};
            if constexpr (sums && O::kind == option_kind::state) s.initial = {o.to.data, {b, h, p, f}};
        }
    };
    (bind(options), ...);
    return s;
}

}  // namespace heed::inline HEED_ABI::detail
