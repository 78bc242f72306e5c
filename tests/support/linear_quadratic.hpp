// SPDX-License-Identifier: MIT
// tests/support/linear_quadratic.hpp: linear attention as a sum over pairs of positions
//
// The definition without a state, for the rules that have one (linear and gated):
//
//     w_ij = scale phi(q_i)^T diag(e^{g_{j+1} + ... + g_i}) phi(k_j),   j <= i when causal
//     o_i  = sum_j w_ij v_j,  divided by sum_j w_ij + 1e-10 when normalised
//
// An initial state is a sum of that kind, too: it decays by all of g_0 ... g_i. The kernels of the maps are
// written as products of their own, not by features, where they have such a form (taylor).
#pragma once

#include "linear_reference.hpp"

namespace reference {

inline std::vector<double> solve_linear_by_pairs(const linear_problem& p) {
    const long d = p.d_k, n = p.feature_count(), columns = p.columns(), group = p.heads / p.kv_heads;
    const auto fq = detail::map_rows<double>(p, p.q), fk = detail::map_rows<double>(p, p.k, p.keys);
    std::vector<double> y(p.y_size());
    const auto decay_from = [&](long head, long first, long last, long f) {
        double sum = 0;
        for (long t = first; t <= last && !p.g.empty(); ++t) {
            const long at = head * p.keys + t;
            sum += p.g[static_cast<std::size_t>(p.decay_per_feature ? at * d + f : at)];
        }
        return std::exp(sum);
    };
    for (long row = 0; row < p.batch * p.heads * p.queries; ++row) {
        const long i = row % p.queries, head = row / p.queries / group;
        std::vector<double> sum(static_cast<std::size_t>(columns));
        for (long j = 0; j < p.keys && !(p.causal && j > i); ++j) {
            const long at = head * p.keys + j;
            double weight = 0;
            if (p.map == features::taylor) {
                for (long f = 0; f < d; ++f)
                    weight += p.q[static_cast<std::size_t>(row * d + f)] *
                              p.k[static_cast<std::size_t>(at * d + f)] / std::sqrt(static_cast<double>(d));
                weight = (1 + weight + weight * weight / 2) * decay_from(head, j + 1, i, 0);
            } else {
                for (long f = 0; f < n; ++f)
                    weight += fq[static_cast<std::size_t>(row * n + f)] *
                              fk[static_cast<std::size_t>(at * n + f)] * decay_from(head, j + 1, i, f);
            }
            for (long e = 0; e < columns; ++e)
                sum[static_cast<std::size_t>(e)] +=
                    weight * (e < p.d_v ? p.v[static_cast<std::size_t>(at * p.d_v + e)] : 1);
        }
        for (long f = 0; f < n && !p.initial.empty(); ++f)
            for (long e = 0; e < columns; ++e)
                sum[static_cast<std::size_t>(e)] +=
                    fq[static_cast<std::size_t>(row * n + f)] * decay_from(head, 0, i, f) *
                    p.initial[static_cast<std::size_t>((head * n + f) * columns + e)];
        for (long e = 0; e < p.d_v; ++e) {
            double& to = y[static_cast<std::size_t>(row * p.d_v + e)];
            to = sum[static_cast<std::size_t>(e)];
            to = p.normalised ? to / (sum.back() + 1e-10) : to * p.used_scale();
        }
    }
    return y;
}

}  // namespace reference
