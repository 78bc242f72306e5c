// SPDX-License-Identifier: MIT
// heed/mask/random_blocks.hpp: a few blocks of keys for each block of queries, drawn from a seed
//
// Row floor(p / block) of head h, p = query + (keys - queries), sees `count` different blocks of keys, or all
// where there are fewer. They are the first `count` of a permutation of the blocks that a hash of (seed, h,
// row) picks, so that a block is found in the permutation, and the permutation read, one element at a time:
// nothing is stored, and every batch entry, thread and tile sees the same. As in BigBird (arXiv 2007.14062).
//
// Cost: no storage; O(1), a few dozen nanoseconds, for a pair of blocks.
#pragma once

#include <bit>
#include <concepts>

#include <heed/core/numbers.hpp>
#include <heed/mask/block_bits.hpp>
#include <heed/score/dropout.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

// By Newton's method: x (2 - a x) doubles the bits that are right, of which an odd number itself has three.
constexpr std::uint32_t inverse_modulo_2_32(std::uint32_t a) {
    std::uint32_t x = a;
    for (int i = 0; i < 4; ++i) x *= 2 - a * x;
    return x;
}

// A permutation of [0, n): rounds that can be undone, of add, multiply by an odd number and shift, on as many
// bits as n needs; results of n or more are sent round again.
class random_permutation {
public:
    random_permutation(std::uint32_t key, std::uint32_t n) : n_(n) {
        const int bits = n > 2 ? static_cast<int>(std::bit_width(n - 1)) : 1;
        mask_ = bits == 32 ? ~std::uint32_t{0} : (std::uint32_t{1} << bits) - 1;
        shift_ = (bits + 1) / 2;
        for (std::uint32_t& k : keys_) k = key = mixed_bits(key + 0x9e3779b9u);
    }
    std::uint32_t operator()(std::uint32_t x) const {
        do {
            for (const std::uint32_t key : keys_) {
                x = (x + key) * odd & mask_;
                x ^= x >> shift_;
            }
        } while (x >= n_);
        return x;
    }
    // The place of x in the permutation.
    std::uint32_t place_of(std::uint32_t x) const {
        do {
            for (int i = rounds; i-- > 0;) {
                x ^= x >> shift_;  // undoes itself: the shift is half of the bits
                x = (x * inverse_of_odd - keys_[i]) & mask_;
            }
        } while (x >= n_);
        return x;
    }

private:
    static constexpr std::uint32_t odd = 0x2c1b3c6du;
    static constexpr std::uint32_t inverse_of_odd = inverse_modulo_2_32(odd);
    static_assert(odd * inverse_of_odd == 1);
    static constexpr int rounds = 4;

    std::uint32_t n_;
    std::uint32_t mask_;
    int shift_;
    std::uint32_t keys_[rounds];
};

struct bound_random_blocks {
    std::uint32_t key;  // of the seed
    index count;
    index block;
    index key_blocks;
    index shift;

    random_permutation row(index head, index query_block) const {
        const std::uint32_t h = mixed_bits(key + static_cast<std::uint32_t>(head) * 0x85ebca6bu);
        return {mixed_bits(h ^ static_cast<std::uint32_t>(query_block)),
                static_cast<std::uint32_t>(key_blocks)};
    }
    bool sees(const random_permutation& r, index key_block) const {
        return static_cast<index>(r.place_of(static_cast<std::uint32_t>(key_block))) < count;
    }
    index block_of(index query) const { return floor_divided(query + shift, block); }

    bool alike(index heads) const { return heads == 1 || count == 0 || count >= key_blocks; }
    cover classify(const tile& t) const {
        if (count == 0 || count >= key_blocks) return count == 0 ? cover::empty : cover::full;
        bool any = false;
        bool all = true;
        for (index q = block_of(t.query_begin); q <= block_of(t.query_end - 1); ++q) {
            const random_permutation r = row(t.head, q);
            for (index k = t.key_begin / block; k <= (t.key_end - 1) / block; ++k) {
                const bool seen = sees(r, k);
                any = any || seen;
                all = all && seen;
                if (any && !all) return cover::mixed;
            }
        }
        return any ? cover::full : cover::empty;
    }
    index first_key(const tile& t) const {
        if (count == 0 || count >= key_blocks) return count == 0 ? t.key_end : t.key_begin;
        const index begin = t.key_begin / block;
        index found = (t.key_end - 1) / block + 1;
        const index end = found;
        for (index q = block_of(t.query_begin); q <= block_of(t.query_end - 1); ++q) {
            const random_permutation r = row(t.head, q);
            // Many blocks: one comes soon. Few: look at each.
            if (count > key_blocks / count) {
                index k = begin;
                while (k < found && !sees(r, k)) ++k;
                found = k;
            } else {
                for (index i = 0; i < count; ++i) {
                    const index k = r(static_cast<std::uint32_t>(i));
                    if (k >= begin && k < found) found = k;
                }
            }
        }
        if (found == end) return t.key_end;
        return found * block > t.key_begin ? found * block : t.key_begin;
    }
    index grain() const { return shift % block == 0 ? block : 0; }
    seen_blocks lanes(const lane_block& lanes_) const {
        return seen_blocks(lanes_, shift, block, block, [&](index q, index k) {
            return count >= key_blocks || (count > 0 && sees(row(lanes_.first.head, q), k));
        });
    }
};

struct random_blocks_mask : mask_base {
    index count;
    index block;
    std::uint64_t seed;
    random_blocks_mask(index c, index b, std::uint64_t s) : count(c), block(b), seed(s) {}
    auto content() const { return std::tie(count, block, seed); }
    auto bind(std::string_view function, const problem_shape& shape) const {
        if (!(count >= 0 && block >= 1))
            fail(function, {"random_blocks got (", count, ", ", block,
                            "), needs a count of blocks that is not negative and blocks of 1 or more"});
        const index b = block < longest_axis ? block : longest_axis;
        const std::uint32_t low = mixed_bits(static_cast<std::uint32_t>(seed) ^ 0x9e3779b9u);
        return bound_random_blocks{mixed_bits(static_cast<std::uint32_t>(seed >> 32) + low), count, b,
                                   blocks_of(shape.keys, b), shape.keys - shape.queries};
    }
};

}  // namespace detail

// `count` blocks of `block` keys for each `block` queries of a head; other seeds give others.
template <class C, class B, class Seed>
auto random_blocks(const C& count, const B& block, Seed seed) {
    static_assert(detail::whole_number<C> && detail::whole_number<B> && std::integral<Seed>,
                  "heed::random_blocks: needs whole numbers, random_blocks(count, block, seed)");
    return detail::random_blocks_mask(detail::index_of(count), detail::index_of(block),
                                      static_cast<std::uint64_t>(seed));
}

}  // namespace heed::inline HEED_ABI
