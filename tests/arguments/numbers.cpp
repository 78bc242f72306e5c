// SPDX-License-Identifier: MIT
// tests/arguments/numbers.cpp: counts and widths near the end of what an index holds
//
// A limit beyond everything there is limits nothing: the bits of the call without it, or a heed::error.
#include <heed/attention.hpp>
#include <heed/sparse.hpp>

#include "support/call.hpp"

namespace {

struct problem {
    support::tensor<float> q{1, 4, 9, 8}, k{1, 2, 21, 8}, v{1, 2, 21, 6};
    problem() {
        support::random r(5);
        for (auto* t : {&q, &k, &v})
            for (long i = 0; i < t->size(); ++i) t->data()[i] = static_cast<float>(r.normal());
    }
    template <class... Options>
    std::vector<float> operator()(const Options&... options) const {
        return support::elements(heed::attention(q, k, v, options...));
    }
};

constexpr heed::index longest[] = {
    2147483646,           2147483647,      heed::index{1} << 40, (heed::index{1} << 62) - 1,
    heed::index{1} << 62, PTRDIFF_MAX - 1, PTRDIFF_MAX};

// all(n) limits nothing for any n of these, and is not refused where it is below 2^31.
template <class Make>
void limits_nothing(const char* name, const std::vector<float>& want, const Make& all) {
    static const problem p;
    for (const heed::index n : longest) {
        INFO(name << " " << n);
        try {
            const auto got = p(all(n));
            CHECK(support::same_bits(got, want));
        } catch (const heed::error& e) {
            INFO(e.what());
            CHECK(n > heed::longest_axis);
        }
    }
}

}  // namespace

TEST_CASE("masks of endless width hide nothing") {
    const problem p;
    const auto dense = p(), causal = p(heed::causal);
    limits_nothing("window", dense, [](heed::index n) { return heed::window(n, n); });
    limits_nothing("window, left", causal, [](heed::index n) { return heed::window(n, 0); });
    limits_nothing("prefix", dense, [](heed::index n) { return heed::prefix(n); });
    limits_nothing("causal_from", dense, [](heed::index n) { return heed::causal_from(n); });
    limits_nothing("dilated", dense, [](heed::index n) { return heed::dilated(n, 1); });
    limits_nothing("global_first", dense, [](heed::index n) { return heed::global_first(n); });
    limits_nothing("block_window", dense, [](heed::index n) { return heed::block_window(1, n); });
    limits_nothing("block_window, side", dense, [](heed::index n) { return heed::block_window(n, n); });
    limits_nothing("random_blocks", dense, [](heed::index n) { return heed::random_blocks(n, n, 1); });
    const std::vector<int> ids{3};
    limits_nothing("longformer", dense, [&](heed::index n) { return heed::longformer(n, ids); });
    // These hide much, and must not overflow.
    for (const heed::index n : longest) {
        INFO(n);
        for (const float x : p(heed::causal, heed::strided(n) | heed::fixed(n, 1) | heed::dilated(1, n)))
            REQUIRE(std::isfinite(x));
        const auto far_away = [&](heed::index offset) {
            return p(heed::causal_from(offset) | heed::window_from(offset, 0, n) |
                     heed::window_from(offset, n, n));
        };
        if (n > heed::longest_axis) {
            CHECK_THROWS_AS(far_away(-n), heed::error);
            CHECK_THROWS_AS(far_away(n), heed::error);
        } else {
            for (const float x : far_away(-n)) REQUIRE(std::isfinite(x));
            for (const float x : far_away(n)) REQUIRE(std::isfinite(x));
        }
    }
}

TEST_CASE("selectors with an endless budget keep every key") {
    const problem p;
    const auto dense = p();
    limits_nothing("top_k", p(heed::top_k(21)), [](heed::index n) { return heed::top_k(n); });
    limits_nothing("local_plus_top", p(heed::local_plus_top(21, 1.0)),
                   [](heed::index n) { return heed::local_plus_top(n, 1.0); });
    limits_nothing("quest", dense, [](heed::index n) { return heed::quest(4, n); });
    limits_nothing("quest, page", dense, [](heed::index n) { return heed::quest(n, n); });
    limits_nothing("vertical_slash", dense, [](heed::index n) { return heed::vertical_slash(n, n); });
    limits_nothing("entropy_budget", dense, [](heed::index n) { return heed::entropy_budget(n, n); });
    for (const double kappa : {1e31, 1e300, (std::numeric_limits<double>::max)()})
        CHECK(support::same_bits(p(heed::entropy_budget(1, 64, kappa)), dense));
}
