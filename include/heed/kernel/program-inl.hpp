// SPDX-License-Identifier: MIT
// heed/kernel/program-inl.hpp: a program over rows of scores, compiled for a target
//
// The inner loop has a fixed trip count of one pack and works on local copies, so that a callable without
// branches becomes vector code: no remainder, and no doubt whether it writes to what it reads.

namespace heed {
inline namespace HEED_ABI {
namespace HEED_SIMD {

template <class Program, class T, bool Masked>
void run_program(const void* context, T* scores, index row_stride, detail::lane_row row, index rows,
                 index lanes) {
    constexpr int w = lanes_of<T>;
    const T lowest = constants<T>::lowest;
    const T hidden = detail::scalar::float_of(constants<T>::minus_infinity_bits);
    const Program& program = *static_cast<const Program*>(context);
    for (index r = 0; r < rows; ++r, scores += row_stride) {
        const auto steps = program.template steps<T>(row);
        const auto visible = program.mask.lanes(row);
        const auto written = program.biased.template lanes<T>(row);
        for (index begin = 0; begin < lanes; begin += w) {
            T before[w];
            T after[w];
            for (int l = 0; l < w; ++l) before[l] = scores[begin + l];
            for (int l = 0; l < w; ++l) {
                const std::int32_t lane = static_cast<std::int32_t>(begin) + l;
                const at i = row.at_lane(lane);
                // What overflowed to -inf is small, not hidden.
                T s = before[l] < lowest ? lowest : before[l];
                s = steps(s, i, lane);
                if constexpr (Masked) s = visible(i, lane) ? s : hidden;
                after[l] = written(s, i, lane);
            }
            for (int l = 0; l < w; ++l) scores[begin + l] = after[l];
        }
        // The other coordinate moves on.
        row.first.query += row.key_step & 1;
        row.first.key += row.query_step & 1;
    }
}

template <class Program, class T>
void run_dropout(const void* context, T* weights, index row_stride, detail::lane_row row, index rows, index lanes) {
    constexpr int w = lanes_of<T>;
    const Program& program = *static_cast<const Program*>(context);
    const T factor = static_cast<T>(program.dropout.factor());
    const auto kept = program.dropout.of(row.first);
    for (index r = 0; r < rows; ++r, weights += row_stride) {
        for (index begin = 0; begin < lanes; begin += w)
            for (int l = 0; l < w; ++l) {
                const at i = row.at_lane(static_cast<std::int32_t>(begin) + l);
                weights[begin + l] *= kept(i) ? factor : T(0);
            }
        row.first.query += row.key_step & 1;
        row.first.key += row.query_step & 1;
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

}  // namespace HEED_SIMD
}  // namespace HEED_ABI
}  // namespace heed
