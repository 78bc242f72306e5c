// SPDX-License-Identifier: MIT
// tests/attention/elements.cpp: double natively; half and bfloat16 stored, float inside
#include "support/call.hpp"

using support::check_call;

namespace {

template <class T>
void sweep(std::uint64_t seed, int rounds) {
    support::for_problems<T>(seed, rounds, [&](reference::problem& p, support::random& r) {
        check_call<T>(p);
        const long offset = p.keys - p.queries, left = r.skewed(1, p.keys);
        p.visible = [=](reference::place i) {
            return i.key <= i.query + offset && i.key >= i.query + offset - left;
        };
        check_call<T>(p, heed::window(left, 0));
    });
}

}  // namespace

TEST_CASE("double keeps double accuracy") {
    sweep<double>(111, 40);
    support::random r(1110);
    for (long n : {1L, 3L, 64L, 130L, 600L})
        check_call<double>(support::problem<double>(r, 1, 2, 1, n, n + 5, 40, 33));
}

TEST_CASE("half is read and written, not summed in") { sweep<Eigen::half>(112, 120); }

TEST_CASE("bfloat16 is read and written, not summed in") { sweep<Eigen::bfloat16>(113, 120); }

TEST_CASE("long rows of 16-bit values keep float sums") {
    // 3000 equal weights: a half accumulator would stop growing at 2048.
    support::random r(114);
    auto p = support::problem<Eigen::half>(r, 1, 1, 1, 3, 3000, 4, 4);
    std::fill(p.q.begin(), p.q.end(), 0.0);
    check_call<Eigen::half>(p);
    auto b = support::problem<Eigen::bfloat16>(r, 1, 1, 1, 70, 3000, 4, 4);
    std::fill(b.q.begin(), b.q.end(), 0.0);
    check_call<Eigen::bfloat16>(b);
}

TEST_CASE("a half result that rounds to a denormal or overflows does so once") {
    support::random r(115);
    auto p = support::problem<Eigen::half>(r, 1, 1, 1, 9, 20, 8, 8);
    for (double& x : p.v) x = support::widen(support::narrow<Eigen::half>(x * 3e-6));
    check_call<Eigen::half>(p);
    for (double& x : p.v) x = 65504;  // the largest half, averaged
    check_call<Eigen::half>(p);
}
