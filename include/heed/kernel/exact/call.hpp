// SPDX-License-Identifier: MIT
// heed/kernel/exact/call.hpp: from a call's tensors and options to a checked problem
//
// Everything a caller can get wrong is found here, before anything is written.
#pragma once

#include <heed/kernel/exact/run.hpp>
#include <heed/kernel/exact/setup.hpp>

namespace heed::inline HEED_ABI::detail {

// Is an option that writes (or an absent one) of the type sums are kept in?
template <class O, class S>
inline constexpr bool writes_sums = true;
template <class O, class S>
requires requires(const O& o) { o.to.data; }
inline constexpr bool writes_sums<O, S> = std::is_same_v<decltype(std::declval<const O&>().to.data), S*>;
template <class O, class S>
requires requires(const O& o) { o.sum.data; }
inline constexpr bool writes_sums<O, S> = std::is_same_v<decltype(std::declval<const O&>().sum.data), S*>;

// f needs the sum of a row, so the rows are gone through without their values first: all that a call writes
// but y is written then.
template <class E, class Probability>
void run_with_probability(exact_problem<E>& p, Probability& f, device_ref device_, workspace& memory) {
    using T = typename exact_problem<E>::T;
    const std::size_t rows = static_cast<std::size_t>(p.batch * p.heads * p.queries);
    exact_problem<E> first = p;
    first.value_features = 0;
    first.probability = nullptr;
    call_rows taken(memory);
    if (p.maximum.data == nullptr) {
        T* const numbers = taken.take<T>(2 * rows);
        first.maximum = {numbers, {p.heads * p.queries, p.queries, 1, 0}};
        first.sum = {numbers + rows, {p.heads * p.queries, p.queries, 1, 0}};
    }
    run_exact(first, device_, memory);
    f.maximum = first.maximum;
    f.sum = first.sum;
    p.logsumexp = p.maximum = p.sum = p.weights = p.coverage = {};
    p.visit_all = false;
    run_exact(p, device_, memory);
}

// Of tensors that fit together; y holds T, or the type sums are kept in.
template <class T, class Y>
void exact_attention(std::string_view function, call_memory& used, const view<Y>& y, const view<const T>& q,
                     const view<const T>& k, const view<const T>& v, const auto&... options) {
    using E = storage_t<T>;
    using S = sum_t<T>;
    static_assert((writes_sums<std::remove_cvref_t<decltype(options)>, S> && ...),
                  "heed: log-sum-exp, weights and scores are float, or double where q, k and v are double");
    const problem_shape shape{q.batch(), q.heads(), q.positions(), k.positions()};
    const std::array<index, 4> score_extents{shape.batch, shape.heads, shape.queries, shape.keys};

    exact_problem<E> p = problem_of<E>(function, q, k, v, options...);
    if constexpr (std::is_same_v<Y, T>)
        p.y = strided_of<E>(y);
    else
        p.y_sum = strided_of<S>(y);

    const auto& lse = pick<option_kind::logsumexp>(options...);
    if constexpr (!is_absent<decltype(lse)>) {
        const auto t =
            exact_extents(function, "logsumexp", lse.to, {1, shape.batch, shape.heads, shape.queries}, 3);
        p.logsumexp = {t.data, {t.strides[1], t.strides[2], t.strides[3], 0}};
        used.writes("logsumexp", bytes_of(t));
    }
    const auto& weights_ = pick<option_kind::weights>(options...);
    if constexpr (!is_absent<decltype(weights_)>) {
        const auto t = exact_extents(function, "weights", weights_.to, score_extents, 4);
        p.weights = {t.data, {t.strides[0], t.strides[1], t.strides[2], t.strides[3]}};
        used.writes("weights", bytes_of(t));
    }
    const auto& scores_ = pick<option_kind::scores>(options...);
    const auto captures = [&] {
        if constexpr (is_absent<decltype(scores_)>) {
            return score_captures<>{};
        } else {
            const auto t = exact_extents(function, "scores", scores_.to, score_extents, 4);
            used.writes("scores", bytes_of(t));
            check_enumerator(function, "the stage of scores", scores_.at_stage, 4);
            score_captures<bound_capture<S>> written;
            if (scores_.at_stage == stage::probabilities) {
                if (p.weights.data != nullptr)
                    fail(function,
                         {"scores(t, stage::probabilities) is what weights(t) writes; give one of them"});
                p.weights = {t.data, {t.strides[0], t.strides[1], t.strides[2], t.strides[3]}};
            } else {
                bound_capture<S>* const stages[] = {&written.raw, &written.capped, &written.biased};
                stages[static_cast<std::size_t>(scores_.at_stage)]->to = t;
            }
            return written;
        }
    }();
    const auto& coverage_ = pick<option_kind::coverage>(options...);
    if constexpr (!is_absent<decltype(coverage_)>) {
        const auto t = exact_extents(function, "coverage", coverage_.to,
                                     {1, shape.batch, shape.heads, shape.queries}, 3);
        p.coverage = {t.data, {t.strides[1], t.strides[2], t.strides[3], 0}};
        used.writes("coverage", bytes_of(t));
    }
    const auto& parts_ = pick<option_kind::maximum_and_sum>(options...);
    if constexpr (!is_absent<decltype(parts_)>) {
        const auto rows = [&](const char* name, const table<S>& to) -> strided<S> {
            const auto t = exact_extents(function, name, to, {1, shape.batch, shape.heads, shape.queries}, 3);
            used.writes(name, bytes_of(t));
            return {t.data, {t.strides[1], t.strides[2], t.strides[3], 0}};
        };
        p.maximum = rows("maximum", parts_.maximum);
        p.sum = rows("sum", parts_.sum);
    }
    used.validate(options...);

    const auto places = places_in(joined_masks(options...));
    set_places(p, places);
    const auto steps = bind_steps<S>(function, shape, places, options...);
    constexpr bool weighs_twice = count_of<option_kind::probability, decltype(options)...> > 0;
    workspace own;
    workspace& memory = workspace_of(own, options...);
    const device_ref device_ = device_of(options...);
    const auto with_mask = [&](const auto& visible, const auto& run) {
        score_program program{steps, visible, captures};
        set_program(p, program);
        p.visit_all = decltype(program)::writes_scores || p.weights.data != nullptr;
        run(program);
    };
    const auto run = [&](const auto& visible) {
        with_mask(visible, [&](auto& program) {
            if constexpr (weighs_twice)
                run_with_probability(p, program.steps.probability, device_, memory);
            else
                run_exact(p, device_, memory);
        });
    };
    under_masks(
        function, p, q, k, device_, memory, run,
        [&](const auto& selector, const auto& visible) {
            if constexpr (weighs_twice)
                under_kept_keys(p, steps, selector, visible, device_, memory, run);
            else
                with_mask(visible, [&](auto&) { selector.run(p, visible, device_, memory); });
        },
        options...);
}

}  // namespace heed::inline HEED_ABI::detail
