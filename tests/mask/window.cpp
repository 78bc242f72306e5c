// SPDX-License-Identifier: MIT
// tests/mask/window.cpp: window and window_from against the interval they are defined by
#include "support/call.hpp"

using support::check_call;

namespace {

auto interval(long offset, long left, long right) {
    return [=](reference::place i) {
        const long p = i.query + offset;
        return i.key >= p - left && i.key <= p + right;
    };
}
constexpr long far = 1L << 40;

}  // namespace

TEST_CASE("window is centred on the query lined up with the last key") {
    support::for_problems<float>(21, 120, [](reference::problem& p, support::random& r) {
        const long left = r.skewed(1, p.keys + 3) - 1, right = r.skewed(1, p.keys + 3) - 1;
        p.visible = interval(p.keys - p.queries, left, right);
        check_call<float>(p, heed::window(left, right));
    });
}

TEST_CASE("window may be unbounded on either side") {
    support::for_problems<float>(22, 60, [](reference::problem& p, support::random& r) {
        const long side = r.skewed(1, p.keys + 3) - 1, offset = p.keys - p.queries;
        p.visible = interval(offset, far, side);
        check_call<float>(p, heed::window(heed::unbounded, side));
        p.visible = interval(offset, side, far);
        check_call<float>(p, heed::window(side, heed::unbounded));
    });
}

TEST_CASE("window_from takes one offset") {
    support::for_problems<float>(23, 60, [](reference::problem& p, support::random& r) {
        const long left = r.skewed(1, p.keys + 3) - 1, right = r.skewed(1, p.keys + 3) - 1;
        const long offset = r.between(-p.queries - 3, p.keys + 3);
        p.visible = interval(offset, left, right);
        check_call<float>(p, heed::window_from(offset, left, right));
    });
}

TEST_CASE("window_from takes an offset per batch") {
    support::random r(24);
    for (int round = 0; round < 40; ++round) {
        auto p = support::random_problem<float>(r);
        const long left = r.skewed(1, p.keys) - 1, right = r.skewed(1, p.keys) - 1;
        std::vector<long> offsets(static_cast<std::size_t>(p.batch));
        for (long& offset : offsets) offset = r.between(-p.queries, p.keys);
        p.visible = [=](reference::place i) {
            return interval(offsets[static_cast<std::size_t>(i.batch)], left, right)(i);
        };
        check_call<float>(p, heed::window_from(offsets, left, right));
    }
}

TEST_CASE("an offset and a width that are as large as numbers go meet without wrapping") {
    support::random r(26);
    constexpr long axis = 2147483647, most = PTRDIFF_MAX;
    const long offsets[] = {-axis, -axis + 3, -40, 0, 40, axis - 3, axis};
    const long widths[] = {0, 3, axis - 1, axis, axis + 1, 2 * axis, 2 * axis + 5, 1L << 62, most - 1, most};
    for (const long offset : offsets)
        for (const long left : widths)
            for (const long right : widths) {
                auto p = support::problem<float>(r, 1, 1, 1, r.chance(0.5) ? 3 : 9, 12, 4, 4);
                p.visible = [=](reference::place i) {
                    const long distance = i.key - (i.query + offset);
                    return distance >= -left && distance <= right;
                };
                INFO(offset << ", " << left << ", " << right);
                check_call<float>(p, heed::window_from(offset, left, right));
            }
    for (const long n : widths) {
        auto p = support::problem<float>(r, 1, 1, 1, 9, 12, 4, 4);
        p.visible = interval(3, n < 20 ? n : 20, n < 20 ? n : 20);
        check_call<float>(p, heed::window(n, n));
    }
}

TEST_CASE("a window of nothing but the own key copies v") {
    support::random r(25);
    auto p = support::problem<float>(r, 2, 2, 2, 70, 70, 8, 8);
    const support::inputs<float> in(p);
    const auto y = heed::attention(in.q, in.k, in.v, heed::window(0, 0));
    CHECK(support::same_bits(y.data(), in.v.data(), static_cast<std::size_t>(y.size())));
}
