// SPDX-License-Identifier: MIT
// heed/kernel/exact/backward_sweep.hpp: a block of keys against all its queries, five products a tile
//
//     dV += P^T dO        dK += scale dS^T Q        dQ += scale dS K
//
// A task owns the gradients of its keys and values, transposed, (feature, lane), beside their tiles. The
// gradient of a query gathers what each block of keys adds to it, in the order of the blocks: a task
// that adds to some queries waits until the block before it has. So no sum depends on the threads, and
// nothing is kept but the gradients themselves. All query heads of a group are one task.
#pragma once

#include <heed/core/chain.hpp>
#include <heed/kernel/exact/backward_tile.hpp>

namespace heed::inline HEED_ABI::detail {

// What the tasks of one key/value head share.
template <class T>
struct head_gradients {
    T* dq;                     // (head of the group, query, feature), rows of whole packs, unscaled
    T* upper_dq;               // of the groups of key blocks before this one; nullptr where there is one
    row_numbers<T> numbers;    // (head of the group, query)
    double* slopes;            // (head of the group, key block), or nullptr
    chain_progress* progress;  // (head of the group, query block), or nullptr for one thread
    std::atomic<bool>* stopped;
};

template <class E>
class gradient_sweep {
public:
    using problem = exact_problem<E>;
    using T = typename problem::T;

    // Scratch for it is bytes() long and aligned to a cache line.
    gradient_sweep(const problem& p, const exact_gradients<E>& g, const gradient_leaves<E>& leaves,
                   void* scratch = nullptr)
        : p_(p), g_(g), leaf_(leaves), w_(leaves.pack_lanes), tile_(p, g, leaves), arena_(scratch) {
        panels_ = p.keys <= panel_keys ? 1 : gradient_panels;
        // The keys of all panels are one table, for the product over them.
        keys_ = arena_.take<T>(panels_ * panel_keys * tile_.key_row());
        for (index i = 0; i < panels_; ++i) {
            panel_[i] = tile_.panel_in(arena_, keys_ + i * panel_keys * tile_.key_row());
            dk_[i] = arena_.take<T>(tile_.key_row() * panel_keys);
            dv_[i] = arena_.take<T>(tile_.value_row() * panel_keys);
            upper_dk_[i] = arena_.take<T>(groups_queries() ? tile_.key_row() * panel_keys : 0);
            upper_dv_[i] = arena_.take<T>(groups_queries() ? tile_.value_row() * panel_keys : 0);
        }
        const index row = tile_.key_row() > tile_.value_row() ? tile_.key_row() : tile_.value_row();
        rows_ = arena_.take<T>(panel_keys * row);
        m_ = tile_.scratch_in(arena_);
        const index queries = p.queries < gradient_queries ? p.queries : gradient_queries;
        ds_ = arena_.take<T>(queries * gradient_keys);
        hidden_ =
            arena_.take<T>(p.score != nullptr || p.score_masked != nullptr ? queries * gradient_keys : 0);
    }
    std::size_t bytes() const { return arena_.bytes(); }

    static index blocks_of(index n, index size) { return (n + size - 1) / size; }
    index key_blocks() const { return p_.keys == 0 ? 1 : blocks_of(p_.keys, gradient_keys); }
    index query_blocks() const { return blocks_of(p_.queries, gradient_queries); }
    // Are there more blocks than one group, of keys or of queries?
    bool groups_keys() const { return key_blocks() > group_links; }
    bool groups_queries() const { return query_blocks() > group_blocks; }

