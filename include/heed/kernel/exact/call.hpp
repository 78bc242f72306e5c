// SPDX-License-Identifier: MIT
// heed/kernel/exact/call.hpp: from a call's tensors and options to a checked problem
//
// Everything a caller can get wrong is found here, before anything is written.
#pragma once

#include <cmath>

#include <heed/core/check.hpp>
#include <heed/kernel/exact/run.hpp>
#include <heed/mask/concept.hpp>
#include <heed/score/alibi.hpp>
#include <heed/score/bias.hpp>
#include <heed/score/custom.hpp>
#include <heed/score/scale.hpp>
#include <heed/score/sinks.hpp>
#include <heed/score/softcap.hpp>

namespace heed {
inline namespace HEED_ABI {
namespace detail {

// A selector that knows which share of the mass it kept, and writes p.coverage.
template <class O>
concept guarantees_mass = requires {
    requires std::remove_cvref_t<O>::guarantees_mass;
};
// A selector that some options would prove wrong says so itself.
template <class O, class... Options>
constexpr void check_beside() {
    if constexpr (requires { std::remove_cvref_t<O>::template beside<Options...>(); })
        std::remove_cvref_t<O>::template beside<Options...>();
}

// The options of exact attention, each at most once; any number of masks.
template <class... Options>
constexpr void check_exact_options() {
    static_assert((is_option<Options> && ...),
                  "heed::attention: an argument after q, k, v is not an option; options are values such as "
                  "heed::causal or heed::scale(0.125f)");
    if constexpr ((is_option<Options> && ...)) {
        static_assert(count_of<option_kind::scale, Options...> <= 1, "heed::attention: scale is given twice");
        static_assert(count_of<option_kind::softcap, Options...> <= 1,
                      "heed::attention: softcap is given twice");
        static_assert(count_of<option_kind::score, Options...> <= 1,
                      "heed::attention: score is given twice; put both into one function");
        static_assert(count_of<option_kind::alibi, Options...> <= 1, "heed::attention: alibi is given twice");
        static_assert(count_of<option_kind::bias, Options...> <= 1,
                      "heed::attention: bias is given twice; add the tensors");
        static_assert(count_of<option_kind::sinks, Options...> <= 1, "heed::attention: sinks is given twice");
        static_assert(count_of<option_kind::dropout, Options...> <= 1,
                      "heed::attention: dropout is given twice");
        static_assert(count_of<option_kind::logsumexp, Options...> <= 1,
                      "heed::attention: logsumexp is given twice");
        static_assert(count_of<option_kind::weights, Options...> <= 1,
                      "heed::attention: weights is given twice");
        static_assert(count_of<option_kind::scores, Options...> <= 1,
                      "heed::attention: scores is given twice");
        static_assert(count_of<option_kind::on, Options...> <= 1,
                      "heed::attention: on(device) is given twice");
        static_assert(count_of<option_kind::use, Options...> <= 1,
                      "heed::attention: use(workspace) is given twice");
        static_assert(count_of<option_kind::select, Options...> <= 1,
                      "heed::attention: two selectors of keys are given, needs one; masks and one selector "
                      "combine");
        static_assert(count_of<option_kind::coverage, Options...> <= 1,
                      "heed::attention: coverage is given twice");
        static_assert(
            count_of<option_kind::coverage, Options...> == 0 || (guarantees_mass<Options> || ...),
            "heed::attention: coverage(t) is what a selector guarantees; needs certified(tau) in the "
            "call");
        (check_beside<Options, Options...>(), ...);
    }
}

// All masks of a call as one.
inline no_mask joined_masks() { return {}; }
template <class First, class... Rest>
auto joined_masks(const First& first, const Rest&... rest) {
    if constexpr (First::kind != option_kind::mask)
        return joined_masks(rest...);
    else if constexpr (count_of<option_kind::mask, Rest...> == 0)
        return first;
    else
        return and_mask(first, joined_masks(rest...));
}

template <class O>
auto bind_step(const O& o, std::string_view function, const problem_shape& shape) {
    if constexpr (is_absent<O>)
        return no_step{};
    else
        return o.bind(function, shape);
}

// Is an option that writes (or an absent one) of the type sums are kept in?
template <class O, class S>
inline constexpr bool writes_sums = true;
template <class O, class S>
requires requires(const O& o) { o.to.data; }
inline constexpr bool writes_sums<O, S> = std::is_same_v<decltype(std::declval<const O&>().to.data), S*>;

// y holds T, or the type sums are kept in.
template <class T, class Y>
void exact_attention(std::string_view function, const view<Y>& y, const view<const T>& q,
                     const view<const T>& k, const view<const T>& v, const auto&... options) {
    using E = storage_t<T>;
    using S = sum_t<T>;
    static_assert((writes_sums<std::remove_cvref_t<decltype(options)>, S> && ...),
                  "heed: log-sum-exp, weights and scores are float, or double where q, k and v are double");
    check_shapes(function, q, k, v, &y);
    const problem_shape shape{q.batch(), q.heads(), q.positions(), k.positions()};
    const std::array<index, 4> score_extents{shape.batch, shape.heads, shape.queries, shape.keys};

    exact_problem<E> p;
    p.q = strided_of<E>(q);
    p.k = strided_of<E>(k);
    p.v = strided_of<E>(v);
    if constexpr (std::is_same_v<Y, T>)
        p.y = strided_of<E>(y);
    else
        p.y_sum = strided_of<S>(y);
    p.batch = shape.batch;
    p.heads = shape.heads;
    p.kv_heads = k.heads() > 0 ? k.heads() : 1;
    p.queries = shape.queries;
    p.keys = shape.keys;
    p.features = q.features();
    p.value_features = v.features();

    const auto& factor = pick<option_kind::scale>(options...);
    if constexpr (is_absent<decltype(factor)>) {
        p.scale = static_cast<S>(1 / std::sqrt(static_cast<double>(p.features)));
    } else {
        if (!(std::abs(factor.factor) <= 3e38))
            fail(function, {"scale is ", factor.factor, ", needs a finite number"});
        p.scale = static_cast<S>(factor.factor);
    }

    const auto& sinks_ = pick<option_kind::sinks>(options...);
    const auto& dropout_ = pick<option_kind::dropout>(options...);
    if constexpr (!is_absent<decltype(sinks_)>) sinks_.check(function, shape);
    if constexpr (!is_absent<decltype(dropout_)>) dropout_.check(function);

    // Outputs beside y, each with memory of its own.
    byte_span written[4];
    const char* written_names[4] = {"logsumexp", "weights", "scores", "coverage"};
    const auto& lse = pick<option_kind::logsumexp>(options...);
    if constexpr (!is_absent<decltype(lse)>) {
        const auto t =
            exact_extents(function, "logsumexp", lse.to, {1, shape.batch, shape.heads, shape.queries}, 3);
        p.logsumexp = {t.data, {t.strides[1], t.strides[2], t.strides[3], 0}};
        written[0] = bytes_of(t);
    } else {
        written[0].extents[0] = 0;
    }
    const auto& weights_ = pick<option_kind::weights>(options...);
    if constexpr (!is_absent<decltype(weights_)>) {
        const auto t = exact_extents(function, "weights", weights_.to, score_extents, 4);
        p.weights = {t.data, {t.strides[0], t.strides[1], t.strides[2], t.strides[3]}};
        written[1] = bytes_of(t);
    } else {
        written[1].extents[0] = 0;
    }
    written[2].extents[0] = 0;
    const auto& scores_ = pick<option_kind::scores>(options...);
    const auto captured = [&] {
        if constexpr (is_absent<decltype(scores_)>) {
            return std::array<no_step, 3>{};
        } else {
            const auto t = exact_extents(function, "scores", scores_.to, score_extents, 4);
            written[2] = bytes_of(t);
            std::array<bound_capture<S>, 3> steps{};
            if (scores_.at_stage == stage::probabilities) {
                if (p.weights.data != nullptr)
                    fail(function,
                         {"scores(t, stage::probabilities) is what weights(t) writes; give one of them"});
                p.weights = {t.data, {t.strides[0], t.strides[1], t.strides[2], t.strides[3]}};
            } else {
                steps[static_cast<std::size_t>(scores_.at_stage)].to = t;
            }
            return steps;
        }
    }();
    written[3].extents[0] = 0;
    const auto& coverage_ = pick<option_kind::coverage>(options...);
    if constexpr (!is_absent<decltype(coverage_)>) {
        const auto t = exact_extents(function, "coverage", coverage_.to,
                                     {1, shape.batch, shape.heads, shape.queries}, 3);
        p.coverage = {t.data, {t.strides[1], t.strides[2], t.strides[3], 0}};
        written[3] = bytes_of(t);
    }
    const auto check_options = [&](const char* output, const byte_span& span) {
        const char* shared = nullptr;
        ((shared = shared != nullptr ? shared : overlapped_by(options, span)), ...);
        if (shared != nullptr) fail(function, {output, " overlaps ", shared, ", needs memory of its own"});
    };
    check_options("y", bytes_of(y));
    const std::pair<const char*, byte_span> inputs[] = {
        {"q", bytes_of(q)}, {"k", bytes_of(k)}, {"v", bytes_of(v)}, {"y", bytes_of(y)}};
    for (int i = 0; i < 4; ++i) {
        if (written[i].empty()) continue;
        check_distinct_elements(function, written_names[i], written[i]);
        check_options(written_names[i], written[i]);
        for (const auto& [name_, span] : inputs)
            check_overlap(function, written_names[i], written[i], name_, span);
        for (int j = 0; j < i; ++j)
            check_overlap(function, written_names[i], written[i], written_names[j], written[j]);
    }

    const auto softcap_ = bind_step(pick<option_kind::softcap>(options...), function, shape);
    const auto score_ = bind_step(pick<option_kind::score>(options...), function, shape);
    const auto alibi_ = bind_step(pick<option_kind::alibi>(options...), function, shape);
    const auto bias_ = bind_step(pick<option_kind::bias>(options...), function, shape);
    const auto joined = joined_masks(options...);
    const auto mask_ = joined.bind(function, shape);

    const auto& on_ = pick<option_kind::on>(options...);
    const auto& use_ = pick<option_kind::use>(options...);
    workspace own;
    workspace* memory = &own;
    if constexpr (!is_absent<decltype(use_)>) memory = use_.memory;
    const auto* const device_ = [&] {
        if constexpr (is_absent<decltype(on_)>)
            return static_cast<const one_thread*>(nullptr);
        else
            return on_.used;
    }();

    // The problem with a mask: that of the call, or joined by what a selector found in the data.
    const auto with_mask = [&](const auto& visible, const auto& run) {
        const score_program program{captured[0], softcap_, captured[1], score_,   alibi_,
                                    bias_,       visible,  captured[2], dropout_, sinks_};
        using Program = std::remove_const_t<decltype(program)>;
        compile_program<Program, S>(p.score, p.score_masked, p.drop);
        p.program = &program;
        p.has_sinks = Program::has_sinks;
        p.sink = &Program::sink;
        p.visit_all = Program::writes_scores || p.weights.data != nullptr;
        if (Program::has_mask) p.classify = &Program::classify;
        p.group_sees_alike = sees_alike(visible, p.heads / p.kv_heads);
        run();
    };
    const auto& select_ = pick<option_kind::select>(options...);
    if constexpr (is_absent<decltype(select_)>) {
        with_mask(mask_, [&] { run_exact(p, device_, *memory); });
    } else {
        if constexpr (requires { select_.check(function, p); })
            select_.check(function, p);
        else
            select_.check(function, shape);
        if constexpr (requires { select_.choose(p, mask_, device_, *memory); }) {
            const auto chosen = select_.choose(p, mask_, device_, *memory);
            with_mask(
                bound_and<std::remove_cvref_t<decltype(mask_)>, std::remove_cvref_t<decltype(chosen)>>{
                    mask_, chosen},
                [&] { run_exact(p, device_, *memory); });
        } else if constexpr (requires { select_.run(p, mask_, device_, *memory); }) {
            with_mask(mask_, [&] { select_.run(p, mask_, device_, *memory); });
        } else {
            with_mask(mask_, [&] { select_.run(p, device_, *memory); });
        }
    }
}

}  // namespace detail
}  // namespace HEED_ABI
}  // namespace heed
