// SPDX-License-Identifier: MIT
// tests/recommend/cost.cpp: estimated times against the published table (docs/performance.md), whose machine
// they are for
#include <heed/recommend/cost.hpp>

#include <cmath>
#include <limits>

#include "support/catch.hpp"
#include "support/traps.hpp"

namespace {

using heed::attention_shape;
using heed::variant;
using heed_test::contains;

struct published {
    variant of;
    attention_shape shape;
    double seconds;
};
// How far the estimate is off, as a factor of at least 1.
double off(double estimate, double measured) { return std::fmax(estimate / measured, measured / estimate); }

}  // namespace

TEST_CASE("estimates of whole sequences are within a fifth of the published times") {
    const published table[] = {
        {variant::exact, {.length = 197, .heads = 12}, 6.48e-6},
        {variant::exact, {.length = 1024, .heads = 12, .causal = true}, 17.3e-6},
        {variant::exact, {.length = 1500, .heads = 8}, 30.6e-6},
        {variant::exact,
         {.length = 1024, .head_dim = 128, .heads = 32, .kv_heads = 8, .causal = true},
         86.2e-6},
        {variant::exact, {.length = 16384}, 42.7e-6},
        {variant::exact, {.length = 16384, .causal = true}, 21.0e-6},
        {variant::window, {.length = 16384, .causal = true, .reach = 512}, 1.51e-6},
        {variant::linear, {.length = 16384, .causal = true}, 333e-9},
        {variant::linear, {.length = 16384}, 245e-9},
        {variant::gated_delta, {.length = 16384, .causal = true}, 502e-9},
        {variant::cummax, {.length = 16384, .causal = true}, 13.1e-9},
    };
    for (const published& p : table) {
        const double estimate = heed::estimated_seconds(p.of, p.shape);
        CAPTURE(heed::name_of(p.of), p.shape.length, estimate, p.seconds);
        CHECK(off(estimate, p.seconds) < 1.21);
    }
}

TEST_CASE("estimates of streams are within a third of the published times") {
    const published table[] = {
        {variant::exact, {.length = 16384, .heads = 8, .streaming = true}, 3.50e-3},
        {variant::exact,
         {.length = 32768, .head_dim = 128, .heads = 32, .kv_heads = 8, .streaming = true},
         12.7e-3},
        {variant::linear, {.length = 16384, .heads = 8, .streaming = true}, 21.1e-6},
        {variant::cummax, {.length = 16384, .heads = 8, .streaming = true}, 1.58e-6},
    };
    for (const published& p : table) {
        const double estimate = heed::estimated_seconds(p.of, p.shape);
        CAPTURE(heed::name_of(p.of), p.shape.length, estimate, p.seconds);
        CHECK(off(estimate, p.seconds) < 1.33);
    }
    // Speeds over exact attention of 32 heads over 2, head_dim 128.
    const attention_shape s{.length = 65536, .head_dim = 128, .heads = 32, .kv_heads = 2, .streaming = true};
    const double exact = heed::estimated_seconds(variant::exact, s);
    CHECK(off(exact / heed::estimated_seconds(variant::quest, s), 12.9) < 1.4);
    CHECK(off(exact / heed::estimated_seconds(variant::native, s), 9.5) < 1.33);
}

TEST_CASE("estimated crossovers are those that were measured") {
    const attention_shape causal{.length = 1, .causal = true}, full{.length = 1};
    CHECK(off(static_cast<double>(heed::cheaper_from(variant::linear, causal)), 171) < 1.1);
    CHECK(off(static_cast<double>(heed::cheaper_from(variant::linear, full)), 79) < 1.1);
    CHECK(off(static_cast<double>(heed::cheaper_from(variant::gated_delta, causal)), 302) < 1.1);
    CHECK(heed::cheaper_from(variant::cummax, causal) <= 32);  // at every length measured, from 32 on
    CHECK(heed::cheaper_from(variant::quest, causal) == 0);    // a whole sequence: nowhere
    CHECK(heed::cheaper_from(variant::exact, causal) == 0);
}

