// SPDX-License-Identifier: MIT
// heed/select/mask_ref.hpp: the mask of a call, whatever its type
//
// A selector looks at few scores and asks about most of them in blocks, so the bound mask is reached
// through two functions: what walks over keys is compiled once, whatever the masks of a call are.
//
// Cost: a call of the mask's own classify or lanes.
#pragma once

#include <heed/mask/block_bits.hpp>

namespace heed::inline HEED_ABI::detail {

class mask_ref {
public:
    template <class M>
    explicit mask_ref(const M& mask) : mask_(&mask), classify_(&classify_of<M>), lanes_(&lanes_of_mask<M>) {}

    cover classify(const tile& t) const { return classify_(mask_, t); }

    // Of `count` keys from `key` on, at most 64, those that one query sees: bit l is key + l.
    bit_word keys_seen(index b, index h, index query, index key, index count) const {
        const tile t{b, h, query, query + 1, key, key + count};
        return bits(t, {corner(t), 0, -1, static_cast<std::int32_t>(count) - 1, 1});
    }
    // The same for `heads` heads from h on: what any of them sees.
    bit_word keys_seen_by(index b, index h, index heads, index query, index key, index count) const {
        bit_word seen = 0;
        for (index i = 0; i < heads; ++i) seen |= keys_seen(b, h + i, query, key, count);
        return seen;
    }

    // Does any of these queries see this key? Halves what the mask cannot answer, the last queries first.
    bool seen_by_any(index b, index h, index query_begin, index query_end, index key) const {
        const tile t{b, h, query_begin, query_end, key, key + 1};
        const index count = query_end - query_begin;
        if (count > word_bits) {
            const cover c = classify(t);
            if (c != cover::mixed) return c == cover::full;
            const index middle = query_begin + count / 2;
            return seen_by_any(b, h, middle, query_end, key) || seen_by_any(b, h, query_begin, middle, key);
        }
        return bits(t, {corner(t), -1, 0, static_cast<std::int32_t>(count) - 1, 1}) != 0;
    }

    // How much of a tile of `heads` heads from t.head on is seen, where one of them is enough.
    cover classify_any(tile t, index heads) const {
        cover all = classify(t);
        for (index i = 1; i < heads && all != cover::full; ++i) {
            ++t.head;
            const cover c = classify(t);
            if (c != all) all = c == cover::full ? c : cover::mixed;
        }
        return all;
    }

private:
    static at corner(const tile& t) {
        return {static_cast<std::int32_t>(t.batch), static_cast<std::int32_t>(t.head),
                static_cast<std::int32_t>(t.query_begin), static_cast<std::int32_t>(t.key_begin)};
    }
    bit_word bits(const tile& t, const lane_block& row) const {
        const cover c = classify(t);
        if (c == cover::mixed) return lanes_(mask_, row);
        return c == cover::empty ? 0 : ~bit_word{0} >> (word_bits - 1 - row.last);
    }
    template <class M>
    static cover classify_of(const void* mask, const tile& t) {
        return static_cast<const M*>(mask)->classify(t);
    }
    template <class M>
    static bit_word lanes_of_mask(const void* mask, const lane_block& row) {
        const auto visible = static_cast<const M*>(mask)->lanes(row);
        bit_word seen = 0;
        for (std::int32_t l = 0; l <= row.last; ++l) {
            const lane_pos x{l, 0};
            if (visible(row.at_pos(x), x)) seen |= bit_word{1} << l;
        }
        return seen;
    }

    const void* mask_;
    cover (*classify_)(const void*, const tile&);
    bit_word (*lanes_)(const void*, const lane_block&);
};

}  // namespace heed::inline HEED_ABI::detail
