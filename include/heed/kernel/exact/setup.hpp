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
problem_shape shape_of(const exact_problem<E>& p) {
    return {p.batch, p.heads, p.queries, p.keys};
}

// A problem of tensors that fit together, without its outputs and its score program. Checks the options
// that bind nothing.
template <class E, class T>
exact_problem<E> problem_of(std::string_view function, const view<const T>& q, const view<const T>& k,
                            const view<const T>& v, const auto&... options) {
    using S = sum_t<T>;
    exact_problem<E> p;
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

// What a call's masks say of its queries' places; they outlive the run.
template <class E, class Places>
void set_places(exact_problem<E>& p, const Places& places) {
    if constexpr (!std::is_same_v<Places, common_end>) {
        p.places = &places;
        p.shift_at = [](const void* x, index query) {
            return static_cast<const Places*>(x)->shift_at(query);
        };
    }
}

// run(visible) with the masks of a call, joined by what a selector found in the data. A selector that runs
// the problem itself gets run_itself(selector, visible).
template <class E, class T, class Run, class RunItself>
void under_masks(std::string_view function, const exact_problem<E>& p, const view<const T>& q,
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
        const auto masks = bind_mask(joined, function, shape_of(p));
        const auto run_joined = [&](const auto& chosen) { run(bound_and(masks, chosen)); };
        if constexpr (is_absent<Selector>) {
            run(masks);
        } else if constexpr (requires { select_.select(q, k); }) {
            const auto found = select_.select(q, k);
            run_joined(bind_mask(found, function, shape_of(p)));
        } else {
            select_.validate(function, p);
            if constexpr (requires { select_.choose(p, masks, device, memory); })
                run_joined(select_.choose(p, masks, device, memory));
            else
                run_itself(select_, masks);
        }
    }
}

// run(visible) with the keys that a selector, which runs the problem itself, would choose.
template <class E, class Steps, class Selector, class Visible, class Run>
void under_kept_keys(const exact_problem<E>& p, const Steps& steps, const Selector& selector,
                     const Visible& visible, device_ref device, workspace& memory, const Run& run) {
    exact_problem<E> asked = p;
    const score_program program{steps, visible};
    set_program(asked, program);
    if constexpr (requires { selector.keep(asked, device, memory); }) {
        const auto kept = selector.keep(asked, device, memory);
        run(bound_and(visible, kept));
    } else {
        static_assert(
            !is_option<Selector>,
            "heed::attention: this selector chooses keys while it works out the scores and keeps no "
            "mask, which attention_backward and probability(f) need; use one that chooses before");
    }
}

}  // namespace heed::inline HEED_ABI::detail
