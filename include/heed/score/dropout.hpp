// SPDX-License-Identifier: MIT
// heed/score/dropout.hpp: weights dropped at random, w = keep ? w / (1 - p) : 0
//
// Counter-based: whether a weight is kept is a hash of the seed and its (batch, head, query, key), so the
// forward and the backward agree, whatever the threads, tiles and order. p is taken in whole steps of 2^-32,
// those below it, so that what is kept has the mean of all for every p. The sums of the softmax and the
// weights that are written out are those before dropout.
#pragma once

#include <heed/mask/concept.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

// Three rounds of multiply and shift: every bit of the input reaches every bit of the result.
HEED_INLINE std::uint32_t mixed_bits(std::uint32_t x) {
    x = (x ^ (x >> 16)) * 0x7feb352du;
    x = (x ^ (x >> 15)) * 0x846ca68bu;
    return x ^ (x >> 16);
}

struct dropout_option : option<option_kind::dropout> {
    double probability;
    std::uint64_t seed;
    dropout_option(double p, std::uint64_t s) : probability(p), seed(s) {}
    auto content() const { return std::tie(probability, seed); }
    bool changes_nothing() const { return probability == 0; }

    void validate(std::string_view function) const {
        if (!(probability >= 0 && probability < 1))
            fail(function,
                 {"dropout is ", probability, ", needs a probability from 0 up to, not including, 1"});
    }

    struct kept {
        std::uint32_t key;
        std::uint32_t threshold;
        HEED_INLINE bool operator()(at i) const {
            const std::uint32_t q = mixed_bits(key ^ static_cast<std::uint32_t>(i.query));
            return mixed_bits(q + static_cast<std::uint32_t>(i.key) * 0x9e3779b9u) >= threshold;
        }
    };
    kept of(const at& i) const {
        const std::uint32_t low = mixed_bits(static_cast<std::uint32_t>(seed) ^ 0x9e3779b9u);
        const std::uint32_t high = mixed_bits(static_cast<std::uint32_t>(seed >> 32) + low);
        const std::uint32_t b = mixed_bits(high + static_cast<std::uint32_t>(i.batch));
        const std::uint32_t h = mixed_bits(b * 0x85ebca6bu + static_cast<std::uint32_t>(i.head));
        return {h, threshold()};
    }
    std::uint32_t threshold() const { return static_cast<std::uint32_t>(probability * 4294967296.0); }
    // Of the probability that numbers are dropped with, a whole number of 2^-32.
    double factor() const { return 4294967296.0 / (4294967296.0 - threshold()); }
};

}  // namespace detail

// 0 <= p < 1, the probability that a weight is dropped, in steps of 2^-32.
template <class Seed>
auto dropout(double p, Seed seed) {
    static_assert(std::integral<Seed>, "heed::dropout: the seed is a whole number: dropout(p, seed)");
    return detail::dropout_option(p, static_cast<std::uint64_t>(seed));
}

}  // namespace heed::inline HEED_ABI