TEST_CASE("from a crossover on everything costs less, and just below it not") {
    for (const heed::index reach : {1, 12, 30, 44, 60, 200})
        for (const heed::index head_dim : {8, 64, 188})
            for (const bool causal : {false, true})
                for (const bool streaming : {false, true})
                    for (const variant v : {variant::window, variant::quest, variant::native,
                                            variant::gated_delta, variant::linear, variant::cummax}) {
                        attention_shape s{.length = 1,
                                          .head_dim = head_dim,
                                          .heads = 4,
                                          .causal = causal,
                                          .streaming = streaming,
                                          .reach = reach};
                        const heed::index from = heed::cheaper_from(v, s);
                        if (from == 0) continue;
                        CAPTURE(heed::name_of(v), reach, head_dim, causal, streaming, from);
                        const auto cheaper = [&](heed::index n) {
                            s.length = n;
                            return heed::estimated_seconds(v, s) < heed::estimated_seconds(variant::exact, s);
                        };
                        CHECK((from == 1 || !cheaper(from - 1)));
                        bool always = true;
                        for (heed::index n = from; n < from + 3000; ++n) always = always && cheaper(n);
                        CHECK(always);
                    }
}

TEST_CASE("estimates go with heads, lengths and the machine") {
    for (const variant v : {variant::exact, variant::window, variant::quest, variant::native,
                            variant::gated_delta, variant::linear, variant::cummax})
        for (const bool streaming : {false, true}) {
            attention_shape s{
                .length = 4096, .heads = 4, .causal = true, .streaming = streaming, .reach = 256};
            const double once = heed::estimated_seconds(v, s);
            CAPTURE(heed::name_of(v), streaming);
            CHECK((once > 0 && std::isfinite(once)));
            s.machine.flops *= 2, s.machine.bytes_per_second *= 2;
            CHECK(std::fabs(heed::estimated_seconds(v, s) / once - 0.5) < 1e-12);
            s.machine = {};
            s.length *= 2;
            CHECK(heed::estimated_seconds(v, s) >= once);
            s.heads *= 2;
            CHECK(heed::estimated_seconds(v, s) > once);
        }
    // A window as long as the sequence is exact attention.
    const attention_shape s{.length = 300, .causal = true, .reach = 300};
    CHECK(heed::estimated_seconds(variant::window, s) == heed::estimated_seconds(variant::exact, s));
}

TEST_CASE("what a stream carries") {
    const attention_shape s{.length = 1000, .head_dim = 64, .heads = 8, .kv_heads = 2, .streaming = true};
    CHECK(heed::carried_bytes(variant::exact, s) == 2 * 4 * 1000 * 64 * 2);
    CHECK(heed::carried_bytes(variant::linear, s) == 4 * 64 * 65 * 2);
    CHECK(heed::carried_bytes(variant::gated_delta, s) == 4 * 64 * 64 * 2);
    CHECK(heed::carried_bytes(variant::cummax, s) == 4 * 64 * 8);
    CHECK(heed::carried_bytes(variant::quest, s) > heed::carried_bytes(variant::exact, s));
}

TEST_CASE("shapes that cannot be are refused") {
    const heed_test::without_traps quiet;
    const auto refused = [](const attention_shape& s, const char* text) {
        CHECK_THROWS_WITH(heed::estimated_seconds(variant::exact, s), contains(text));
        CHECK_THROWS_WITH(heed::carried_bytes(variant::exact, s), contains(text));
    };
    refused({}, "length is 0, needs at least 1");
    refused({.length = 1, .head_dim = 0}, "head_dim is 0, needs at least 1");
    refused({.length = 1, .heads = 0}, "heads is 0, needs at least 1");
    refused({.length = 1, .heads = 3, .kv_heads = 2}, "heads is 3, needs a multiple of kv_heads, 2");
    refused({.length = 1, .heads = 3, .kv_heads = -1}, "kv_heads is -1, needs at least 1");
    refused({.length = 1, .budget = -1}, "budget is -1 seconds, needs 0 or more");
    refused({.length = 1, .budget = std::numeric_limits<double>::quiet_NaN()}, "seconds, needs 0 or more");
    refused({.length = 1, .exact_up_to = -1}, "exact_up_to is -1, needs 0 or more");
    refused({.length = 1, .reach = -5}, "reach is -5, needs 0 or more");
    refused({.length = 1, .machine = {.flops = 0}}, "machine has 0 flops");
}
