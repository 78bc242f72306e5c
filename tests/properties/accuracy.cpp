// SPDX-License-Identifier: MIT
// tests/properties/accuracy.cpp: error against the naive float computation (R2) and with length (R3)
//
// R2 asks for 20,000 shapes: 5,000 different ones on each of the four targets. They have the
// proportions of real calls and at least 1,000 results each: with two keys or one feature there is
// one rounding to make and the naive sum makes the same, and the largest of a few errors is luck.
#include <heed/simd/target.hpp>

#include "support/call.hpp"

namespace {

reference::problem shape(support::random& r) {
    for (;;) {
        const long kv_heads = r.between(1, 2);
        auto p = support::problem<float>(r, 1, kv_heads * r.between(1, 3), kv_heads, r.skewed(1, 40),
                                         r.skewed(16, 400), r.skewed(8, 128), r.skewed(16, 128));
        if (p.y_size() >= 1000) return p;
    }
}

support::tensor<float> attend(const reference::problem& p) {
    const support::inputs<float> in(p);
    return heed::attention(in.q, in.k, in.v);
}

}  // namespace

TEST_CASE("error within 1.5 times the naive float computation's, 0.8 times on average") {
    support::random r(1000 + static_cast<std::uint64_t>(heed::active_target()));
    long worse = 0;
    double logarithms = 0;
    std::string first;
    const int shapes = 5000;
    for (int i = 0; i < shapes; ++i) {
        const auto p = shape(r);
        const auto truth = reference::solve<double>(p).y;
        const auto naive = reference::solve<float>(p).y;
        const auto got = support::values(attend(p));
        if (!support::as_good_as_naive<float>(got, truth, naive))
            ++worse, first += support::describe(p) + "; ";
        // Errors below a tenth of a last place are no merit.
        const double floor = 0.1 * support::ulp<float>(support::max_abs(truth));
        logarithms += std::log(std::fmax(support::max_error(got, truth), floor) /
                               std::fmax(support::max_error(naive, truth), floor));
    }
    const double mean_ratio = std::exp(logarithms / shapes);
    CAPTURE(first, mean_ratio);
    CHECK(worse == 0);
    CHECK(mean_ratio <= 0.8);
}

TEST_CASE("error does not grow with length, from 1 to 65,536 keys") {
    support::random r(1010);
    double worst_short = 0, worst_long = 0;
    for (const long queries : {2L, 9L})
        for (long keys = 1; keys <= 65536; keys *= 2) {
            const auto p = support::problem<float>(r, 1, 1, 1, queries, keys, 64, 4);
            const auto truth = reference::solve<double>(p);
            // The share of 4 eps sum p|v| (1 + max|s|), so at most 1.
            const double share = support::excess<float>(p, truth, support::values(attend(p)));
            INFO(queries << " queries, " << keys << " keys");
            CHECK(share <= 1);
            if (keys >= 8 && keys <= 512) worst_short = std::fmax(worst_short, share);
            if (keys >= 8192) worst_long = std::fmax(worst_long, share);
        }
    CAPTURE(worst_short, worst_long);
    CHECK(worst_long <= 2 * worst_short);
}

TEST_CASE("a constant v drifts by no more over many tiles than over one") {
    // Accumulating thousands of tiles into one sum showed 168 ULP here in a prototype.
    support::random r(1020);
    for (const long queries : {1L, 12L}) {
        auto p = support::problem<float>(r, 1, 1, 1, queries, 65536, 1, 3);
        std::fill(p.v.begin(), p.v.end(), 1.0);
        CHECK(support::max_error(support::values(attend(p)), std::vector<double>(p.y_size(), 1.0)) <=
              16 * 0x1p-24);
    }
}
