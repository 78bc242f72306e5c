// SPDX-License-Identifier: MIT
// heed/select/lsh.hpp: a query sees the keys whose direction falls into its bucket, as in the Reformer
//
// Vectors that point the same way have a large product and, most of the time, the same hash:
//
//     h(x) = argmax [x R ; -x R],    R (features, buckets / 2) of normal numbers, drawn anew each round
//
// The keys of a round stand sorted by (bucket, position) and are cut into chunks of ceil(2 keys / buckets).
// A query stands where a key of its bucket and its position p = query + (keys - queries) would: behind the
// last key that is not larger by (bucket, position). It sees the keys of its bucket in the chunk of that key
// and in the one before. Kept is what it sees in any round, and always the key at p, as far as the masks of
// the call let it through. Keys that they hide from every query are in no bucket and no chunk.
//
// Queries and keys are meant to be one tensor: a vector is then in one bucket as query and as key. Both are
// divided by their length for the hash. The Reformer also takes its scores with keys of length 1; they are
// those of the call here, so it is attention(x, x over the length of each vector, v, causal, lsh(4, 64, 1)),
// which chooses as attention(x, x, v, ...) does. Different tensors, and fewer queries than keys, are treated
// by the same rule.
//
// In the Reformer every round is a softmax of its own, and they are merged by their sums with every score
// less the logarithm of the number of rounds that its pair is in. A pair that is in c of the rounds then
// counts c times 1 / c, and the merged softmax is that over the union of the pairs: so the union is what is
// computed, once. The Reformer also takes 1e5 from the score of a vector with itself; a call asks for that by
//     score([=](auto s, at i) { return math::select(i.key == i.query + keys - queries, s - 1e5f, s); })
//
// Number n of R in round r, n = ((r buckets / 2 + column) features + feature), needs no other: it is
// sqrt(-2 ln u_1) cos(2 pi u_2), u_i = (m(seed + (2 n + i) 0x9e3779b97f4a7c15) / 2^11 + 1) 2^-53, with m the
// mixing steps of SplitMix64. All heads and batch entries have the same R. Equal products: the lower bucket.
//
// Cost: rounds buckets / 2 products for each query and key, a sort of the keys by counting; 12 bytes for
// each round, query and query head, and 4 for each round, key and key head. A tile costs
// up to a look at each of its queries and rounds. This finds which scores count and does not bring keys of
// a bucket together: where buckets are mixed along the sequence no tile is empty, and a call takes longer
// than the exact one.
//
// Source: Reformer, arXiv 2001.04451.
#pragma once

#include <heed/select/lsh_tables.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

struct lsh_option : selector_base {
    lsh_rule rule;
    explicit lsh_option(const lsh_rule& r) : rule(r) {}
    auto content() const { return std::tie(rule.rounds, rule.buckets, rule.seed); }

    template <class E>
    void validate(std::string_view function, const exact_inputs<E>&) const {
        if (!(rule.rounds >= 1 && rule.rounds <= 1024))
            fail(function, {"lsh got ", rule.rounds, " rounds, needs 1 to 1024"});
        if (!(rule.buckets >= 2 && rule.buckets <= 1 << 20 && rule.buckets % 2 == 0))
            fail(function, {"lsh got ", rule.buckets, " buckets, needs an even number from 2 to 1048576"});
    }

    template <class E, class Mask>
    bound_lsh choose(const exact_inputs<E>& p, const Mask& mask, device_ref device, workspace& memory) const {
        using T = typename exact_inputs<E>::T;
        const index tasks = p.batch * p.kv_heads;
        bound_lsh found{};
        if (tasks == 0 || p.queries == 0 || p.keys == 0 || p.heads == 0) return found;
        found.rounds = rule.rounds;
        found.heads = p.heads;
        found.heads_of_row = p.heads / p.kv_heads;
        found.keys = p.keys;
        found.shift = p.keys - p.queries;
        found.key_row = rounded_up(p.keys + most_lanes, 16);
        found.query_row = rounded_up(p.queries + most_lanes, 16);
        found.set_words = words_of(rule.buckets);
        found.blocks = (p.keys + lsh_block - 1) / lsh_block;
        const auto take = [&](arena& m) {
            const index key_rows = tasks * rule.rounds;
            const index query_numbers = p.batch * p.heads * rule.rounds * found.query_row;
            found.key_bucket = m.take<std::int32_t>(key_rows * found.key_row);
            found.query_bucket = m.take<std::int32_t>(query_numbers);
            found.low = m.take<std::int32_t>(query_numbers);
            found.high = m.take<std::int32_t>(query_numbers);
            found.sets = m.take<bit_word>(key_rows * found.blocks * found.set_words);
        };
        arena counted;
        take(counted);
        arena kept(memory.reserve(counted.bytes(), workspace::part::selection));
        take(kept);

        const index stride = lsh_tables<E>::stride(p.features);
        const std::size_t drawn =
            cache_lines(static_cast<std::size_t>(rule.rounds * (rule.buckets / 2) * stride) * sizeof(T));
        const mask_ref visible(mask);
        const index lanes = least(device.lanes(), tasks);
        const std::size_t each = cache_lines(lsh_tables<E>(p, visible, rule, found, nullptr).bytes());
        char* const base = static_cast<char*>(memory.reserve(drawn + each * static_cast<std::size_t>(lanes)));
        T* const directions = reinterpret_cast<T*>(base);
        lsh_tables<E>::draw(rule, p.features, directions);
        const lsh_tables<E> tables(p, visible, rule, found, directions);
        for_each_task(device, lanes, tasks, [&](index lane, index task) {
            tables.run(task, base + drawn + each * static_cast<std::size_t>(lane));
        });
        return found;
    }
};

}  // namespace detail

// rounds from 1 to 1024, an even number of buckets from 2 to 2^20 (about keys / 64 is usual), and a seed:
// the same seed chooses alike. heed::error for other numbers.
template <class R, class B, class Seed>
auto lsh(const R& rounds, const B& buckets, const Seed& seed) {
    static_assert(detail::whole_number<R> && detail::whole_number<B> && std::integral<Seed>,
                  "heed::lsh: needs three whole numbers, lsh(rounds, buckets, seed)");
    return detail::lsh_option(
        {detail::index_of(rounds), detail::index_of(buckets), static_cast<std::uint64_t>(seed)});
}

}  // namespace heed::inline HEED_ABI
