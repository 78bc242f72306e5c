// SPDX-License-Identifier: MIT
// heed/kernel/exact/program.hpp: the steps of a call chained into one function of a score
//
//     raw -> [written] -> softcap -> [written] -> score(f) -> alibi -> bias -> mask -> [written]
//
// Steps that were not asked for are no_step and vanish. A program is bound to the call's extents; kernels
// get it as an untyped pointer beside the functions compiled for it. What comes after the softmax, dropout
// and probability(f), stands in it too, and the sinks of the heads.
#pragma once

#include <tuple>

#include <heed/score/dropout.hpp>
#include <heed/score/outputs.hpp>
#include <heed/score/probability.hpp>

namespace heed::inline HEED_ABI::detail {

template <option_kind... Kinds>
struct kind_list {};
// The options that change a score, in the order of their steps. A new one is an entry here, a kind, and a
// file in score/.
using score_order =
    kind_list<option_kind::softcap, option_kind::score, option_kind::alibi, option_kind::bias>;

template <option_kind... Kinds>
auto no_steps(kind_list<Kinds...>) -> std::tuple<std::conditional_t<Kinds == Kinds, no_step, void>...>;

// The steps of a call, bound; of those it does not have no_step, or absent.
template <class Scores = decltype(no_steps(score_order())), class Probability = absent,
          class Dropout = absent, class Sinks = absent>
struct score_steps {
    Scores scores;  // of score_order
    Probability probability;
    Dropout dropout;
    Sinks sinks;
};
template <class Scores, class Probability, class Dropout, class Sinks>
score_steps(Scores, Probability, Dropout, Sinks) -> score_steps<Scores, Probability, Dropout, Sinks>;

// T: what scores are computed in.
template <class T, class O, class Positions>
auto bind_step(const O& o, std::string_view function, const problem_shape& shape,
               const Positions& positions) {
    if constexpr (is_absent<O>) {
        return no_step{};
    } else {
        if constexpr (requires { o.template check_as<T>(function); }) o.template check_as<T>(function);
        if constexpr (
            requires { o.bind(function, shape); } || requires { o.bind(function, shape, positions); }) {
            return bind_at(o, function, shape, positions);
        } else {
            static_assert(
                concepts::score_step<O>,
                "heed::attention: a score step of your own needs operator()(score, heed::at) that gives the "
                "new score; heed/score/concept.hpp has an example");
            return bound_own_step<O>{&o};
        }
    }
}
template <class T, class Positions, option_kind... Kinds>
auto bind_scores(kind_list<Kinds...>, std::string_view function, const problem_shape& shape,
                 const Positions& positions, const auto&... options) {
    return std::tuple(bind_step<T>(pick<Kinds>(options...), function, shape, positions)...);
}
template <class T, class Positions>
auto bind_steps(std::string_view function, const problem_shape& shape, const Positions& positions,
                const auto&... options) {
    const auto& dropout_ = pick<option_kind::dropout>(options...);
    const auto& sinks_ = pick<option_kind::sinks>(options...);
    const auto& probability_ = pick<option_kind::probability>(options...);
    return score_steps{bind_scores<T>(score_order{}, function, shape, positions, options...),
                       bound_probability_of<T>(probability_), dropout_, sinks_};
}

template <class First>
auto chain_of(const First& first) {
    return first;
}
template <class First, class... Rest>
auto chain_of(const First& first, const Rest&... rest) {
    return chained{first, chain_of(rest...)};
}

// Scores that are written out: as they come from the product, behind the softcap, behind the mask.
template <class Capture = no_step>
struct score_captures {
    Capture raw;
    Capture capped;
    Capture biased;
};

template <class Steps, class Mask, class Capture = no_step>
struct score_program;

template <class... Scores, class Probability, class Dropout, class Sinks, class Mask, class Capture>
struct score_program<score_steps<std::tuple<Scores...>, Probability, Dropout, Sinks>, Mask, Capture> {
    score_steps<std::tuple<Scores...>, Probability, Dropout, Sinks> steps;
    Mask mask;
    score_captures<Capture> captures{};

    static constexpr bool changes_scores = !(std::is_same_v<Scores, no_step> && ...);
    static constexpr bool writes_scores = !std::is_same_v<Capture, no_step>;
    static constexpr bool has_mask = !std::is_same_v<Mask, no_mask::bound>;
    static constexpr bool has_dropout = !is_absent<Dropout>;
    static constexpr bool has_sinks = !is_absent<Sinks>;
    static constexpr bool has_probability = !is_absent<Probability>;

    template <class T>
    auto before_mask(const lane_block& block) const {
        return std::apply(
            [&](const auto& softcap_, const auto&... others) {
                return chain_of(captures.raw.template lanes<T>(block), softcap_.template lanes<T>(block),
                                captures.capped.template lanes<T>(block), others.template lanes<T>(block)...);
            },
            steps.scores);
    }

    static cover classify(const void* program, const tile& t) {
        return static_cast<const score_program*>(program)->mask.classify(t);
    }
    static index first_key(const void* program, const tile& t) {
        return first_key_of(static_cast<const score_program*>(program)->mask, t);
    }
    static double sink(const void* program, index head) {
        if constexpr (has_sinks)
            return static_cast<const score_program*>(program)->steps.sinks[head];
        else
            return 0;
    }
};

template <class Steps, class Mask>
score_program(Steps, Mask) -> score_program<Steps, Mask>;
template <class Steps, class Mask, class Capture>
score_program(Steps, Mask, score_captures<Capture>) -> score_program<Steps, Mask, Capture>;

}  // namespace heed::inline HEED_ABI::detail
