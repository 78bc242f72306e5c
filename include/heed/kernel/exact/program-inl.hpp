// SPDX-License-Identifier: MIT
// heed/kernel/exact/program-inl.hpp: a program over rows of scores, compiled for a target
//
// The inner loop has a fixed trip count of one pack and works on local copies, so that a callable without
// branches becomes vector code: no remainder, and no doubt whether it writes to what it reads.

namespace heed::inline HEED_ABI::HEED_SIMD {

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
        const auto steps = program.template steps<T>(block);
        const auto visible = program.mask.lanes(block);
        const auto written = program.biased.template lanes<T>(block);
        for (std::int32_t row = 0; row < block.rows; ++row, scores += row_stride)
            for (std::int32_t begin = 0; begin < lanes; begin += w) {
                T before[w];
                T after[w];
                HEED_KEEP_LOOP
                for (int l = 0; l < w; ++l) before[l] = scores[begin + l];
                HEED_KEEP_LOOP
                for (int l = 0; l < w; ++l) {
                    const detail::place x{begin + l, row};
                    const at i = block.at_place(x);
                    // What overflowed to -inf is small, not hidden.
                    T s = detail::scalar::choose(before[l] < lowest, lowest, before[l]);
                    s = steps(s, i, x);
                    if constexpr (Masked) s = detail::scalar::choose(visible(i, x), s, hidden);
                    after[l] = written(s, i, x);
                }
                HEED_KEEP_LOOP
                for (int l = 0; l < w; ++l) scores[begin + l] = after[l];
            }
    }
}

template <class Program, class T>
void run_dropout(const void* context, T* weights, index row_stride, const detail::lane_block& block,
                 index lanes) {
    constexpr int w = lanes_of<T>;
    const Program& program = *static_cast<const Program*>(context);
    const T factor = static_cast<T>(program.dropout.factor());
    const auto kept = program.dropout.of(block.first);
    for (std::int32_t row = 0; row < block.rows; ++row, weights += row_stride)
        for (std::int32_t begin = 0; begin < lanes; begin += w) {
            HEED_KEEP_LOOP
            for (int l = 0; l < w; ++l) {
                const at i = block.at_place({begin + l, row});
                weights[begin + l] *= kept(i) ? factor : T(0);
            }
        }
}

template <class Program, class T>
void compile_program(detail::score_function<T>& score, detail::score_function<T>& masked,
                     detail::score_function<T>& drop) {
    if constexpr (Program::changes_scores) score = &run_program<Program, T, false>;
    if constexpr (Program::changes_scores || Program::has_mask || Program::writes_scores)
        masked = &run_program<Program, T, true>;
    if constexpr (Program::has_dropout) drop = &run_dropout<Program, T>;
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
