// SPDX-License-Identifier: MIT
// heed/kernel/exact/program.hpp: the steps of a call chained into one function of a score
//
//     raw -> [written] -> softcap -> [written] -> score(f) -> alibi -> bias -> mask -> [written]
//
// Steps that were not asked for are no_step and vanish. A program is bound to the call's extents; kernels
// get it as an untyped pointer beside the functions compiled for it.
#pragma once

#include <heed/score/dropout.hpp>
#include <heed/score/outputs.hpp>

namespace heed::inline HEED_ABI::detail {

template <class Raw, class Softcap, class Capped, class Score, class Alibi, class Bias, class Mask,
          class Biased, class Dropout, class Sinks>
struct score_program {
    Raw raw;
    Softcap softcap;
    Capped capped;
    Score score;
    Alibi alibi;
    Bias bias;
    Mask mask;
    Biased biased;
    Dropout dropout;
    Sinks sinks;

    static constexpr bool changes_scores =
        !(std::is_same_v<Softcap, no_step> && std::is_same_v<Score, no_step> &&
          std::is_same_v<Alibi, no_step> && std::is_same_v<Bias, no_step>);
    static constexpr bool writes_scores = !std::is_same_v<Raw, no_step>;
    static constexpr bool has_mask = !std::is_same_v<Mask, no_mask::bound>;
    static constexpr bool has_dropout = !is_absent<Dropout>;
    static constexpr bool has_sinks = !is_absent<Sinks>;

    template <class T>
    auto steps(const lane_block& block) const {
        return chained{
            raw.template lanes<T>(block),
            chained{
                softcap.template lanes<T>(block),
                chained{capped.template lanes<T>(block),
                        chained{score.template lanes<T>(block),
                                chained{alibi.template lanes<T>(block), bias.template lanes<T>(block)}}}}};
    }

    static cover classify(const void* program, const tile& t) {
        return static_cast<const score_program*>(program)->mask.classify(t);
    }
    static index first_key(const void* program, const tile& t) {
        return first_key_of(static_cast<const score_program*>(program)->mask, t);
    }
    static double sink(const void* program, index head) {
        if constexpr (has_sinks)
            return static_cast<const score_program*>(program)->sinks[head];
        else
            return 0;
    }
};

template <class... Steps>
score_program(Steps...) -> score_program<Steps...>;

}  // namespace heed::inline HEED_ABI::detail
