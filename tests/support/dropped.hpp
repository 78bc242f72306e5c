// SPDX-License-Identifier: MIT
// tests/support/dropped.hpp: which weights heed::dropout keeps, shown by values that are unit vectors
#pragma once

#include <heed/attention.hpp>

#include "tensors.hpp"

namespace support {

// kept(batch, head, query, key), and the factor on a weight that the reference asks for.
struct kept_weights {
    std::vector<bool> kept;
    long heads, queries, keys;
    double factor;

    kept_weights(long batch, long heads_, long queries_, long keys_, double probability, std::uint64_t seed)
        : heads(heads_), queries(queries_), keys(keys_), factor(1 / (1 - probability)) {
        tensor<float> q(batch, heads, queries, 1), k(batch, heads, keys, 1), v(batch, heads, keys, keys);
        q.setZero(), k.setZero(), v.setZero();
        for (long b = 0; b < batch; ++b)
            for (long h = 0; h < heads; ++h)
                for (long j = 0; j < keys; ++j) v(b, h, j, j) = 1;
        const auto y = heed::attention(q, k, v, heed::dropout(probability, seed));
        for (long i = 0; i < y.size(); ++i) kept.push_back(y.data()[i] != 0);
    }
    template <class Place>
    double operator()(const Place& i) const {
        const long pair = ((i.batch * heads + i.head) * queries + i.query) * keys + i.key;
        return kept[static_cast<std::size_t>(pair)] ? factor : 0;
    }
};

}  // namespace support
