// SPDX-License-Identifier: MIT
// tests/attention/backward_masks_2.cpp: gradients under documents, tensors of bool, predicates and not
#include "support/broadcast.hpp"
#include "support/gradient_mask.hpp"

using support::check_mask_backward;

TEST_CASE("documents") {
    support::for_gradient_problems<float>(3131, 60, [](reference::problem& p, support::random& r) {
        std::vector<int> of_queries(static_cast<std::size_t>(p.queries)),
            of_keys(static_cast<std::size_t>(p.keys));
        int id = 0;
        for (int& x : of_queries) x = id += r.chance(0.1);
        id = 0;
        for (int& x : of_keys) x = id += r.chance(0.1);
        p.visible = [=](reference::place i) {
            return of_queries[static_cast<std::size_t>(i.query)] == of_keys[static_cast<std::size_t>(i.key)];
        };
        check_mask_backward(p, r, heed::documents(of_queries, of_keys));
    });
}

TEST_CASE("a tensor of bool that broadcasts") {
    support::for_gradient_problems<float>(3132, 60, [](reference::problem& p, support::random& r) {
        const support::broadcast_shape<4> shape(r, p);
        support::tensor<bool> mask(shape.extents);
        const double density = r.uniform(0.02, 1);
        for (long i = 0; i < mask.size(); ++i) mask.data()[i] = r.chance(density);
        p.visible = [&](reference::place i) { return mask.data()[shape.index_of(i)]; };
        check_mask_backward(p, r, heed::mask(mask));
    });
}

TEST_CASE("mask_if and not") {
    support::for_gradient_problems<float>(3133, 60, [](reference::problem& p, support::random& r) {
        const long a = r.between(1, 7), b = r.between(1, 7), c = r.between(2, 9), n = r.between(0, p.keys);
        p.visible = [=](reference::place i) {
            return (i.query * a + i.key * b + i.head + 3 * i.batch) % c != 0 && i.key >= n;
        };
        const int ia = int(a), ib = int(b), ic = int(c);
        check_mask_backward(p, r, !heed::prefix(n) & heed::mask_if([=](heed::at i) {
                                return (i.query * ia + i.key * ib + i.head + 3 * i.batch) % ic != 0;
                            }));
    });
}
