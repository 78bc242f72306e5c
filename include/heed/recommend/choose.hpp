// SPDX-License-Identifier: MIT
// heed/recommend/choose.hpp: which attention to use, and why
//
//     heed::recommend({.length = 20000, .head_dim = 64, .heads = 8, .causal = true}).use        exact
//     const auto r = heed::recommend({.length = 20000, .head_dim = 64, .heads = 8, .causal = true,
//                                     .budget = 20e-6, .retrain = true});
//     r.use        heed::variant::gated_delta
//     r.reason     "Exact attention takes about 199 us a position, above the budget of 20.0 us;
//                  gated_delta takes about 3.70 us. It computes another function: the model has
//                  to be trained with it. …"
//
// Everything but exact attention computes something else, or the same only where more is known, so speed
// alone recommends none of it: the answer is exact attention unless its estimated time is above `budget` or
// the length above `exact_up_to`. Then the first of these that the shape allows, that fits the budget and
// that costs less than exact attention:
//
//     window        with `reach`: no query has to see further back, so nothing that matters is lost
//     quest         in streams without `retrain`: keys are chosen anew for each query, weights stay
//     native        with `retrain`, causal, more than 8 query heads on a key/value head, what its
//                   kernel is for
//     gated_delta   with `retrain`, causal
//     linear        with `retrain`
//     cummax        with `retrain`, causal
//
// in this order, from what keeps most of softmax to what keeps least. What a variant loses on a task no shape
// can tell; scripts/run compare --quality shows what an approximation loses on keys made from a text, and a
// training run is the only measure of those that are trained.
//
// The times are estimates (heed/recommend/cost.hpp).
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include <heed/recommend/cost.hpp>

namespace heed::inline HEED_ABI {

struct attention_cost {
    variant of;
    double seconds;        // of a position, all heads of a layer
    double carried_bytes;  // by a stream at its end
};

struct recommendation {
    variant use = variant::exact;
    double seconds = 0;                 // of `use`
    double exact_seconds = 0;           // of exact attention
    bool fits = true;                   // the budget, and exact_up_to where another is used
    std::vector<attention_cost> costs;  // of all variants that the shape allows, exact attention first
    std::string reason;
};

namespace detail {

// 3.14 us, 20.0 us, 199 us: three digits, below a nanosecond too, 0.001 ns.
inline std::string time_text(double seconds) {
    const char* const units[] = {"ns", "us", "ms", "s"};
    double x = seconds * 1e9;
    int unit = 0;
    for (; unit < 3 && x >= 999.5; ++unit) x /= 1000;
    char text[40];
    if (x < 0.995)
        std::snprintf(text, sizeof text, "%.3g ns", x);
    else
        std::snprintf(text, sizeof text, "%.*f %s", x < 9.995 ? 2 : x < 99.95 ? 1 : 0, x, units[unit]);
    return text;
}

// True where v may stand in for exact attention, as far as the shape says.
inline bool stands_in(variant v, const attention_shape& s) {
    const bool causal = s.causal || s.streaming;
    switch (v) {
        case variant::exact:
            return true;
        case variant::window:
            return s.reach > 0 && s.reach < s.length;
        case variant::quest:
            return s.streaming && !s.retrain;
        case variant::native:
            return s.retrain && causal && s.heads > 8 * (s.kv_heads > 0 ? s.kv_heads : s.heads);
        case variant::linear:
            return s.retrain;
        case variant::gated_delta:
        case variant::cummax:
            break;
    }
    return s.retrain && causal;
}

// What a user of v should know.
inline std::string remark_on(variant v, const attention_shape& s) {
    switch (v) {
        case variant::exact:
            return "";
        case variant::window:
            return "It is exact where no query has to look further back than " + std::to_string(s.reach) +
                   " keys.";
        case variant::quest:
            return "It reads the 2048 keys whose pages can matter most and leaves the others out.";
        default:
            return "It computes another function: the model has to be trained with it.";
    }
}

// What else the shape would have to say.
inline std::string what_to_allow(const attention_shape& s) {
    std::string text;
    if (s.reach == 0) text = " State .reach if no query has to see further back than some number of keys.";
    if (!s.retrain) text += " State .retrain if the model may be trained with another attention.";
    return text;
}

inline std::string reason_of(const attention_shape& s, const recommendation& r) {
    const bool slow = s.budget > 0 && r.exact_seconds > s.budget;
    const bool longer = s.exact_up_to > 0 && s.length > s.exact_up_to;
    std::string why = "Exact attention takes about " + time_text(r.exact_seconds) + " a position";
    if (slow) why += ", above the budget of " + time_text(s.budget);
    if (longer)
        why += std::string(slow ? ", and" : ";") + " a length of " + std::to_string(s.length) +
               " is above exact_up_to, " + std::to_string(s.exact_up_to);
    if (r.use != variant::exact) {
        const std::string name(name_of(r.use));
        why += "; " + name + " takes about " + time_text(r.seconds) + ". " + remark_on(r.use, s);
        if (const index from = cheaper_from(r.use, s); from > 0)
            why += std::string(" It costs less than exact attention ") +
                   (from > s.length ? "at this length, and again " : "") + "from about " +
                   std::to_string(from) + " positions on.";
        if (!r.fits) why += " Nothing that the shape allows fits the budget.";
        return why;
    }
    if (slow || longer) return why + ". Nothing that the shape allows costs less." + what_to_allow(s);
    if (s.budget > 0) return why + ", within the budget of " + time_text(s.budget) + ".";
    why += ". No budget is set, and nothing else computes the same.";
    for (const attention_cost& c : r.costs)
        if (c.seconds < r.exact_seconds)
            why += " " + std::string(name_of(c.of)) + " would take about " + time_text(c.seconds) + ".";
    return why;
}

}  // namespace detail

// Throws heed::error for a shape that cannot be. Estimates of one thread unless the machine says otherwise.
inline recommendation recommend(const attention_shape& s) {
    detail::check_shape("recommend", s);
    recommendation r;
    for (const variant v : {variant::exact, variant::window, variant::quest, variant::native,
                            variant::gated_delta, variant::linear, variant::cummax})
        if (detail::stands_in(v, s)) r.costs.push_back({v, estimated_seconds(v, s), carried_bytes(v, s)});
    r.seconds = r.exact_seconds = r.costs.front().seconds;
    const bool slow = s.budget > 0 && r.exact_seconds > s.budget;
    if (slow || (s.exact_up_to > 0 && s.length > s.exact_up_to)) {
        const attention_cost* chosen = nullptr;
        const attention_cost* cheapest = nullptr;
        for (const attention_cost& c : r.costs) {
            if (!(c.seconds < r.exact_seconds)) continue;
            if (chosen == nullptr && !(s.budget > 0 && c.seconds > s.budget)) chosen = &c;
            if (cheapest == nullptr || c.seconds < cheapest->seconds) cheapest = &c;
        }
        r.fits = chosen != nullptr;
        if (chosen == nullptr) chosen = cheapest;
        if (chosen != nullptr) {
            r.use = chosen->of;
            r.seconds = chosen->seconds;
        }
    }
    r.reason = detail::reason_of(s, r);
    return r;
}

}  // namespace heed::inline HEED_ABI