    // Key block `link` of a head. The first one also clears the gradients of its queries, the last writes
    // them.
    void run(index b, index kv_head, index link, const head_gradients<T>& head) {
        const index first = link * gradient_keys;
        const index count = least(p_.keys - first, gradient_keys);
        index used = 0;
        for (; used * panel_keys < count; ++used) {
            const index from = used * panel_keys;
            tile_.load_keys(b, kv_head, first + from, least(count - from, panel_keys), panel_[used], rows_);
            clear(dk_[used], tile_.key_row() * panel_keys);
            clear(dv_[used], tile_.value_row() * panel_keys);
            if (groups_queries()) {
                clear(upper_dk_[used], tile_.key_row() * panel_keys);
                clear(upper_dv_[used], tile_.value_row() * panel_keys);
            }
        }
        const index group = p_.heads / p_.kv_heads;
        for (index i = 0; i < group; ++i) {
            double slope = 0;
            for (index j = 0; j < query_blocks(); ++j) {
                if (!take_queries(b, kv_head * group + i, i, j, link, used, head, slope)) return;
                if (groups_queries() && ((j + 1) % group_blocks == 0 || j + 1 == query_blocks()))
                    carry_keys(used);
            }
            if (head.slopes != nullptr) head.slopes[i * key_blocks() + link] = slope;
        }
        for (index i = 0; i < used; ++i) {
            write_transposed(g_.k, b, kv_head, panel_[i], groups_queries() ? upper_dk_[i] : dk_[i],
                             tile_.key_row(), p_.features, p_.scale);
            write_transposed(g_.v, b, kv_head, panel_[i], groups_queries() ? upper_dv_[i] : dv_[i],
                             tile_.value_row(), p_.value_features, T(1));
        }
    }

private:
    // The sums of a group of query blocks join those before them.
    void carry_keys(index used) const {
        for (index n = 0; n < used; ++n) {
            leaf_.carry(upper_dk_[n], dk_[n], 1, 0, tile_.key_row() * panel_keys, nullptr);
            leaf_.carry(upper_dv_[n], dv_[n], 1, 0, tile_.value_row() * panel_keys, nullptr);
        }
    }

    // Query block j against all panels. False where another task has failed.
    bool take_queries(index b, index h, index i, index j, index link, index used,
                      const head_gradients<T>& head, double& slope) {
        const index first = j * gradient_queries;
        const index count = least(p_.queries - first, gradient_queries);
        const index at = (i * p_.queries + first) * tile_.key_row();
        T* const dq = head.dq + at;
        T* const upper = head.upper_dq == nullptr ? nullptr : head.upper_dq + at;
        return in_order(head, i * query_blocks() + j, link, [&](const auto& wait) {
            cover seen[gradient_panels];
            bool any = false;
            for (index n = 0; n < used; ++n) {
                const key_panel<T>& k = panel_[n];
                seen[n] = p_.cover_of({b, h, first, first + count, k.first, k.first + k.count});
                any = any || seen[n] != cover::empty;
            }
            bool skip_hidden[gradient_panels] = {};
            bool any_skip_hidden = false;
            if (any) {
                query_rows<T> q =
                    tile_.load_queries(b, h, first, count, head.numbers.from(i * p_.queries + first), m_);
                for (index n = 0; n < used; ++n)
                    if (seen[n] != cover::empty) {
                        skip_hidden[n] = take_tile(b, h, seen[n], q, n, slope);
                        any_skip_hidden = any_skip_hidden || skip_hidden[n];
                    }
                // Beside a skip_hidden panel nothing of the other is left out, so that its sums are the same.
                for (index n = 0; any_skip_hidden && n < used; ++n)
                    for (index r = 0; !skip_hidden[n] && r < count; ++r)
                        clear(hidden_ + r * gradient_keys + n * panel_keys, panel_keys);
            }
            if (!wait()) return;
            const index size = count * tile_.key_row();
            const bool last = link + 1 == key_blocks();
            if (link == 0) {
                clear(dq, size);
                if (upper != nullptr) clear(upper, size);
            }
            if (any) add_to_queries(seen, used, count, any_skip_hidden, dq);
            if (upper != nullptr && ((link + 1) % group_links == 0 || last))
                leaf_.carry(upper, dq, 1, 0, size, nullptr);
            if (last) write_queries(b, h, first, count, upper != nullptr ? upper : dq);
        });
    }

    // body(wait): wait() returns when the links before this one have added to these queries, false where
    // another task has failed. Alone there is nothing to wait for.
    template <class Body>
    bool in_order(const head_gradients<T>& head, index query_block, index link, const Body& body) {
        if (head.progress == nullptr) {
            body([] { return true; });
            return true;
        }
        chain_turn ticket(head.progress[query_block], *head.stopped, link);
        bool taken = false;
        body([&] { return taken = ticket.take(); });
        if (taken) ticket.pass();
        return taken;
    }

