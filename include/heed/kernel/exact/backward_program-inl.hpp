// SPDX-License-Identifier: MIT
// heed/kernel/exact/backward_program-inl.hpp: the derivative of a program's scores, compiled for a target

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
            HEED_KEEP_LOOP
            for (int l = 0; l < w; ++l) before[l] = raw[begin + l];
            HEED_KEEP_LOOP
            for (int l = 0; l < w; ++l) {
                const T s = detail::scalar::choose(before[l] < lowest, lowest, before[l]);
                after[l] = slope(s, block.at_place({begin + l, row}));
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

}  // namespace heed::inline HEED_ABI::HEED_SIMD
