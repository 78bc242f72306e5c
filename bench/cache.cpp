// SPDX-License-Identifier: MIT
// bench/cache.cpp: decoding over a cache of each kind of number, filled before the clock starts
//
// The truth is exact attention over the numbers before they were stored: the error is what storing loses.
// Bytes count what is stored, scales among it.
#include <heed/kv_cache.hpp>

#include "attention_variant.hpp"

namespace heed_bench {
namespace {

template <class T>
double row_bytes(size features) {
    constexpr bool scaled = std::is_same_v<T, heed::int8> || std::is_same_v<T, heed::int4>;
    return double(heed::detail::row_bytes<T>(features)) + (scaled ? sizeof(float) : 0);
}

template <class T>
variant cached(std::string name, std::string element, heed::kv_cache_config config = {}) {
    variant v;
    v.family = "cache";
    v.name = std::move(name);
    v.formula = "heed::attention(q, cache), a cache of " + std::move(element);
    v.takes = [](const shape& s) { return s.queries <= 64 && s.keys > s.queries; };
    v.bind = [config](const problem& p, tensor& y, const heed::thread_pool& pool) {
        const shape& s = p.extent;
        auto workspace = std::make_shared<heed::workspace>();
        auto cache = std::make_shared<heed::kv_cache<T>>(s.batch, s.kv_heads, s.head_dim, config);
        cache->append(p.k, p.v);
        return bound_call{[=, &p, &y, &pool] {
                              heed::attention_into(y, p.q, *cache, heed::on(pool), heed::use(*workspace));
                          },
                          [=] { return workspace->bytes(); }};
    };
    v.flops = [](const shape& s) { return 4.0 * double(s.batch * s.heads * s.head_dim) * all_pairs(s); };
    v.bytes = [](const shape& s) {
        return 8.0 * double(s.batch * s.heads * s.queries * s.head_dim) +
               2.0 * double(s.batch * s.kv_heads * s.keys) * row_bytes<T>(s.head_dim);
    };
    v.reference = [](const problem& p, size batch, size head, size query) {
        return softmax_row(p, batch, head, query, [](double score, const place&) { return score; });
    };
    return v;
}

const registered of_float(cached<float>("cache_float", "float"));
const registered of_half(cached<Eigen::half>("cache_half", "half"));
const registered of_bfloat16(cached<Eigen::bfloat16>("cache_bfloat16", "bfloat16"));
const registered of_int8(cached<heed::int8>("cache_int8", "int8"));
const registered of_int4(cached<heed::int4>("cache_int4", "int4"));
const registered of_rotated_int4(cached<heed::int4>("cache_int4_rotated", "int4, rotated",
                                                    {.rotated = true}));

}  // namespace
}  // namespace heed_bench
