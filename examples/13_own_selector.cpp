// SPDX-License-Identifier: MIT
// examples/13_own_selector.cpp: keys chosen from the data by a rule of one's own
//
// The keys of largest norm of each head, in blocks of 16: a rule for what scores may become large at all.
#include <algorithm>
#include <cstdio>
#include <numeric>
#include <vector>

#include <heed/attention.hpp>

constexpr long block = 16;

// What the selector makes: which blocks of keys each key/value head keeps.
struct kept_blocks : heed::mask_base {
    std::vector<bool> kept;  // (batch, kv_head, block)
    long kv_heads, group, blocks;

    bool in(long b, long h, long i) const {
        return kept[static_cast<std::size_t>((b * kv_heads + h / group) * blocks + i)];
    }
    bool operator()(heed::at i) const { return in(i.batch, i.head, i.key / block); }
    heed::cover classify(const heed::tile& t) const {
        long seen = 0, asked = 0;
        for (long i = t.key_begin / block; i <= (t.key_end - 1) / block; ++i, ++asked)
            seen += in(t.batch, t.head, i);
        return seen == 0 ? heed::cover::empty : seen == asked ? heed::cover::full : heed::cover::mixed;
    }
};

struct loud_keys : heed::selector_base {
    long keep;  // blocks of a head
    explicit loud_keys(long blocks) : keep(blocks) {}

    template <class T>
    auto select(const heed::view<const T>& q, const heed::view<const T>& k) const {
        kept_blocks m;
        m.kv_heads = k.heads(), m.group = q.heads() / k.heads(),
        m.blocks = (k.positions() + block - 1) / block;
        m.kept.resize(static_cast<std::size_t>(k.batch() * k.heads() * m.blocks));
        std::vector<float> loudest(static_cast<std::size_t>(m.blocks));
        std::vector<long> order(loudest.size());
        for (long row = 0; row < k.batch() * k.heads(); ++row) {
            std::fill(loudest.begin(), loudest.end(), 0.f);
            for (long p = 0; p < k.positions(); ++p) {
                float norm = 0;
                for (long f = 0; f < k.features(); ++f) {
                    const float x = static_cast<float>(k(row / k.heads(), row % k.heads(), p, f));
                    norm += x * x;
                }
                float& of_block = loudest[static_cast<std::size_t>(p / block)];
                of_block = std::max(of_block, norm);
            }
            std::iota(order.begin(), order.end(), 0L);
            std::stable_sort(order.begin(), order.end(), [&](long a, long b) {
                return loudest[static_cast<std::size_t>(a)] > loudest[static_cast<std::size_t>(b)];
            });
            for (long i = 0; i < std::min(keep, m.blocks); ++i)
                m.kept[static_cast<std::size_t>(row * m.blocks + order[static_cast<std::size_t>(i)])] = true;
        }
        return m;
    }
};
static_assert(heed::concepts::selector<loud_keys>);

int main() {
    using tensor = Eigen::Tensor<float, 4, Eigen::RowMajor>;
    tensor q(1, 8, 64, 32), k(1, 2, 512, 32), v(1, 2, 512, 32);
    for (tensor* x : {&q, &k, &v}) x->setRandom();
    const tensor all = heed::attention(q, k, v, loud_keys(32));  // as many blocks as there are
    const tensor some = heed::attention(q, k, v, loud_keys(8), heed::causal);
    const tensor exact = heed::attention(q, k, v);
    long same = 0, moved = 0;
    for (long i = 0; i < all.size(); ++i)
        same += all.data()[i] == exact.data()[i], moved += some.data()[i] != exact.data()[i];
    std::printf("%ld of %ld numbers as without a selector, %ld moved by 8 blocks of 32\n", same, all.size(),
                moved);
    return same == all.size() && moved > 0 ? 0 : 1;
}
