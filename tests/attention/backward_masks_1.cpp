// SPDX-License-Identifier: MIT
// tests/attention/backward_masks_1.cpp: gradients under windows, offsets, a prefix and lengths
#include "support/gradient_mask.hpp"

using support::check_mask_backward;

TEST_CASE("window") {
    support::for_gradient_problems<float>(3121, 60, [](reference::problem& p, support::random& r) {
        const long left = r.skewed(1, p.keys + 3) - 1, right = r.skewed(1, p.keys + 3) - 1;
        const long shift = p.keys - p.queries;
        p.visible = [=](reference::place i) {
            return i.key >= i.query + shift - left && i.key <= i.query + shift + right;
        };
        check_mask_backward(p, r, heed::window(left, right));
    });
}

TEST_CASE("causal_from, one offset for each batch entry") {
    support::for_gradient_problems<float>(3122, 60, [](reference::problem& p, support::random& r) {
        std::vector<long> offsets(static_cast<std::size_t>(p.batch));
        for (long& offset : offsets) offset = r.between(-p.queries, p.keys);
        p.visible = [=](reference::place i) {
            return i.key <= i.query + offsets[static_cast<std::size_t>(i.batch)];
        };
        check_mask_backward(p, r, heed::causal_from(offsets));
    });
}

TEST_CASE("causal and key_lengths, empty entries too") {
    support::for_gradient_problems<float>(3123, 60, [](reference::problem& p, support::random& r) {
        std::vector<int> lengths(static_cast<std::size_t>(p.batch));
        for (int& n : lengths) n = static_cast<int>(r.between(0, p.keys));
        const long shift = p.keys - p.queries;
        p.visible = [=](reference::place i) {
            return i.key < lengths[static_cast<std::size_t>(i.batch)] && i.key <= i.query + shift;
        };
        check_mask_backward(p, r, heed::causal, heed::key_lengths(lengths));
    });
}

TEST_CASE("causal or prefix") {
    support::for_gradient_problems<float>(3124, 60, [](reference::problem& p, support::random& r) {
        const long n = r.between(0, p.keys), shift = p.keys - p.queries;
        p.visible = [=](reference::place i) { return i.key <= i.query + shift || i.key < n; };
        check_mask_backward(p, r, heed::causal | heed::prefix(n));
    });
}
