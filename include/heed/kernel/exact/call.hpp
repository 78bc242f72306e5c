// SPDX-License-Identifier: MIT
// heed/kernel/exact/call.hpp: heed::attention as a call (core/call.hpp): its tensors and options to a checked
// problem, and on to the kernel
//
// Everything a caller can get wrong is found here, before anything is written.
#pragma once

#include <heed/core/call.hpp>
#include <heed/kernel/exact/run.hpp>
#include <heed/kernel/exact/setup.hpp>

namespace heed::inline HEED_ABI::detail {

// Is an option that writes (or an absent one) of the type sums are kept in?
template <class O, class S>
inline constexpr bool are_sums = true;
template <class O, class S>
requires requires(const O& o) { o.to.data; }
inline constexpr bool are_sums<O, S> = std::is_same_v<decltype(std::declval<const O&>().to.data), S*>;
template <class O, class S>
requires requires(const O& o) { o.sum.data; }
inline constexpr bool are_sums<O, S> = std::is_same_v<decltype(std::declval<const O&>().sum.data), S*>;

// f needs the sum of a row, so the rows are gone through without their values first: all that a call writes
// but y is written then.
template <class E, class Probability>
void run_with_probability(const exact_problem<E>& p, Probability& f, device_ref device, workspace& memory) {
    using T = typename exact_problem<E>::T;
    const std::size_t rows = static_cast<std::size_t>(p.batch * p.heads * p.queries);
    exact_problem<E> sums = p;
    sums.value_features = 0;
    sums.probability = nullptr;
    call_rows taken(memory);
    if (p.maximum.data == nullptr) {
        T* const numbers = taken.take<T>(2 * rows);
        sums.maximum = {numbers, {p.heads * p.queries, p.queries, 1, 0}};
        sums.sum = {numbers + rows, {p.heads * p.queries, p.queries, 1, 0}};
    }
    run_exact(sums, device, memory);
    f.maximum = sums.maximum;
    f.sum = sums.sum;
    exact_outputs<E> last;
    last.y = p.y;
    run_exact(exact_problem<E>{p, last, p}, device, memory);
}

// The tensors that a call writes: y, which holds T or the type sums are kept in, and those of its options,
// which are checked and put on the list of memory.
template <class T, class Y>
exact_outputs<storage_t<T>> outputs_of(std::string_view function, call_memory& used,
                                       const problem_shape& shape, const view<Y>& y, const auto&... options) {
    using S = sum_t<T>;
    exact_outputs<storage_t<T>> out;
    out.y = stored_or_sum_of<T>(y);
    const auto rows = [&](const char* name, const table<S>& to) -> strided<S> {
        const auto t = exact_extents(function, name, to, {1, shape.batch, shape.heads, shape.queries}, 3);
        used.writes(name, bytes_of(t));
        return {t.data, {t.strides[1], t.strides[2], t.strides[3], 0}};
    };
    const auto scores = [&](const char* name, const table<S>& to) -> strided<S> {
        const auto t =
            exact_extents(function, name, to, {shape.batch, shape.heads, shape.queries, shape.keys}, 4);
        used.writes(name, bytes_of(t));
        return {t.data, {t.strides[0], t.strides[1], t.strides[2], t.strides[3]}};
    };

    const auto& lse = pick<option_kind::logsumexp>(options...);
    if constexpr (!is_absent<decltype(lse)>) out.logsumexp = rows("logsumexp", lse.to);
    const auto& weights_ = pick<option_kind::weights>(options...);
    if constexpr (!is_absent<decltype(weights_)>) out.weights = scores("weights", weights_.to);
    const auto& scores_ = pick<option_kind::scores>(options...);
    if constexpr (!is_absent<decltype(scores_)>) {
        const strided<S> to = scores("scores", scores_.to);
        check_enumerator(function, "the stage of scores", scores_.at_stage, 4);
        if (scores_.at_stage == stage::probabilities) {
            if (out.weights.data != nullptr)
                fail(function,
                     {"scores(t, stage::probabilities) is what weights(t) writes; give one of them"});
            out.weights = to;
        }
        out.visit_all = true;
    }
    const auto& coverage_ = pick<option_kind::coverage>(options...);
    if constexpr (!is_absent<decltype(coverage_)>) out.coverage = rows("coverage", coverage_.to);
    const auto& parts = pick<option_kind::maximum_and_sum>(options...);
    if constexpr (!is_absent<decltype(parts)>) {
        out.maximum = rows("maximum", parts.maximum);
        out.sum = rows("sum", parts.sum);
    }
    out.visit_all = out.visit_all || out.weights.data != nullptr;
    return out;
}

// Where a call writes its scores on their way through the program: outputs_of() has checked the table.
auto captures_of(std::string_view function, const problem_shape& shape, const auto&... options) {
    const auto& scores_ = pick<option_kind::scores>(options...);
    if constexpr (is_absent<decltype(scores_)>) {
        return score_captures<>{};
    } else {
        const auto t = exact_extents(function, "scores", scores_.to,
                                     {shape.batch, shape.heads, shape.queries, shape.keys}, 4);
        score_captures<bound_capture<std::remove_pointer_t<decltype(t.data)>>> written;
        decltype(written.raw)* const stages[] = {&written.raw, &written.capped, &written.biased};
        if (scores_.at_stage != stage::probabilities)
            stages[static_cast<std::size_t>(scores_.at_stage)]->to = t;
        return written;
    }
}

struct attention_call : query_call {
    HEED_CALL("attention", "y", "q, k and v", "", "heed/attention.hpp lists those it takes");
    static constexpr bool takes(option_kind kind) { return exact_kind(kind); }
    template <class... Options>
    static constexpr void beside() {
        check_exact_options<Options...>();
        static_assert(
            !(gradient_kind(Options::kind) || ...),
            "heed::attention: bias_gradient, logsumexp_gradient, slopes_gradient and sinks_gradient "
            "are options of heed::attention_backward");
    }
    template <class T, class Y>
    static void run(std::string_view function, call_memory& used, const view<Y>& y, const view<const T>& q,
                    const view<const T>& k, const view<const T>& v, const auto&... options) {
        using S = sum_t<T>;
        static_assert(
            (are_sums<std::remove_cvref_t<decltype(options)>, S> && ...),
            "heed: log-sum-exp, weights and scores are float, or double where q, k and v are double");
        const auto positions = positions_in(joined_masks(options...));
        const auto in = inputs_of(function, q, k, v, positions, options...);
        const problem_shape shape = shape_of(in);
        const auto out = outputs_of<T>(function, used, shape, y, options...);
        used.validate(options...);

        const auto captures = captures_of(function, shape, options...);
        const auto steps = bind_steps<S>(function, shape, positions, options...);
        constexpr bool weighs_twice = count_of<option_kind::probability, decltype(options)...> > 0;
        workspace own;
        workspace& memory = workspace_of(own, options...);
        const device_ref device = device_of(options...);
        const auto run_under = [&](const auto& visible) {
            score_program program{steps, visible, captures};
            const auto problem = problem_of(in, out, program);
            if constexpr (weighs_twice)
                run_with_probability(problem, program.steps.probability, device, memory);
            else
                run_exact(problem, device, memory);
        };
        const auto run_selector = [&](const auto& selector, const auto& visible) {
            if constexpr (weighs_twice) {
                under_kept_keys(in, steps, selector, visible, device, memory, run_under);
            } else {
                const score_program program{steps, visible, captures};
                selector.run(problem_of(in, out, program), visible, device, memory);
            }
        };
        under_masks(function, in, q, k, device, memory, run_under, run_selector, options...);
    }
};

}  // namespace heed::inline HEED_ABI::detail
