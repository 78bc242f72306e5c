// SPDX-License-Identifier: MIT
// bench/plain_loops-inl.hpp: the ten lines that a user would write, compiled for each target at O3
//
// Plain C++ loops, nothing spelled out for the compiler but that arguments do not overlap. A kernel that
// loses to one of them has no reason to be called.

#ifndef HEED_BENCH_PLAIN_LOOPS_INL
#define HEED_BENCH_PLAIN_LOOPS_INL

#include <cmath>

#include "plain_loops.hpp"

#define HEED_REGION_OF_CALLABLES
#define HEED_FOREACH "plain_loops-inl.hpp"
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

// One position of one head: S = e^g S + k u^T with u = v, or beta (v - (e^g S)^T k); y = scale S^T q.
inline void linear_step_loop(const heed_bench::step& s, const float* __restrict q, const float* __restrict k,
                             const float* __restrict v, float* __restrict S, float* __restrict y) {
    float u[heed_bench::longest_row];
    const float keep = s.decay == nullptr ? 1.0f : std::exp(*s.decay);
    for (long e = 0; e < s.d_v; ++e) u[e] = v[e], y[e] = 0;
    if (s.beta != nullptr) {
        for (long e = 0; e < s.d_v; ++e) u[e] = 0;
        for (long f = 0; f < s.d_k; ++f)
            for (long e = 0; e < s.d_v; ++e) u[e] += k[f] * S[f * s.d_v + e];
        for (long e = 0; e < s.d_v; ++e) u[e] = *s.beta * (v[e] - keep * u[e]);
    }
    for (long f = 0; f < s.d_k; ++f)
        for (long e = 0; e < s.d_v; ++e) {
            S[f * s.d_v + e] = keep * S[f * s.d_v + e] + k[f] * u[e];
            y[e] += q[f] * S[f * s.d_v + e];
        }
    for (long e = 0; e < s.d_v; ++e) y[e] *= s.scale;
}
// The same with a factor for each key feature, as models that keep no logarithms have them.
inline void feature_step_loop(const heed_bench::step& s, const float* __restrict q, const float* __restrict k,
                              const float* __restrict v, float* __restrict S, float* __restrict y) {
    for (long e = 0; e < s.d_v; ++e) y[e] = 0;
    for (long f = 0; f < s.d_k; ++f)
        for (long e = 0; e < s.d_v; ++e) {
            S[f * s.d_v + e] = s.factors[f] * S[f * s.d_v + e] + k[f] * v[e];
            y[e] += q[f] * S[f * s.d_v + e];
        }
    for (long e = 0; e < s.d_v; ++e) y[e] *= s.scale;
}

// softmax(q k^T / sqrt(d)) v of one query.
inline void attention_row_loop(const float* __restrict q, const float* __restrict k,
                               const float* __restrict v, float* __restrict y, float* __restrict scores,
                               long keys, long d) {
    float most = -HUGE_VALF, sum = 0;
    for (long t = 0; t < keys; ++t) {
        float dot = 0;
        for (long f = 0; f < d; ++f) dot += q[f] * k[t * d + f];
        scores[t] = dot / std::sqrt(float(d));
        most = std::fmax(most, scores[t]);
    }
    for (long f = 0; f < d; ++f) y[f] = 0;
    for (long t = 0; t < keys; ++t) {
        const float p = std::exp(scores[t] - most);
        sum += p;
        for (long f = 0; f < d; ++f) y[f] += p * v[t * d + f];
    }
    for (long f = 0; f < d; ++f) y[f] /= sum;
}

// Running maxima over positions, then (most + a1) a2 + a1; the state is the maximum of each feature so far.
inline void cummax_loop(const float* __restrict o, const float* __restrict a1, const float* __restrict a2,
                        float* __restrict y, float* __restrict most, long positions, long d) {
    for (long t = 0; t < positions; ++t)
        for (long f = 0; f < d; ++f) {
            most[f] = o[t * d + f] > most[f] ? o[t * d + f] : most[f];
            y[t * d + f] = (most[f] + a1[t * d + f]) * a2[t * d + f] + a1[t * d + f];
        }
}

inline void layer_norm_loop(const float* __restrict x, const float* __restrict gain,
                            const float* __restrict offset, float* __restrict y, long n) {
    float mean = 0, square = 0;
    for (long i = 0; i < n; ++i) mean += x[i];
    mean /= float(n);
    for (long i = 0; i < n; ++i) square += (x[i] - mean) * (x[i] - mean);
    const float inverse = 1 / std::sqrt(square / float(n) + 1e-5f);
    for (long i = 0; i < n; ++i) y[i] = (x[i] - mean) * inverse * gain[i] + offset[i];
}

inline const heed_bench::plain_loops& loops() {
    static constexpr heed_bench::plain_loops all{&linear_step_loop, &feature_step_loop, &attention_row_loop,
                                                 &cummax_loop, &layer_norm_loop};
    return all;
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
