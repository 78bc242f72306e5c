// SPDX-License-Identifier: MIT
// heed/layers/gradient_options.hpp: the gradients that a layer's backward is asked for by options
//
// bias_gradient(t) and its like belong to the attention inside, which runs when gradients of other parts have
// been added to. So the layer checks them first: each has its tensor's shape and memory of its own.
#pragma once

#include <heed/core/broadcast.hpp>
#include <heed/core/check.hpp>
#include <heed/layers/heads/concept.hpp>
#include <heed/layers/rows.hpp>

namespace heed::inline HEED_ABI::detail {

// The gradient of kind Kind, if it is given, has these extents.
template <option_kind Kind, class... Options>
void check_extents_of(std::string_view f, call_memory& used, const char* name,
                      const std::array<index, 4>& extents, int rank, const Options&... options) {
    const auto& given = pick<Kind>(options...);
    if constexpr (!is_absent<decltype(given)>) {
        exact_extents(f, name, given.to, extents, rank);
        used.writes(name, bytes_of(given.to.data, given.to.extents, given.to.strides));
    }
}

template <class T, class... Options>
void check_gradient_options(std::string_view f, const backward_rows<T>& r, const attention_config& c,
                            const Options&... options) {
    call_memory used(f);
    used.writes("dx", r.dx.bytes());
    if (r.d_second != nullptr) used.writes("d_memory", r.d_second->bytes());
    used.reads("x", r.x.bytes());
    used.reads("dy", r.dy.bytes());
    const index keys = r.second != nullptr ? r.second->positions : r.x.positions;
    const std::array<index, 4> by_head{1, 1, 1, c.heads}, by_key{1, r.x.batch, c.kv_heads, keys};
    const auto& bias = pick<option_kind::bias>(options...);
    if constexpr (!is_absent<decltype(bias)>)
        check_extents_of<option_kind::bias_gradient>(f, used, "the bias's gradient", bias.values.extents, 4,
                                                     options...);
    check_extents_of<option_kind::slopes_gradient>(f, used, "the slopes' gradient", by_head, 4, options...);
    check_extents_of<option_kind::sinks_gradient>(f, used, "the sinks' gradient", by_head, 4, options...);
    check_extents_of<option_kind::delta_gradient>(f, used, "the gradient of beta", by_key, 3, options...);
    const auto& decay = pick<option_kind::decay_gradient>(options...);
    if constexpr (!is_absent<decltype(decay)>) {
        if (decay.to.rank != 4)
            check_extents_of<option_kind::decay_gradient>(f, used, "the decay's gradient", by_key, 3,
                                                          options...);
        else
            used.writes("the decay's gradient", bytes_of(decay.to.data, decay.to.extents, decay.to.strides));
    }
    const auto& state = pick<option_kind::initial_state>(options...);
    if constexpr (!is_absent<decltype(state)>)
        check_extents_of<option_kind::initial_state_gradient>(f, used, "the initial state's gradient",
                                                              state.to.extents, 4, options...);
    const auto& rows = pick<option_kind::logsumexp_gradient>(options...);
    if constexpr (!is_absent<decltype(rows)>)
        exact_extents(f, "the gradient of the log-sum-exp", rows.from, {1, r.x.batch, c.heads, r.x.positions},
                      3);
    const auto& mixed = pick<option_kind::hybrid_gradient>(options...);
    if constexpr (!is_absent<decltype(mixed)>) {
        const auto& e = mixed.to.extents;
        if (!(e[0] == 1 && e[1] == 1 && e[2] == 1 && (e[3] == 1 || e[3] == c.heads)))
            fail(f, {"hybrid_gradient is (", e[0], ", ", e[1], ", ", e[2], ", ", e[3],
                     "), needs one number, or one for each of the ", c.heads, " heads"});
        used.writes("hybrid_gradient", bytes_of(mixed.to.data, e, mixed.to.strides));
    }
    used.validate(options...);
}

}  // namespace heed::inline HEED_ABI::detail