    // dV and dK of a tile; its dS stays for dQ.
    bool take_tile(index b, index h, cover seen, query_rows<T>& q, index n, double& slope) {
        key_panel<T>& k = panel_[n];
        T* const ds = ds_ + n * panel_keys;
        const bool skip_hidden = tile_.weigh(b, h, seen, q, k, m_, ds, gradient_keys);
        if (g_.slope.data != nullptr) slope += distances(q, k, ds);
        tile_.pass_back(b, h, q, k, m_, ds, gradient_keys);
        const matrix_product<T> values{q.dy.data, 1,          q.dy.stride,       m_.s,    panel_keys,
                                       dv_[n],    panel_keys, p_.value_features, q.count, k.packs,
                                       1};
        const matrix_product<T> keys{q.q.data,    1,       q.q.stride, ds, gradient_keys, dk_[n], panel_keys,
                                     p_.features, q.count, k.packs,    1};
        if (skip_hidden) {
            leaf_.multiply_seen_lanes(values, m_.hidden, panel_keys);
            leaf_.multiply_seen_lanes(keys, m_.hidden, panel_keys);
            for (index r = 0; r < q.count; ++r)
                copy(m_.hidden + r * panel_keys, hidden_ + r * gradient_keys + n * panel_keys, panel_keys);
        } else {
            leaf_.multiply(values);
            leaf_.multiply(keys);
        }
        return skip_hidden;
    }

    // dQ += dS K over the panels that were seen: one product where they are neighbours.
    void add_to_queries(const cover (&seen)[gradient_panels], index used, index rows, bool skip_hidden,
                        T* dq) const {
        for (index n = 0; n < used;) {
            if (seen[n] == cover::empty) {
                ++n;
                continue;
            }
            const index begin = n;
            index terms = 0;
            for (; n < used && seen[n] != cover::empty; ++n) terms += panel_[n].count;
            const index row = tile_.key_row();
            const matrix_product<T> p{ds_ + begin * panel_keys,
                                      gradient_keys,
                                      1,
                                      panel_[begin].keys,
                                      row,
                                      dq,
                                      row,
                                      rows,
                                      terms,
                                      row / w_,
                                      1};
            if (skip_hidden)
                leaf_.multiply_seen_terms(p, hidden_ + begin * panel_keys, gradient_keys);
            else
                leaf_.multiply(p);
        }
    }

    // sum of dS |p - key|, for the gradient of a slope.
    double distances(const query_rows<T>& q, const key_panel<T>& k, const T* ds) const {
        double sum = 0;
        for (index r = 0; r < q.count; ++r) {
            const index distance = p_.position(q.first + r) - k.first;
            for (index l = 0; l < k.count; ++l) {
                const index d = distance - l;
                sum += static_cast<double>(ds[r * gradient_keys + l]) * static_cast<double>(d < 0 ? -d : d);
            }
        }
        return sum;
    }

    void write_queries(index b, index h, index first, index count, T* dq) const {
        leaf_.scale(dq, count * tile_.key_row(), p_.scale);
        write(g_.q, b, h, first, dq, tile_.key_row(), count, p_.features);
    }
    void write_transposed(const stored_or_sum<E, T>& to, index b, index h, const key_panel<T>& k,
                          const T* from, index row, index n, T scale) {
        T one[most_lanes];
        for (index l = 0; l < w_; ++l) one[l] = 1;
        for (index key = 0; key < k.packs * w_; key += w_)
            for (index f = 0; f < row; f += w_)
                leaf_.transpose(from + f * panel_keys + key, panel_keys, rows_ + key * row + f, row, one);
        leaf_.scale(rows_, k.count * row, scale);
        write(to, b, h, k.first, rows_, row, k.count, n);
    }
    void write(const stored_or_sum<E, T>& to, index b, index h, index first, const T* from, index row,
               index count, index n) const {
        for (index i = 0; i < count; ++i, from += row) write_row(leaf_, from, n, to, b, h, first + i);
    }

    const problem& p_;
    const exact_gradients<E>& g_;
    const gradient_leaves<E>& leaf_;
    index w_;
    gradient_tile<E> tile_;
    arena arena_;
    index panels_;
    key_panel<T> panel_[gradient_panels];
    T* keys_;
    T* dk_[gradient_panels];
    T* dv_[gradient_panels];
    T* upper_dk_[gradient_panels];
    T* upper_dv_[gradient_panels];
    T* rows_;
    tile_scratch<T> m_;
    T* ds_;
    T* hidden_;
};

}  // namespace heed::inline HEED_ABI::detail
