// SPDX-License-Identifier: MIT
// tests/support/pattern.hpp: a mask that is a pattern, against its definition
#pragma once

#include "support/call.hpp"

namespace support {

// see(batch, head, query, key) as a table of bool.
template <class See>
tensor<bool> visible_table(const reference::problem& p, const See& see) {
    tensor<bool> visible(p.batch, p.heads, p.queries, p.keys);
    for (long b = 0; b < p.batch; ++b)
        for (long h = 0; h < p.heads; ++h)
            for (long q = 0; q < p.queries; ++q)
                for (long k = 0; k < p.keys; ++k) visible(b, h, q, k) = see(b, h, q, k);
    return visible;
}

// Against the reference, and bit for bit against the same pattern written out.
template <class Mask, class See>
void check_pattern(reference::problem& p, const Mask& mask, const See& see) {
    p.visible = [&](reference::place i) { return see(i.batch, i.head, i.query, i.key); };
    check_call<float>(p, mask);
    p.visible = nullptr;
    const auto visible = visible_table(p, see);
    const inputs<float> in(p);
    const auto y = heed::attention(in.q, in.k, in.v, mask);
    const auto z = heed::attention(in.q, in.k, in.v, heed::mask(visible));
    CHECK(same_bits(y.data(), z.data(), static_cast<std::size_t>(y.size())));
}

// NaN and infinity in every key and value that the mask hides from all queries of a head change no bit.
template <class Mask, class See>
void check_poison(reference::problem& p, random& r, const Mask& mask, const See& see) {
    const inputs<float> in(p);
    const auto y = heed::attention(in.q, in.k, in.v, mask);
    inputs<float> poisoned(p);
    long hidden = 0;
    const long group = p.heads / p.kv_heads;
    for (long b = 0; b < p.batch; ++b)
        for (long kv = 0; kv < p.kv_heads; ++kv)
            for (long k = 0; k < p.keys; ++k) {
                bool seen = false;
                for (long h = kv * group; h < (kv + 1) * group; ++h)
                    for (long q = 0; q < p.queries; ++q) seen = seen || see(b, h, q, k);
                if (seen) continue;
                ++hidden;
                const float bad = r.chance(0.5) ? std::numeric_limits<float>::quiet_NaN()
                                                : std::numeric_limits<float>::infinity();
                for (long f = 0; f < p.d_k; ++f) poisoned.k(b, kv, k, f) = bad;
                for (long f = 0; f < p.d_v; ++f) poisoned.v(b, kv, k, f) = bad;
            }
    CHECK(hidden > 0);
    const auto z = heed::attention(poisoned.q, poisoned.k, poisoned.v, mask);
    CHECK(same_bits(y.data(), z.data(), static_cast<std::size_t>(y.size())));
}

}  // namespace support
