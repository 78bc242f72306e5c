// SPDX-License-Identifier: MIT
// tests/recommend/choose.cpp: heed::recommend gives up exact attention only where it was told that it may
#include <heed/recommend/choose.hpp>

#include "support/catch.hpp"

namespace {

using heed::attention_shape;
using heed::recommend;
using heed::variant;
using heed_test::contains;

bool says(const heed::recommendation& r, const char* text) {
    return r.reason.find(text) != std::string::npos;
}

const attention_shape long_causal{.length = 20000, .heads = 8, .causal = true};

}  // namespace

TEST_CASE("without a budget or a longest length the answer is exact, however slow") {
    for (const heed::index length : {1, 20, 2000, 20000, 2000000000})
        for (const bool streaming : {false, true})
            for (const bool retrain : {false, true}) {
                const auto r = recommend({.length = length,
                                          .heads = 8,
                                          .causal = true,
                                          .streaming = streaming,
                                          .reach = 128,
                                          .retrain = retrain});
                CHECK(r.use == variant::exact);
                CHECK(r.fits);
                CHECK(r.seconds == r.exact_seconds);
            }
    attention_shape s = long_causal;
    s.retrain = true;
    const auto r = recommend(s);
    CHECK(says(r, "No budget is set, and nothing else computes the same."));
    CHECK(says(r, "linear would take about 2.42 us."));  // told, not chosen
}

TEST_CASE("a budget that exact attention keeps changes nothing") {
    attention_shape s = long_causal;
    s.retrain = true;
    s.budget = 1e-3;
    const auto r = recommend(s);
    CHECK(r.use == variant::exact);
    CHECK(r.fits);
    CHECK(says(r, "within the budget of 1.00 ms."));
}

TEST_CASE("above the budget: the first that keeps it, of what the shape allows") {
    attention_shape s = long_causal;
    s.budget = 20e-6;
    const auto nothing = recommend(s);
    CHECK(nothing.use == variant::exact);
    CHECK_FALSE(nothing.fits);
    CHECK(says(nothing, "above the budget of 20.0 us"));
    CHECK(says(nothing, "State .reach"));
    CHECK(says(nothing, "State .retrain"));

    s.reach = 512;
    const auto window = recommend(s);
    CHECK(window.use == variant::window);
    CHECK(window.fits);
    CHECK(window.seconds <= s.budget);
    CHECK(says(window, "no query has to look further back than 512 keys"));

    s.reach = 0, s.retrain = true;
    const auto trained = recommend(s);
    CHECK(trained.use == variant::gated_delta);
    CHECK(says(trained, "the model has to be trained with it"));

    s.budget = 3e-6;  // below the 3.7 us of gated_delta
    CHECK(recommend(s).use == variant::linear);
    s.budget = 1e-6;
    CHECK(recommend(s).use == variant::cummax);
    s.budget = 1e-9;
    const auto least = recommend(s);
    CHECK(least.use == variant::cummax);
    CHECK_FALSE(least.fits);
    CHECK(says(least, "Nothing that the shape allows fits the budget."));

    s = {.length = 20000, .heads = 8, .budget = 20e-6, .retrain = true};  // looks both ways
    CHECK(recommend(s).use == variant::linear);
    s = {.length = 65536, .heads = 16, .kv_heads = 1, .causal = true, .budget = 300e-6, .retrain = true};
    CHECK(recommend(s).use == variant::native);
}

TEST_CASE("above exact_up_to: what costs less, and never what costs more") {
    attention_shape s{.length = 65536,
                      .head_dim = 128,
                      .heads = 32,
                      .kv_heads = 2,
                      .streaming = true,
                      .exact_up_to = 10000};
    const auto r = recommend(s);
    CHECK(r.use == variant::quest);
    CHECK(r.fits);
    CHECK(says(r, "a length of 65536 is above exact_up_to, 10000"));
    CHECK(r.costs.size() == 2);
    s.exact_up_to = 65536;
    CHECK(recommend(s).use == variant::exact);

    // At 100 positions a state costs more than the keys.
    const auto early =
        recommend({.length = 100, .head_dim = 128, .heads = 4, .exact_up_to = 50, .retrain = true});
    CHECK(early.use == variant::exact);
    CHECK_FALSE(early.fits);
    CHECK(says(early, "Nothing that the shape allows costs less."));
    CHECK_FALSE(says(early, "State .retrain"));
}

TEST_CASE("a reason does not speak against what it recommends") {
    // A window and a causal mask cut tiles at different places: at 31 to 52 positions it costs less, then
    // not.
    attention_shape s{
        .length = 44, .head_dim = 188, .heads = 47, .causal = true, .budget = 1e-12, .reach = 30};
    const auto early = recommend(s);
    REQUIRE(early.use == variant::window);
    CHECK(early.seconds < early.exact_seconds);
    CHECK(says(early, "above the budget of 0.001 ns"));
    CHECK(
        says(early, "It costs less than exact attention at this length, and again from about 94 positions"));
    s.length = 94;
    CHECK(says(recommend(s), "It costs less than exact attention from about 94 positions on."));
    s.length = 93;
    CHECK(recommend(s).use == variant::exact);

    for (s.length = 2; s.length < 300; ++s.length)
        for (s.reach = 1; s.reach < 100; ++s.reach) {
            const auto r = recommend(s);
            if (r.use == variant::exact) continue;
            const heed::index from = heed::cheaper_from(r.use, s);
            CHECK(says(r, "at this length, and again") == (from > s.length));
        }
}

TEST_CASE("times in words") {
    CHECK(heed::detail::time_text(1e-12) == "0.001 ns");
    CHECK(heed::detail::time_text(1e-300) == "1e-291 ns");
    CHECK(heed::detail::time_text(0.31416e-9) == "0.314 ns");
    CHECK(heed::detail::time_text(0.9951e-9) == "1.00 ns");
    CHECK(heed::detail::time_text(3.14159e-9) == "3.14 ns");
    CHECK(heed::detail::time_text(2e-5) == "20.0 us");
    CHECK(heed::detail::time_text(0.1994) == "199 ms");
    CHECK(heed::detail::time_text(0.9999e-6) == "1.00 us");
    CHECK(heed::detail::time_text(9.996e-6) == "10.0 us");
    CHECK(heed::detail::time_text(4321) == "4321 s");
    CHECK_THROWS_WITH(recommend({}), contains("heed::recommend: length is 0"));
}
