// SPDX-License-Identifier: MIT
// heed/kernel/exact/setup.hpp: what forward and backward of exact attention make of a call's options
#pragma once

#include <heed/core/check.hpp>
#include <heed/core/resources.hpp>
#include <heed/kernel/exact/kernels.hpp>
#include <heed/kernel/exact/options.hpp>
#include <heed/select/concept.hpp>

namespace heed::inline HEED_ABI::detail {

template <class E>
problem_shape shape_of(const exact_inputs<E>& p) {
    return {p.batch, p.heads, p.queries, p.keys};
}

// What a call of tensors that fit together reads; positions, of its masks (positions_in), outlives the run.
// Checks the options that bind nothing.
template <class T, class Positions>
exact_inputs<storage_t<T>> inputs_of(std::string_view function, const view<const T>& q,
                                     const view<const T>& k, const view<const T>& v,
                                     const Positions& positions, const auto&... options) {
    using E = storage_t<T>;
    using S = sum_t<T>;
    exact_inputs<E> p;
    p.q = strided_of<E>(q);
    p.k = strided_of<E>(k);
    p.v = strided_of<E>(v);
    p.batch = q.batch();
    p.heads = q.heads();
    p.kv_heads = k.heads() > 0 ? k.heads() : 1;
    p.queries = q.positions();
    p.keys = k.positions();
    p.features = q.features();
    p.value_features = v.features();
    if constexpr (!std::is_same_v<Positions, common_end>) {
        p.positions = &positions;
        p.shift_at = [](const void* x, index query) {
            return static_cast<const Positions*>(x)->shift_at(query);
        };
    }

    const auto& pages_ = pick<option_kind::pages>(options...);
    if constexpr (!is_absent<decltype(pages_)>) {
        p.pages = &pages_.of;
        p.first_entry = pages_.first_entry;
        p.entry_count = pages_.entry_count;
    }
    p.scale = scale_of<S>(function, usual_scale(p.features), options...);
    const auto& sinks_ = pick<option_kind::sinks>(options...);
    const auto& dropout_ = pick<option_kind::dropout>(options...);
    if constexpr (!is_absent<decltype(sinks_)>) sinks_.validate(function, shape_of(p));
    if constexpr (!is_absent<decltype(dropout_)>) dropout_.validate(function);
    return p;
}

// run(visible) with the masks of a call, joined by what a selector found in the data. A selector that runs
// the problem itself gets run_itself(selector, visible).
template <class E, class T, class Run, class RunItself>
void under_masks(std::string_view function, const exact_inputs<E>& inputs, const view<const T>& q,
                 const view<const T>& k, device_ref device, workspace& memory, const Run& run,
                 const RunItself& run_itself, const auto&... options) {
    const auto joined = joined_masks(options...);
    const auto& select_ = pick<option_kind::select>(options...);
    using Selector = std::remove_cvref_t<decltype(select_)>;
    constexpr bool selects = is_absent<Selector> || concepts::selector<Selector>;
    static_assert(
        selects,
        "heed::attention: a selector of your own needs select(q, k), of two heed::view, that gives a "
        "mask; heed/select/concept.hpp has an example");
    if constexpr (check_masks<std::remove_const_t<decltype(joined)>>() && selects) {
        const auto masks = bind_mask(joined, function, shape_of(inputs));
        const auto run_joined = [&](const auto& chosen) { run(bound_and{masks, chosen}); };
        if constexpr (is_absent<Selector>) {
            run(masks);
        } else if constexpr (requires { select_.select(q, k); }) {
            const auto found = select_.select(q, k);
            run_joined(bind_mask(found, function, shape_of(inputs)));
        } else {
            select_.validate(function, inputs);
            if constexpr (requires { select_.choose(inputs, masks, device, memory); })
                run_joined(select_.choose(inputs, masks, device, memory));
            else
                run_itself(select_, masks);
        }
    }
}

// run(visible) with the keys that a selector, which runs the problem itself, would choose.
template <class E, class Steps, class Selector, class Visible, class Run>
void under_kept_keys(const exact_inputs<E>& inputs, const Steps& steps, const Selector& selector,
                     const Visible& visible, device_ref device, workspace& memory, const Run& run) {
    const score_program program{steps, visible};
    const exact_problem<E> p = problem_of(inputs, {}, program);
    if constexpr (requires { selector.keep(p, device, memory); })
        run(bound_and{visible, selector.keep(p, device, memory)});
    else
        static_assert(
            !is_option<Selector>,
            "heed::attention: this selector chooses keys while it works out the scores and keeps no "
            "mask, which attention_backward and probability(f) need; use one that chooses before");
}

}  // namespace heed::inline HEED_ABI::detail
