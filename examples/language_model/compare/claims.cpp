// SPDX-License-Identifier: MIT
// examples/language_model/compare/claims.cpp: the claims, and the verdicts by one rule
#include "claims.hpp"

#include "../../../bench/format.hpp"

namespace language_model {
namespace {

using heed_bench::byte_count;
using heed_bench::fixed;
using heed_bench::percent;

// An advantage is by how much cummax is better, as a share of exact's value: less is better, or more.
std::string verdict(double claimed, double found) {
    if (!std::isfinite(found)) return "not measured";
    if (found >= claimed) return "held: " + percent(found) + " better";
    if (found > 0.005) return "held in part: " + percent(found) + " better, not " + percent(claimed);
    if (found >= -0.005) return "did not hold: no difference";
    return "did not hold: " + percent(-found) + " worse";
}

}  // namespace

std::vector<claim> claims(const comparison& c) {
    const run_result* const fast = c.named("cummax");
    const run_result* const exact = c.named("exact");
    if (fast == nullptr || exact == nullptr) return {};
    std::vector<claim> all;
    const auto add = [&](const char* words, const char* measured, double claimed, bool less, double x,
                         double y, auto text) {
        if (!std::isfinite(x) || !std::isfinite(y)) return;
        all.push_back({words, measured, text(x), text(y), verdict(claimed, less ? 1 - x / y : x / y - 1)});
    };
    const auto seconds = [](double s) { return fixed(s, 1) + " s"; };
    const auto rate = [](double r) { return fixed(r, 0); };
    const auto nats = [](double x) { return fixed(x, 3); };
    const auto bytes = [](double x) { return byte_count(x); };
    add("30 % faster epochs (12.3 against 17.8 s)", "seconds for an epoch of the text", 0.30, true,
        c.epoch_bytes / fast->rate, c.epoch_bytes / exact->rate, seconds);
    add("18,500 against 13,200 tokens/s", "tokens/s in training", 18500.0 / 13200 - 1, false, fast->rate,
        exact->rate, rate);
    add("4.2 against 5.1 GB", "memory of the whole process, at most", 1 - 4.2 / 5.1, true, fast->resident,
        exact->resident, bytes);
    add("4.2 against 5.1 GB", "memory kept for the backward and scratch", 1 - 4.2 / 5.1, true, fast->kept,
        exact->kept, bytes);
    add("0.85 against 0.68 loss an epoch", "fall of the loss an epoch, over the run, in nats a byte",
        0.85 / 0.68 - 1, false, fast->fall_per_epoch(c.epoch_bytes), exact->fall_per_epoch(c.epoch_bytes),
        nats);
    add("92.3 against 91.1 % accuracy", "next bytes of the text named right", 92.3 / 91.1 - 1, false,
        fast->accuracy(), exact->accuracy(), percent);
    add("42 % more sensitive to key peaks", "first bytes said again after noise (copy_first)", 0.42, false,
        run_result::last_accuracy(fast->copy_first), run_result::last_accuracy(exact->copy_first), percent);
    add("42 % more sensitive to key peaks", "values found by their keys (recall)", 0.42, false,
        run_result::last_accuracy(fast->recall), run_result::last_accuracy(exact->recall), percent);
    return all;
}

}  // namespace language_model
