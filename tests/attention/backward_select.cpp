// SPDX-License-Identifier: MIT
// tests/attention/backward_select.cpp: gradients under what a selector chose from the data
#include <heed/sparse.hpp>

#include "support/attention_gradient_call.hpp"

namespace {

struct signs {
    const bool* of_queries;  // (batch, head, query)
    const bool* of_keys;     // (batch, kv_head, key)
    heed::index heads, kv_heads, queries, keys;
    bool operator()(heed::at i, heed::detail::lane_pos) const {
        return of_queries[(i.batch * heads + i.head) * queries + i.query] ==
               of_keys[(i.batch * kv_heads + i.head / (heads / kv_heads)) * keys + i.key];
    }
};

// Keeps a key where the first features of query and key have one sign: read from the data, kept in the
// workspace.
struct same_sign : heed::detail::option<heed::option_kind::select> {
    template <class E>
    void validate(std::string_view, const heed::detail::exact_inputs<E>&) const {}

    struct bound {
        signs all;
        heed::cover classify(const heed::tile&) const { return heed::cover::mixed; }
        signs lanes(const heed::detail::lane_block&) const { return all; }
    };
    template <class E, class Mask>
    bound choose(const heed::detail::exact_inputs<E>& p, const Mask&, heed::detail::device_ref,
                 heed::workspace& memory) const {
        const heed::index rows = p.batch * p.heads * p.queries;
        auto* const to =
            static_cast<bool*>(memory.reserve(static_cast<std::size_t>(rows + p.batch * p.kv_heads * p.keys),
                                              heed::workspace::part::selection));
        bool* at = to;
        for (heed::index b = 0; b < p.batch; ++b)
            for (heed::index h = 0; h < p.heads; ++h)
                for (heed::index i = 0; i < p.queries; ++i) *at++ = *p.q.row(b, h, i) > 0;
        for (heed::index b = 0; b < p.batch; ++b)
            for (heed::index h = 0; h < p.kv_heads; ++h)
                for (heed::index i = 0; i < p.keys; ++i) *at++ = *p.k.row(b, h, i) > 0;
        return {{to, to + rows, p.heads, p.kv_heads, p.queries, p.keys}};
    }
};

}  // namespace

TEST_CASE("a selector that makes a mask chooses again in the backward") {
    support::for_gradient_problems<float>(3201, 80, [](reference::problem& p, support::random& r) {
        const long shift = p.keys - p.queries;
        p.visible = [&p, shift](reference::place i) {
            const long kv = i.batch * p.kv_heads + i.head / (p.heads / p.kv_heads);
            const double q = p.q[static_cast<std::size_t>(
                             ((i.batch * p.heads + i.head) * p.queries + i.query) * p.d_k)],
                         k = p.k[static_cast<std::size_t>((kv * p.keys + i.key) * p.d_k)];
            return (q > 0) == (k > 0) && i.key <= i.query + shift;
        };
        heed::workspace w;
        support::check_backward<float>(p, r, heed::causal, same_sign(), heed::use(w));
    });
}
