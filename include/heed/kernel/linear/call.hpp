// SPDX-License-Identifier: MIT
// heed/kernel/linear/call.hpp: from a call's tensors and options to a checked problem
//
// Everything a caller can get wrong is found here, before anything is written.
#pragma once

#include <heed/kernel/linear/features.hpp>
#include <heed/kernel/linear/options.hpp>
#include <heed/kernel/linear/run.hpp>
#include <heed/kernel/states.hpp>
#include <heed/score/scale.hpp>

namespace heed::inline HEED_ABI::detail {

// Rows of a table that has been spread (linear/sources.hpp), as floats, a pack at a time.
template <class G>
void read_table_floats(const void* context, index b, index h, index first, index rows, index n, float* to,
                       index to_row) {
    using E = storage_t<G>;
    const auto& t = *static_cast<const table<const G>*>(context);
    linear_leaves_on_target<E>().widen(
        reinterpret_cast<const E*>(t.data + b * t.strides[0] + h * t.strides[1] + first * t.strides[2]),
        t.strides[2], t.strides[3], rows, n, to, to_row);
}
template <class G>
constexpr auto float_reader() {
    if constexpr (std::is_same_v<G, double>)
        return nullptr;
    else
        return &read_table_floats<G>;
}

template <class T, class Options>
struct linear_setup;

// Binds options to a problem; lives as long as the call, since the problem points into it.
template <class T, class... Options>
struct linear_setup<T, std::tuple<Options...>> {
    using E = storage_t<T>;
    using S = sum_t<T>;

    static constexpr bool has([[maybe_unused]] option_kind kind) { return ((Options::kind == kind) || ...); }
    static constexpr bool causal = has(option_kind::mask);
    static constexpr bool has_decay = has(option_kind::decay);
    static constexpr bool has_delta = has(option_kind::delta);
    static constexpr bool normalised = [] {
        if constexpr (has(option_kind::normalisation))
            return std::remove_cvref_t<decltype(pick<option_kind::normalisation>(
                std::declval<const Options&>()...))>::normalised;
        else
            return !has_decay && !has_delta;
    }();
    static_assert(!(normalised && has_delta),
                  "heed::linear_attention: the delta rule has no normaliser; leave normalised away");

    std::tuple<Options...> options;
    linear_problem<E> problem;
    bound_features<E> features;

    template <option_kind Kind>
    decltype(auto) get() const {
        return std::apply([](const auto&... o) -> decltype(auto) { return pick<Kind>(o...); }, options);
    }

    linear_setup(std::string_view function, const std::tuple<Options...>& given, const view<const T>& q,
                 const view<const T>& k, const view<const T>& v)
        : options(given) {
        const linear_leaves<E>& leaves = linear_leaves_on_target<E>();
        linear_problem<E>& p = problem;
        p.q = strided_of<E>(q);
        p.k = strided_of<E>(k);
        p.v = strided_of<E>(v);
        p.batch = q.batch();
        p.heads = q.heads();
        p.kv_heads = k.heads();
        p.queries = q.positions();
        p.keys = k.positions();
        p.inputs = q.features();
        p.value_features = v.features();
        p.causal = causal;
        p.normalised = normalised;
        if constexpr (causal) {
            std::apply([&](const auto&... o) { check_all_causal(function, o...); }, options);
            if (p.queries != p.keys)
                fail(function, {"q has ", p.queries, " positions, k has ", p.keys,
                                "; causal linear attention needs as many, and a state for what came before"});
        }
        const auto& map = get<option_kind::features>();
        if constexpr (!is_absent<decltype(map)>)
            features.bind(function, map, p, leaves);
        else if constexpr (has_decay || has_delta)
            features.bind(function, identity, p, leaves);
        else
            features.bind(function, elu1, p, leaves);

        const double otherwise = has_decay || has_delta ? usual_scale(p.inputs) : 1;
        const auto scale_among = [&](const auto&... o) { return scale_of<S>(function, otherwise, o...); };
        p.scale = std::apply(scale_among, options);
        const std::array<index, 3> positions{p.batch, k.heads(), p.keys};
        if constexpr (has_decay) {
            auto& d = option_ref<option_kind::decay>();
            p.decays = d.by_feature() ? decay_of::feature : decay_of::head;
            p.decay = d.bind(function, positions, p.features);
            if constexpr (requires { d.logs; })
                p.decay.read_floats = float_reader<element_t<decltype(d.logs)>>();
        }
        p.relative = p.random_features > 0 && p.normalised && !has_decay && !has_delta;
        p.coded_initial = p.random_features > 0 && p.normalised;
        if constexpr (has_delta) {
            p.delta = true;
            p.beta = option_ref<option_kind::delta>().bind(function, positions, 1);
        }
    }
    linear_setup(const linear_setup&) = delete;
    linear_setup& operator=(const linear_setup&) = delete;

    // States (batch, kv_head, feature, value feature), one more when z stands there too: before the first
    // position, and after the last.
    call_states<S> bind_states(std::string_view function, call_memory& used, const auto&... given) {
        linear_problem<E>& p = problem;
        const auto states = states_of<S>(function, used, p.state_extents(), given...);
        p.initial = states.initial;
        p.last = states.last;
        return states;
    }

    template <option_kind Kind>
    auto& option_ref() {
        return std::get<position_of<Kind>()>(options);
    }

private:
    template <option_kind Kind>
    static constexpr std::size_t position_of() {
        std::size_t position = 0;
        bool found = false;
        ((found = found || Options::kind == Kind, position += found ? 0 : 1), ...);
        return position;
    }
};

// What queries read from a state (batch, kv_head, feature, value feature and z).
template <class T, class S>
struct read_linear_state_call : call_base {
    HEED_CALL("linear_state::finish", "y", "q", "",
              "it takes a feature map, normalised or unnormalised, scale, on and use");
    static constexpr bool writes_sums = true;
    static constexpr const char* replaces = "q";
    view<const S> state;

    static constexpr bool takes(option_kind kind) {
        return kind == option_kind::features || kind == option_kind::normalisation ||
               kind == option_kind::scale || kind == option_kind::on || kind == option_kind::use;
    }
    view<const T> keys(index features) const {
        return {nullptr, {state.batch(), state.heads(), 0, features}};
    }
    auto shapes(std::string_view function, const auto& q) const {
        return check_shapes(function, q, keys(q.features()), keys(state.features() - 1));
    }
    template <class Y, class... Options>
    void run(std::string_view function, call_memory& used, const view<Y>& y, const view<const T>& q,
             const Options&... options) const {
        using E = storage_t<T>;
        linear_setup<T, std::tuple<Options...>> setup(function, {options...}, q, keys(q.features()),
                                                      keys(state.features() - 1));
        linear_problem<E>& p = setup.problem;
        if (p.over_positions)
            fail(function, {"the features of heed::efficient look at all positions and have no state"});
        if (p.features != state.positions())
            fail(function,
                 {"q has ", p.features, " features after the map, the state has ", state.positions()});
        p.y = stored_or_sum_of<T>(y);
        p.initial = strided_of<S>(state);
        p.coded_initial = p.random_features > 0;
        used.reads("the state", bytes_of(state));
        used.validate(options...);
        with_resources([&](const device_ref device, workspace& scratch) { read_state(p, device, scratch); },
                       options...);
    }
};

}  // namespace heed::inline HEED_ABI::detail
