// SPDX-License-Identifier: MIT
// heed/kernel/exact/program-inl.hpp: a program over rows of scores, compiled for a target
//
// The inner loop has a fixed trip count of one pack and works on local copies, so that a callable without
// branches becomes vector code: no remainder, and no doubt whether it writes to what it reads.

#ifndef HEED_KERNEL_EXACT_PROGRAM_INL
#define HEED_KERNEL_EXACT_PROGRAM_INL

#include <heed/kernel/exact/problem.hpp>
#include <heed/mask/concept.hpp>
#include <heed/simd/pack-inl.hpp>

#define HEED_REGION_OF_CALLABLES
#define HEED_FOREACH <heed/kernel/exact/program-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

// A pack of numbers as an array of its own, and back.
template <class T>
HEED_INLINE void load_lanes(const T* from, T (&to)[lanes_of<T>]) {
    HEED_KEEP_LOOP
    for (int l = 0; l < lanes_of<T>; ++l) to[l] = from[l];
}
template <class T>
HEED_INLINE void store_lanes(const T (&from)[lanes_of<T>], T* to) {
    HEED_KEEP_LOOP
    for (int l = 0; l < lanes_of<T>; ++l) to[l] = from[l];
}

// Flattened: a callable of more than a few operations would otherwise stay a call, and its row scalar.
template <class Program, class T, bool Masked>
HEED_FLATTEN void run_program(const void* context, T* scores, index row_stride, const detail::lane_block& all,
                              index lanes) {
    constexpr int w = lanes_of<T>;
    const T lowest = constants<T>::lowest;
    const T hidden = detail::minus_infinity<T>();
    const Program& program = *static_cast<const Program*>(context);
    detail::lane_block block = all;
    for (std::int32_t done = 0; done < all.rows; done += detail::most_rows) {
        block.rows = all.rows - done < detail::most_rows ? all.rows - done : detail::most_rows;
        block.first.query = all.first.query + (done & all.key_step);
        block.first.key = all.first.key + (done & all.query_step);
        const auto steps = program.template before_mask<T>(block);
        const auto visible = detail::lanes_of(program.mask, block);
        const auto written = program.captures.biased.template lanes<T>(block);
        for (std::int32_t row = 0; row < block.rows; ++row, scores += row_stride)
            for (std::int32_t begin = 0; begin < lanes; begin += w) {
                T before[w];
                T after[w];
                load_lanes(scores + begin, before);
                HEED_KEEP_LOOP
                for (int l = 0; l < w; ++l) {
                    const detail::lane_pos x{begin + l, row};
                    const at i = block.at_pos(x);
                    // What overflowed to -inf is small, not hidden.
                    T s = detail::scalar::choose(before[l] < lowest, lowest, before[l]);
                    s = steps(s, i, x);
                    if constexpr (Masked) s = detail::scalar::choose(visible(i, x), s, hidden);
                    after[l] = written(s, i, x);
                }
                store_lanes(after, scores + begin);
            }
    }
}

template <class Program, class T>
void run_dropout(const void* context, T* weights, index row_stride, const detail::lane_block& block,
                 index lanes) {
    constexpr int w = lanes_of<T>;
    const Program& program = *static_cast<const Program*>(context);
    const auto& dropout = program.steps.dropout;
    const T factor = static_cast<T>(dropout.factor());
    const auto kept = dropout.of(block.first);
    for (std::int32_t row = 0; row < block.rows; ++row, weights += row_stride)
        for (std::int32_t begin = 0; begin < lanes; begin += w) {
            HEED_KEEP_LOOP
            for (int l = 0; l < w; ++l) {
                const at i = block.at_pos({begin + l, row});
                weights[begin + l] *= kept(i) ? factor : T(0);
            }
        }
}

// Scores to what meets the values: f(e^(s - shift) factor), and 0 where a score is hidden.
template <class Program, class T>
HEED_FLATTEN void run_probability(const void* context, T* scores, index row_stride,
                                  const detail::lane_block& block, index lanes) {
    constexpr int w = lanes_of<T>;
    const auto& probability = static_cast<const Program*>(context)->steps.probability;
    T shift[detail::most_lanes];
    T factor[detail::most_lanes];
    for (std::int32_t row = 0; row < block.rows; ++row, scores += row_stride) {
        // Lanes that are queries have the same numbers in every row.
        if (row == 0 || !block.lanes_are_queries())
            for (std::int32_t l = 0; l < lanes; ++l) {
                const at i = block.at_pos({l, row});
                shift[l] = probability.shift(i);
                factor[l] = probability.factor(i);
            }
        for (std::int32_t begin = 0; begin < lanes; begin += w) {
            T before[w];
            T after[w];
            load_lanes(scores + begin, before);
            HEED_KEEP_LOOP
            for (int l = 0; l < w; ++l) {
                const T p = math::exp(before[l] - shift[begin + l]) * factor[begin + l];
                const T f = probability(p, block.at_pos({begin + l, row}));
                after[l] = detail::scalar::choose(detail::is_minus_infinity(before[l]), T(0), f);
            }
            store_lanes(after, scores + begin);
        }
    }
}

// The functions of a program; those it does not need stay as they are.
template <class Program, class T>
void compile_program(detail::exact_hooks<T>& hooks) {
    if constexpr (Program::changes_scores) hooks.score = &run_program<Program, T, false>;
    if constexpr (Program::changes_scores || Program::has_mask || Program::writes_scores)
        hooks.score_masked = &run_program<Program, T, true>;
    if constexpr (Program::has_dropout) hooks.drop = &run_dropout<Program, T>;
    if constexpr (Program::has_probability) hooks.probability = &run_probability<Program, T>;
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
