// SPDX-License-Identifier: MIT
// bench/sparse_patterns.cpp: static patterns: blocks of a table, longformer, bigbird
//
// Each stands in for attention over all keys. Its work is that of the pairs it keeps, so a share of peak
// says what skipping the others costs.
#include <heed/sparse.hpp>

#include "attention_variant.hpp"

namespace heed_bench {
namespace {

constexpr size block = 128;             // queries and keys of the table's blocks, one in ten kept
constexpr size window = 512, ids = 16;  // longformer
constexpr size bird = 64;               // bigbird's blocks

bool is_kept(size query_block, size key_block) {
    const auto x = std::uint32_t(query_block) * 0x9e3779b9u ^ std::uint32_t(key_block) * 0x85ebca6bu;
    return ((x ^ (x >> 15)) * 0x2c1b3c6du >> 16) % 10 == 0;
}

// Pairs in blocks where keep(query block, key block) holds.
template <class Keep>
double block_pairs(const shape& s, size length, const Keep& keep) {
    double pairs = 0;
    for (size q = 0; q < s.queries; q += length)
        for (size k = 0; k < s.keys; k += length)
            if (keep(q, k))
                pairs += double(std::min(length, s.queries - q)) * double(std::min(length, s.keys - k));
    return pairs;
}

double table_pairs(const shape& s) {
    return block_pairs(s, block, [](size q, size k) { return is_kept(q / block, k / block); });
}
double table_rule(double score, const place& at, const shape&) {
    return is_kept(at.query / block, at.key / block) ? score : hidden;
}
struct table_blocks {
    heed::block_mask kept;
    explicit table_blocks(const problem& p) : kept(is_kept, p.extent.queries, p.extent.keys, block, block) {}
    auto options() const { return std::tuple(heed::blocks(kept)); }
};

// Sixteen global positions: the first ones, or one in every sixteenth of the keys.
template <bool Spread>
size global_id(const shape& s, size i) {
    return Spread ? s.keys * i / ids + s.keys / (2 * ids) : i;
}
template <bool Spread>
bool is_global(const shape& s, size position) {
    for (size i = 0; i < ids; ++i)
        if (global_id<Spread>(s, i) == position) return true;
    return false;
}
template <bool Spread>
double longformer_rule(double score, const place& at, const shape& s) {
    const size p = at.query + s.shift();
    return std::abs(p - at.key) <= window / 2 || is_global<Spread>(s, p) || is_global<Spread>(s, at.key)
               ? score
               : hidden;
}
template <bool Spread>
double longformer_pairs(const shape& s) {
    double pairs = 0;
    for (size query = 0; query < s.queries; ++query) {
        const size p = query + s.shift();
        size seen =
            std::max<size>(0, std::min(p + window / 2, s.keys - 1) - std::max<size>(0, p - window / 2) + 1);
        for (size i = 0; i < ids; ++i) seen += std::abs(global_id<Spread>(s, i) - p) > window / 2;
        pairs += double(is_global<Spread>(s, p) ? s.keys : seen);
    }
    return pairs;
}
template <bool Spread>
struct longformer_ids {
    std::vector<int> list;
    explicit longformer_ids(const problem& p) {
        for (size i = 0; i < ids; ++i) list.push_back(int(global_id<Spread>(p.extent, i)));
    }
    auto options() const { return std::tuple(heed::longformer(window, list)); }
};

// Which blocks are random only the mask itself can say.
auto bound_bigbird(const shape& s) {
    return heed::bigbird().bind("bigbird", {s.batch, s.heads, s.queries, s.keys});
}
double bigbird_pairs(const shape& s) {
    const auto bound = bound_bigbird(s);
    double pairs = 0;
    for (size head = 0; head < s.heads; ++head)
        pairs += block_pairs(s, bird, [&](size q, size k) {
            return bound.classify({0, head, q, q + 1, k, k + 1}) == heed::cover::full;
        });
    return pairs / double(s.heads);
}
double bigbird_rule(double score, const place& at, const shape& s) {
    const heed::tile here{0, at.head, at.query, at.query + 1, at.key, at.key + 1};
    return bound_bigbird(s).classify(here) == heed::cover::full ? score : hidden;
}

template <class Owner>
auto made_of() {
    return from_problem([](const problem& p) { return Owner(p); });
}
variant sparse(variant v) {
    v.family = "sparse";
    v.takes = [](const shape& s) { return s.keys >= window && s.shift() % bird == 0; };
    return v;
}

const registered table(sparse(approximate("plain", "blocks", ", blocks(one in ten of 128 x 128)", table_pairs,
                                          table_rule, made_of<table_blocks>())));
const registered first_ids(sparse(approximate("plain", "longformer", ", longformer(512, first 16)",
                                              longformer_pairs<false>, longformer_rule<false>,
                                              made_of<longformer_ids<false>>())));
const registered spread_ids(sparse(approximate("plain", "longformer_spread", ", longformer(512, 16 spread)",
                                               longformer_pairs<true>, longformer_rule<true>,
                                               made_of<longformer_ids<true>>())));
const registered bigbird(sparse(approximate("plain", "bigbird", ", bigbird()", bigbird_pairs, bigbird_rule,
                                            heed::bigbird())));

}  // namespace
}  // namespace heed_bench
