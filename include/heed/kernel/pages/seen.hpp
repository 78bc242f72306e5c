// SPDX-License-Identifier: MIT
// heed/kernel/pages/seen.hpp: which pages of keys a query may look at, and which keys any query may
//
// A mask answers for tiles first; where it does not know, its answer for every key is read. Heads that
// share keys count as one reader.
//
// Cost: O(1) for a page of a band or a length, up to one answer a score for a predicate.
#pragma once

#include <bit>

#include <heed/mask/block_bits.hpp>

namespace heed::inline HEED_ABI::detail {

// The heads of a group, and the keys cut into pages.
struct page_readers {
    index batch;
    index first_head;
    index heads;  // that have to be asked: one where the mask answers all alike
    index keys;
    index page;

    tile at(index head, index query, index key_begin, index key_end) const {
        return {batch, first_head + head, query, query + 1, key_begin, key_end < keys ? key_end : keys};
    }
};

template <class M>
page_readers readers_of(const M& mask, index batch, index kv_head, index group, index keys, index page) {
    return {batch, kv_head * group, sees_alike(mask, group) ? 1 : group, keys, page};
}

// A bit for each of up to 64 keys that one query sees in a mixed tile.
template <class M>
bit_word keys_in(const M& mask, const tile& t) {
    const heed::at corner{static_cast<std::int32_t>(t.batch), static_cast<std::int32_t>(t.head),
                          static_cast<std::int32_t>(t.query_begin), static_cast<std::int32_t>(t.key_begin)};
    const lane_block block{corner, 0, -1, static_cast<std::int32_t>(t.key_end - t.key_begin) - 1, 1};
    const auto visible = lanes_of(mask, block);
    bit_word bits = 0;
    for (std::int32_t l = 0; l <= block.last; ++l)
        if (visible(block.at_pos({l, 0}), {l, 0})) set_bit(&bits, l);
    return bits;
}

constexpr bit_word first_bits(index count) {
    return count >= word_bits ? ~bit_word{0} : (bit_word{1} << count) - 1;
}

template <class M>
bool page_seen(const M& mask, const page_readers& r, index query, index page) {
    const index begin = page * r.page;
    for (index h = 0; h < r.heads; ++h) {
        const tile all = r.at(h, query, begin, begin + r.page);
        const cover c = mask.classify(all);
        if (c == cover::full) return true;
        if (c == cover::empty) continue;
        for (index key = begin; key < all.key_end; key += most_lanes) {
            const index end = key + most_lanes < all.key_end ? key + most_lanes : all.key_end;
            if (keys_in(mask, r.at(h, query, key, end)) != 0) return true;
        }
    }
    return false;
}

// A bit for every page in which one of the heads lets the query see a key; how many there are.
template <class M>
index pages_seen(const M& mask, const page_readers& r, index query, index pages, bit_word* seen) {
    index count = 0;
    for (index word = 0; word < words_of(pages); ++word) {
        const index first = word * word_bits;
        const index here = pages - first < word_bits ? pages - first : word_bits;
        bit_word maybe = 0;
        seen[word] = 0;
        for (index h = 0; h < r.heads && seen[word] == 0; ++h) {
            const cover c = mask.classify(r.at(h, query, first * r.page, (first + here) * r.page));
            if (c == cover::full) seen[word] = first_bits(here);
            if (c == cover::mixed) maybe = 1;
        }
        if (seen[word] == 0 && maybe != 0)
            for (index i = 0; i < here; ++i)
                if (page_seen(mask, r, query, first + i)) set_bit(seen + word, i);
        count += std::popcount(seen[word]);
    }
    return count;
}

// Adds to `seen` the keys of a tile, at most 64, that one of its queries sees. Late queries first: most
// masks let them see most.
template <class M>
void keys_seen(const M& mask, const tile& t, bit_word all, bit_word& seen) {
    if (seen == all) return;
    const cover c = mask.classify(t);
    if (c == cover::empty) return;
    if (c == cover::full) {
        seen = all;
    } else if (t.query_end - t.query_begin == 1) {
        seen |= keys_in(mask, t);
    } else {
        tile half = t;
        half.query_begin = t.query_begin + (t.query_end - t.query_begin) / 2;
        keys_seen(mask, half, all, seen);
        half.query_end = half.query_begin;
        half.query_begin = t.query_begin;
        keys_seen(mask, half, all, seen);
    }
}

// The same for all heads of a group and all queries of a call: keys [begin, end), at most 64.
template <class M>
bit_word keys_seen_by_any(const M& mask, const page_readers& r, index queries, index begin, index end) {
    const bit_word all = first_bits(end - begin);
    bit_word seen = 0;
    for (index h = 0; h < r.heads && queries > 0; ++h) {
        tile t = r.at(h, 0, begin, end);
        t.query_end = queries;
        keys_seen(mask, t, all, seen);
    }
    return seen;
}

}  // namespace heed::inline HEED_ABI::detail
