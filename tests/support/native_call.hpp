// SPDX-License-Identifier: MIT
// tests/support/native_call.hpp: random problems of native sparse attention, solved by heed and checked
//
// An element may be wrong by 4 eps sum |gate p v| (1 + scale max sum |q k|), and by the rounding of a 16-bit
// result. Two blocks that weigh the same up to rounding may change places: such queries are left out, and
// counted, since a test that leaves out many shows nothing.
#pragma once

#include <heed/sparse.hpp>

#include "check.hpp"
#include "native_reference.hpp"

namespace support {

template <class T>
struct native_inputs {
    tensor<T> q, k, v, gates;
    explicit native_inputs(const native_reference::problem& p)
        : q(tensor4<T>(p.q, p.batch, p.heads, p.queries, p.d_k)),
          k(tensor4<T>(p.k, p.batch, p.kv_heads, p.keys, p.d_k)),
          v(tensor4<T>(p.v, p.batch, p.kv_heads, p.keys, p.d_v)),
          gates(tensor4<T>(p.gates, p.batch, p.heads, p.queries, 3)) {}
};

inline heed::native_blocks sizes_of(const native_reference::problem& p) {
    return {.compress_block = p.block,
            .compress_stride = p.stride,
            .select_block = p.select_block,
            .select_count = p.count,
            .window = p.window};
}

template <class T>
void fill(native_reference::problem& p, random& r) {
    const auto size = [&](long heads, long positions, long features) {
        return static_cast<std::size_t>(p.batch * heads * positions * features);
    };
    p.q = normals<T>(r, size(p.heads, p.queries, p.d_k), 1.5);
    p.k = normals<T>(r, size(p.kv_heads, p.keys, p.d_k), 1.5);
    p.v = normals<T>(r, size(p.kv_heads, p.keys, p.d_v));
    p.gates = normals<T>(r, size(p.heads, p.queries, 3));
    p.scale = 1 / std::sqrt(double(p.d_k));
}

// Blocks so small that everything happens within 50 keys.
template <class T>
native_reference::problem native_problem(random& r) {
    native_reference::problem p;
    p.stride = r.between(1, 3);
    p.block = p.stride * r.between(1, 3);
    p.select_block = p.stride * r.between(1, 5);
    p.count = r.between(3, 7);
    p.window = r.skewed(1, 40);
    p.batch = r.skewed(1, 2);
    p.kv_heads = r.skewed(1, 2);
    p.heads = p.kv_heads * r.skewed(1, 20);
    p.queries = r.skewed(1, 90);
    p.keys = r.chance(0.5) ? p.queries : r.skewed(1, 130);
    p.d_k = r.skewed(1, 20);
    p.d_v = r.chance(0.5) ? p.d_k : r.skewed(1, 20);
    fill<T>(p, r);
    return p;
}

// The largest error of y as a share of what is allowed. Queries whose selection is too close to call are
// added to `close`.
template <class T>
double native_excess(const native_reference::problem& p, const native_reference::answer& truth,
                     const std::vector<double>& got, long& close) {
    const double eps = static_cast<double>(std::numeric_limits<sum_type<T>>::epsilon());
    double worst = 0;
    if (got.size() != truth.y.size()) return HUGE_VAL;
    for (long b = 0; b < p.batch; ++b)
        for (long h = 0; h < p.heads; ++h)
            for (long i = 0; i < p.queries; ++i) {
                const auto query = static_cast<std::size_t>((b * p.heads + h) * p.queries + i);
                const double gap =
                    truth.gap[static_cast<std::size_t>((b * p.kv_heads + h / p.group()) * p.queries + i)];
                if (gap < 1e3 * eps) {
                    ++close;
                    continue;
                }
                for (std::size_t f = 0; f < static_cast<std::size_t>(p.d_v); ++f) {
                    const std::size_t x = query * static_cast<std::size_t>(p.d_v) + f;
                    double allowed = 4 * eps * truth.allowed[x];
                    if constexpr (sizeof(T) == 2) allowed += 0.5 * ulp<T>(truth.y[x]) * (1 + 1e-3);
                    const double error = std::fabs(got[x] - truth.y[x]);
                    if (std::isnan(error)) return HUGE_VAL;
                    if (error > 0) worst = std::fmax(worst, allowed > 0 ? error / allowed : HUGE_VAL);
                }
            }
    return worst;
}

inline std::string describe(const native_reference::problem& p) {
    const auto n = [](long x) { return std::to_string(x); };
    return "B:" + n(p.batch) + " H:" + n(p.heads) + "/" + n(p.kv_heads) + " S:" + n(p.queries) +
           " T:" + n(p.keys) + " D:" + n(p.d_k) + "/" + n(p.d_v) + " blocks " + n(p.block) + "/" +
           n(p.stride) + "/" + n(p.select_block) + "x" + n(p.count) + " window " + n(p.window);
}

template <class T>
void check_native(const native_reference::problem& p, const tensor<T>& y, long& close) {
    const double off = native_excess<T>(p, native_reference::solve(p), values(y), close);
    if (!(off <= 1)) {
        INFO(describe(p));
        CHECK(off <= 1);
    } else {
        CHECK(off <= 1);
    }
}

}  // namespace support
