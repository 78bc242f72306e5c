// SPDX-License-Identifier: MIT
// bench/native.cpp: native sparse attention: the last queries of a long prompt, and a step over carried keys
//
// The truth chooses its blocks in double by the same rule. Two blocks that weigh the same up to rounding may
// change places; the error of such a row is that of another choice.
#include <algorithm>
#include <cmath>
#include <limits>

#include <heed/sparse.hpp>

#include "variant.hpp"

namespace heed_bench {
namespace {

const heed::native_blocks sizes;

// Gates between 0.2 and 0.8, with no period that a block would share.
double gate(size head, size query, size branch) {
    return 0.2 + 0.6 * double((query * 53 + head * 29 + branch * 31) % 97) / 97;
}

tensor make_gates(const shape& s) {
    tensor g(s.batch, s.heads, s.queries, 3);
    for (size b = 0; b < s.batch; ++b)
        for (size h = 0; h < s.heads; ++h)
            for (size i = 0; i < s.queries; ++i)
                for (size c = 0; c < 3; ++c) g(b, h, i, c) = float(gate(h, i, c));
    return g;
}

// Keys that a query at p reads: compressed, of its blocks, of its window.
double keys_read(size p) {
    if (p < 0) return 0;
    const size own = p / sizes.select_block;
    const size blocks = std::min<size>(own + 1, sizes.select_count);
    return double(sizes.compressed_of(p + 1) + (blocks - 1) * sizes.select_block + p % sizes.select_block +
                  1 + std::min(p + 1, sizes.window));
}

double flops(const shape& s) {
    double keys = 0;
    for (size query = 0; query < s.queries; ++query) keys += keys_read(query + s.shift());
    return 4.0 * double(s.batch * s.heads * s.head_dim) * keys;
}

// Keys and values that a row sees, as numbers in double.
using rows = std::vector<std::vector<double>>;

std::vector<double> softmax(const problem& p, size b, size h, size query, const rows& keys) {
    std::vector<double> w;
    double most = -std::numeric_limits<double>::infinity(), sum = 0;
    for (const auto& k : keys) {
        double s = 0;
        for (size f = 0; f < p.extent.head_dim; ++f) s += double(p.q(b, h, query, f)) * k[std::size_t(f)];
        w.push_back(s / std::sqrt(double(p.extent.head_dim)));
        most = std::max(most, w.back());
    }
    for (double& x : w) sum += x = std::exp(x - most);
    for (double& x : w) x /= sum;
    return w;
}

void add(const std::vector<double>& weights, const rows& values, double factor, std::vector<double>& y) {
    for (std::size_t t = 0; t < weights.size(); ++t)
        for (std::size_t f = 0; f < y.size(); ++f) y[f] += factor * weights[t] * values[t][f];
}

true_row reference(const problem& p, size b, size h, size query) {
    const shape& s = p.extent;
    const size group = s.heads / s.kv_heads, kv = h / group, at = query + s.shift();
    true_row result{std::vector<double>(std::size_t(s.head_dim)), std::nan("")};
    if (at < 0) return result;
    const auto mean = [&](const tensor& x, size first, size count) {
        std::vector<double> m(std::size_t(s.head_dim), 0.0);
        for (size t = first; t < first + count; ++t)
            for (size f = 0; f < s.head_dim; ++f) m[std::size_t(f)] += double(x(b, kv, t, f)) / double(count);
        return m;
    };
    rows keys, values;
    for (size i = 0; i < sizes.compressed_of(at + 1); ++i) {
        keys.push_back(mean(p.k, i * sizes.compress_stride, sizes.compress_block));
        values.push_back(mean(p.v, i * sizes.compress_stride, sizes.compress_block));
    }
    const size own = at / sizes.select_block, per_block = sizes.select_chunks();
    std::vector<double> weight(std::size_t(own) + 1, 0.0);
    for (size g = kv * group; g < (kv + 1) * group; ++g) {
        const auto w = softmax(p, b, g, query, keys);
        if (g == h) add(w, values, gate(h, query, 0), result.y);
        for (size i = 0; i < size(w.size()); ++i)
            for (size c = i; c < i + sizes.chunks(); ++c)
                weight[std::size_t(c / per_block)] += w[std::size_t(i)];
    }
    std::vector<size> order;
    for (size j = 1; j < own - 1; ++j) order.push_back(j);
    std::stable_sort(order.begin(), order.end(),
                     [&](size x, size y) { return weight[std::size_t(x)] > weight[std::size_t(y)]; });
    order.resize(std::size_t(std::min<size>(size(order.size()), sizes.select_count - 3)));
    for (size j = std::max<size>(0, own - 1); j <= own; ++j) order.push_back(j);
    if (own > 1) order.push_back(0);
    for (const bool chosen : {true, false}) {
        keys.clear(), values.clear();
        const auto see = [&](size t) {
            keys.push_back(mean(p.k, t, 1));
            values.push_back(mean(p.v, t, 1));
        };
        if (chosen)
            for (const size j : order)
                for (size t = j * sizes.select_block; t <= std::min((j + 1) * sizes.select_block - 1, at);
                     ++t)
                    see(t);
        else
            for (size t = std::max<size>(0, at - sizes.window + 1); t <= at; ++t) see(t);
        add(softmax(p, b, h, query, keys), values, gate(h, query, chosen ? 1 : 2), result.y);
    }
    return result;
}

variant native(std::string name, std::string options) {
    variant v;
    v.family = "sparse";
    v.name = std::move(name);
    v.formula = "heed::native_sparse_attention(q, k, v, gates" + std::move(options) + ")";
    v.flops = flops;
    v.reference = reference;
    return v;
}

// Compressed keys are made in the call.
bound_call bind_with(std::shared_ptr<tensor> gates, const problem& p, tensor& y,
                     const heed::thread_pool& pool) {
    auto workspace = std::make_shared<heed::workspace>();
    return bound_call{[=, &p, &y, &pool] {
                          heed::native_sparse_attention_into(y, p.q, p.k, p.v, *gates, heed::on(pool),
                                                             heed::use(*workspace));
                      },
                      [workspace] { return workspace->bytes(); }};
}

variant prefill() {
    variant v = native("native_prefill", "");
    v.bytes = qkv_bytes;
    v.takes = [](const shape& s) { return s.queries > 1 && s.queries <= s.keys; };
    v.overtakes = "causal";
    v.bind = [](const problem& p, tensor& y, const heed::thread_pool& pool) {
        return bind_with(std::make_shared<tensor>(make_gates(p.extent)), p, y, pool);
    };
    return v;
}

// A step after all the others, over compressed keys that were carried so far.
variant decode() {
    variant v = native("native_decode", ", compressed(keys)");
    v.bytes = [](const shape& s) {
        return 8.0 * double(s.batch * s.head_dim) *
               (double(s.heads * s.queries) + double(s.kv_heads) * keys_read(s.keys - 1));
    };
    v.takes = [](const shape& s) { return s.queries == 1; };
    v.bind = [](const problem& p, tensor& y, const heed::thread_pool& pool) {
        const shape& s = p.extent;
        auto workspace = std::make_shared<heed::workspace>();
        auto gates = std::make_shared<tensor>(make_gates(s));
        auto means =
            std::make_shared<heed::compressed_keys<float>>(s.batch, s.kv_heads, s.head_dim, s.head_dim);
        means->append(p.k, p.v);
        return bound_call{
            [=, &p, &y, &pool] {
                heed::native_sparse_attention_into(y, p.q, p.k, p.v, *gates, heed::compressed(*means),
                                                   heed::on(pool), heed::use(*workspace));
            },
            [=] {
                return workspace->bytes() +
                       std::size_t(2 * s.batch * s.kv_heads * means->size() * s.head_dim) * sizeof(float);
            }};
    };
    return v;
}

// The branch of selected keys alone, beside exact attention: the other two are other functions.
variant selected() {
    variant v = stands_in_for("causal", prefill());
    v.name = "native_selected";
    v.formula += ", gates (0, 1, 0)";
    v.reference = {};
    v.overtakes = {};
    v.takes = [](const shape& s) { return s.queries == s.keys && s.keys >= 1024 && s.keys <= 8192; };
    v.bind = [](const problem& p, tensor& y, const heed::thread_pool& pool) {
        auto gates = std::make_shared<tensor>(p.extent.batch, p.extent.heads, p.extent.queries, 3);
        gates->setZero();
        gates->chip(1, 3).setConstant(1);
        return bind_with(gates, p, y, pool);
    };
    return v;
}

const registered last_queries(prefill());
const registered selected_alone(selected());
const registered step(decode());

}  // namespace
}  // namespace heed_bench
