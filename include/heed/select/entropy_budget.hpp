// SPDX-License-Identifier: MIT
// heed/select/entropy_budget.hpp: as many keys for a query as the spread of its attention asks for
//
// A sharp query needs few keys and a flat one many. How flat it is can be told from blocks of 64 keys:
//
//     s_b = scale <q, mean of the keys of block b that the query sees>,   n_b = how many those are
//     P_b = n_b e^(s_b) / sum,     H = - sum P_b ln(P_b / n_b)            nats, as if over single keys
//     k   = clamp(ceil(kappa e^H), k_min, k_max)                          keys; e^H is between 1 and all
//
// Kept are whole blocks: the one of the query's own position p = query + (keys - queries), then those of the
// largest s_b, the first of equal ones, until they hold k keys that the query sees. Query heads that share
// keys share their choice: q is their mean, and a key counts when one of them sees it. Between two whole
// numbers of keys the rounding of e^H would decide, so a thousandth of it is left off before it is rounded
// up. A block whose s_b is NaN is kept first, as NaN shows in exact attention.
//
// Softcap, bias and the like do not enter the estimate. Nothing that a query does not see enters its choice,
// so a causal row chooses alike with and without the keys behind it.
//
// Cost: 1/64 of the scores for the estimate, and those of the blocks that a query sees in part; a bit for
// each query, key head and block, that is 2 MiB a key head at 32768 queries and keys; half a KiB of scratch
// for each block and thread (twice that in double), and the means. The exact kernel takes 128 keys and up to
// 48 queries at a time and leaves out what none of them keeps: neighbours that agree are what makes a call
// fast.
#pragma once

#include <limits>

#include <heed/select/entropy_choice.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

struct entropy_budget_option : selector_base {
    entropy_budget_rule rule;
    explicit entropy_budget_option(const entropy_budget_rule& r) : rule(r) {}
    auto content() const { return std::tie(rule.min_keys, rule.max_keys, rule.kappa); }

    template <class E>
    void validate(std::string_view function, const exact_inputs<E>&) const {
        if (!(rule.min_keys >= 1 && rule.max_keys >= rule.min_keys))
            fail(function, {"entropy_budget got (", rule.min_keys, ", ", rule.max_keys,
                            "), needs counts of keys with 1 <= k_min <= k_max"});
        if (!(rule.kappa > 0 && rule.kappa <= (std::numeric_limits<double>::max)()))
            fail(function, {"entropy_budget got a kappa of ", rule.kappa, ", needs a finite number above 0"});
    }

    template <class E, class Mask>
    bound_query_blocks choose(const exact_inputs<E>& p, const Mask& mask, device_ref device,
                              workspace& memory) const {
        const index words = words_of((p.keys + budget_block - 1) / budget_block);
        const index tasks = p.batch * p.kv_heads;
        bound_blocks found{nullptr,     p.kv_heads * p.queries * words, p.queries * words, words, 1, 1,
                           budget_block};
        if (tasks == 0 || p.queries == 0 || p.keys == 0 || p.heads == 0) return bound_query_blocks{found};
        found.heads_of_row = p.heads / p.kv_heads;
        bit_word* const bits = static_cast<bit_word*>(
            memory.reserve(static_cast<std::size_t>(tasks * p.queries * words) * sizeof(bit_word),
                           workspace::part::selection));
        found.bits = bits;

        const mask_ref visible(mask);
        const entropy_choice<E> choice(p, visible, rule, found);
        const index lanes = least(device.lanes(), tasks);
        const std::size_t each = cache_lines(choice.bytes());
        char* const base = static_cast<char*>(memory.reserve(each * static_cast<std::size_t>(lanes)));
        for_each_task(device, lanes, tasks, [&](index lane, index task) {
            choice.run(task, base + each * static_cast<std::size_t>(lane), bits);
        });
        return bound_query_blocks{found};
    }
};

}  // namespace detail

// From k_min to k_max keys for a query, in whole blocks of 64, kappa times the effective number of keys in
// between. heed::error unless 1 <= k_min <= k_max and kappa is a finite number above 0.
template <class L, class M, class K = double>
auto entropy_budget(const L& k_min, const M& k_max, const K& kappa = 1) {
    static_assert(detail::whole_number<L> && detail::whole_number<M>,
                  "heed::entropy_budget: needs two whole numbers of keys, entropy_budget(k_min, k_max)");
    static_assert(std::is_arithmetic_v<K>, "heed::entropy_budget: kappa is a number");
    return detail::entropy_budget_option(
        {detail::index_of(k_min), detail::index_of(k_max), static_cast<double>(kappa)});
}

}  // namespace heed::inline HEED_ABI
