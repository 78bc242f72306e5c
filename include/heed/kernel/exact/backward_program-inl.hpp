// SPDX-License-Identifier: MIT
// heed/kernel/exact/backward_program-inl.hpp: the derivative of a program's scores, compiled for a target

#ifndef HEED_KERNEL_EXACT_BACKWARD_PROGRAM_INL
#define HEED_KERNEL_EXACT_BACKWARD_PROGRAM_INL

#include <heed/kernel/exact/backward_problem.hpp>
#include <heed/kernel/exact/program-inl.hpp>
#include <heed/mask/concept.hpp>
#include <heed/simd/pack-inl.hpp>

#define HEED_REGION_OF_CALLABLES
#define HEED_FOREACH <heed/kernel/exact/backward_program-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

// ds *= d score / d raw. Where ds is 0 it stays: the score may be hidden, and its raw product anything.
template <class Derivative, class T>
HEED_FLATTEN void run_derivative(const void* context, const T* raw, index raw_row, T* ds, index ds_row,
                                 const detail::lane_block& block, index lanes) {
    constexpr int w = lanes_of<T>;
    const Derivative& derivative = *static_cast<const Derivative*>(context);
    const T lowest = constants<T>::lowest;
    const auto slope = derivative.template slope<T>();
    for (std::int32_t row = 0; row < block.rows; ++row, raw += raw_row, ds += ds_row)
        for (std::int32_t begin = 0; begin < lanes; begin += w) {
            T before[w];
            T after[w];
            load_lanes(raw + begin, before);
            HEED_KEEP_LOOP
            for (int l = 0; l < w; ++l) {
                const T s = detail::scalar::choose(before[l] < lowest, lowest, before[l]);
                after[l] = slope(s, block.at_pos({begin + l, row}));
            }
            HEED_KEEP_LOOP
            for (int l = 0; l < w; ++l) {
                const T d = ds[begin + l];
                ds[begin + l] = detail::scalar::choose(d == T(0), d, d * after[l]);
            }
        }
}

template <class Derivative, class T>
detail::derivative_function<T> compile_derivative() {
    return &run_derivative<Derivative, T>;
}

template <class Program, class T>
HEED_FLATTEN void run_probability_gradient(const void* context, T* s, index s_row, T* dp, index dp_row,
                                           const detail::lane_block& block, index lanes,
                                           const detail::row_numbers<T>& numbers, bool may_hide) {
    constexpr int w = lanes_of<T>;
    const auto& probability = static_cast<const Program*>(context)->steps.probability;
    for (std::int32_t row = 0; row < block.rows; ++row, s += s_row, dp += dp_row) {
        const T shift = numbers.shift[row];
        const T factor = numbers.factor[row];
        const T delta = numbers.delta[row];
        for (std::int32_t begin = 0; begin < lanes; begin += w) {
            T score[w];
            T flow[w];
            T weight[w];
            load_lanes(s + begin, score);
            load_lanes(dp + begin, flow);
            HEED_KEEP_LOOP
            for (int l = 0; l < w; ++l) {
                const at i = block.at_pos({begin + l, row});
                const bool hidden = (int{may_hide} & int{detail::is_minus_infinity(score[l])}) != 0;
                // Above 0 are lanes past the last key alone.
                const T x = score[l] - shift;
                const T p = math::exp(detail::scalar::choose(x > T(0), T(0), x)) * factor;
                const T slope = probability.slope(p, i);
                const T ds = p * (flow[l] * slope - delta);
                weight[l] = detail::scalar::choose(hidden, T(0), probability(p, i));
                flow[l] = detail::scalar::choose(hidden, T(0), ds);
            }
            store_lanes(weight, s + begin);
            store_lanes(flow, dp + begin);
        }
    }
}

template <class Program, class T>
detail::probability_function<T> compile_probability_gradient() {
    return &run_probability_gradient<Program, T>;
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
