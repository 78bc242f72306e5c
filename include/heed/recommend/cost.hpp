// SPDX-License-Identifier: MIT
// heed/recommend/cost.hpp: what an attention costs for one position, estimated
//
// Each time is a sum of measured constants times counts that are known: pairs of a query and a key, flops,
// bytes. They were measured on one thread of a Zen 4 (AVX-512, 117 GFLOP/s of float multiply-adds, 30.3 GB/s
// read from memory: the limits that scripts/run compare prints), in float, at head_dim 32, 64 and 128, and
// scale with the limits of another machine. Beside each constant stands where it comes from; all of them
// stand in bench/README.md, "What recommend knows", and tests/recommend/cost.cpp holds the estimates to the
// published tables: within a fifth for whole sequences, a third for streams, where the state of the caches
// decides, and two fifths for quest.
//
// Counted is attention alone, for all heads of one layer: the projections around it cost the same whatever
// stands inside, and more than attention does up to some thousands of positions.
#pragma once

#include <algorithm>
#include <string_view>

#include <heed/core/error.hpp>
#include <heed/core/index.hpp>

namespace heed::inline HEED_ABI {

// What can stand inside a layer. Ordered by what is kept of exact attention.
enum class variant {
    exact,        // softmax over all keys
    window,       // softmax over the last keys: exact where no query has to look further back
    quest,        // streams: the pages of keys that can matter most, with weights trained for softmax
    native,       // native sparse attention: trained with its choice of keys
    gated_delta,  // the gated delta rule: a state that is corrected and forgets
    linear,       // linear attention, with or without a decay: a state that adds up
    cummax,       // a running maximum for each channel
};

constexpr std::string_view name_of(variant v) {
    constexpr std::string_view names[] = {"exact",       "window", "quest", "native",
                                          "gated_delta", "linear", "cummax"};
    return static_cast<unsigned>(v) < 7u ? names[static_cast<int>(v)] : std::string_view("unknown");
}

// The limits that scripts/run compare prints for a machine; for several threads, what they do together.
struct attention_machine {
    double flops = 117e9;              // float multiply-adds, each two flops, per second
    double bytes_per_second = 30.3e9;  // read from memory
};

struct attention_shape {
    index length = 0;  // positions of a sequence; of a stream, those it comes to in the end
    index head_dim = 64;
    index heads = 1;
    index kv_heads = 0;  // 0: as many as heads
    bool causal = false;
    bool streaming = false;  // position after position; causal by nature
    // What may be given up. With neither of the first two the answer is exact attention.
    double budget = 0;      // seconds that attention may take for a position, all heads of a layer; 0: any
    index exact_up_to = 0;  // the longest sequence that is to have exact attention; 0: any
    index reach = 0;        // keys back, its own included, that a query needs to see; 0: all of them
    bool retrain = false;   // another function may stand for softmax, and the model be trained with it
    attention_machine machine = {};
};

namespace detail {

inline void check_shape(std::string_view f, const attention_shape& s) {
    if (s.length < 1) fail(f, {"length is ", s.length, ", needs at least 1"});
    if (s.head_dim < 1) fail(f, {"head_dim is ", s.head_dim, ", needs at least 1"});
    if (s.heads < 1) fail(f, {"heads is ", s.heads, ", needs at least 1"});
    if (s.kv_heads < 0)
        fail(f, {"kv_heads is ", s.kv_heads, ", needs at least 1, or 0 for as many as heads"});
    if (s.kv_heads > 0 && s.heads % s.kv_heads != 0)
        fail(f, {"heads is ", s.heads, ", needs a multiple of kv_heads, ", s.kv_heads});
    if (!(s.budget >= 0)) fail(f, {"budget is ", s.budget, " seconds, needs 0 or more"});
    if (s.exact_up_to < 0) fail(f, {"exact_up_to is ", s.exact_up_to, ", needs 0 or more"});
    if (s.reach < 0) fail(f, {"reach is ", s.reach, ", needs 0 or more"});
    if (!(s.machine.flops > 0 && s.machine.bytes_per_second > 0))
        fail(f, {"machine has ", s.machine.flops, " flops and ", s.machine.bytes_per_second,
                 " bytes a second, needs positive numbers"});
}

// The same as doubles, with the zeros filled in, and how much longer arithmetic and reading take than on the
// measured machine.
struct cost_counts {
    double n, d, heads, kv_heads, reach;
    bool causal;
    double arithmetic, reading;

    explicit cost_counts(const attention_shape& s)
        : n(static_cast<double>(s.length)),
          d(static_cast<double>(s.head_dim)),
          heads(static_cast<double>(s.heads)),
          kv_heads(static_cast<double>(s.kv_heads > 0 ? s.kv_heads : s.heads)),
          reach(static_cast<double>(s.reach > 0 ? (std::min)(s.reach, s.length) : s.length)),
          causal(s.causal),
          arithmetic(117e9 / s.machine.flops),
          reading(30.3e9 / s.machine.bytes_per_second) {}
};

// Whole sequences: nanoseconds of a position and head on the measured machine.

// A pair of query and key: two products, and an exponential that does not grow with head_dim. The slope of
// plain attention from 512 to 4096 positions: 1.37, 2.48 and 5.0 ns at head_dim 32, 64, 128.
inline double pair_time(double d) { return 0.27 + 4 * d / 116; }
// A query that sees nothing yet: what is left at 16 positions, 22, 31 and 45 ns.
inline double row_time(double d) { return 20 + 0.17 * d; }
// Tiles that a causal mask cuts cost whole: 26 keys more for each query, 58 where a window has two edges
// (window(127, 0) against the slope).
inline constexpr double edge_keys = 26, two_edges_keys = 58;

inline double softmax_time(const cost_counts& c) {
    const double keys = c.causal ? (c.n + 1) / 2 + (std::min)(edge_keys, c.n / 2) : c.n;
    return row_time(c.d) + keys * pair_time(c.d);
}
// The mean over queries of the keys that `reach` back sees.
inline double keys_in_reach(double n, double reach) { return reach - reach * (reach - 1) / (2 * n); }

inline double window_time(const cost_counts& c) {
    if (c.reach >= c.n) return softmax_time(c);
    const double one_side = keys_in_reach(c.n, c.reach);
    const double keys = c.causal ? one_side : 2 * one_side - 1;
    const double edges = edge_keys + (two_edges_keys - edge_keys) * (1 - c.reach / c.n);
    return row_time(c.d) + (std::min)(c.n, keys + edges) * pair_time(c.d);
}
// The compressed keys, 16 blocks of 64 and the last 512: 1.22 of the time of as many keys of exact attention
// (16 heads over one, 256 queries at 2048 to 16384 and 2048 at 65536 positions).
inline double native_time(const cost_counts& c) {
    const double mean = (c.n + 1) / 2;
    const double keys =
        mean / 16 + keys_in_reach(c.n, (std::min)(c.n, 1024.0)) + keys_in_reach(c.n, (std::min)(c.n, 512.0));
    return row_time(c.d) + 1.22 * keys * pair_time(c.d);
}
// The flops of a chunk of 64 positions at 90 GFLOP/s, and 63 with the solve of the delta rule: 122, 314, 920
// ns causal, 75, 225, 750 without, 203, 480, 1370 of the gated delta rule.
inline double linear_time(const cost_counts& c) {
    const double flops = 4 * c.d * c.d + (c.causal ? 128 * c.d : 0);
    return 30 + flops / 90;
}
inline double gated_delta_time(const cost_counts& c) { return 73 + (4 * c.d * c.d + 128 * c.d) / 63; }
// It waits for memory: 8 to 11, 12 to 18, 24 to 41 ns.
inline double cummax_time(double d) { return 3 + 0.2 * d; }

// Streams: nanoseconds of a position, all heads.

// Keys and values are read from memory, as other layers' have taken the caches: at 20 GB/s, two thirds of
// what the machine reads (8 heads of 64 at 16384 positions: 3.5 ms, 32 over 8 heads of 128 at 32768: 12.7
// ms). Heads that share keys wait for arithmetic: 7 ns a key and query head of 128 (32 over 2 heads).
inline double decode_time(const cost_counts& c, double keys) {
    const double arithmetic = 0.055 * c.d * keys * c.heads * c.arithmetic;
    const double reading = 8 * c.d * keys * c.kv_heads / 20 * c.reading;
    return 250 * c.heads * c.arithmetic + (std::max)(arithmetic, reading);
}
// Two bounds for each page of 16 keys, read at 9 GB/s with the arithmetic on them, and 2048 keys in scattered
// pages (32 over 2 heads of 128: 0.87 ms at 16384, 1.6 ms at 65536 positions).
inline constexpr double quest_keys = 2048;
inline double quest_time(const cost_counts& c) {
    if (c.n <= quest_keys) return decode_time(c, c.n);
    return 0.5 * c.d * c.n * c.kv_heads / 9 * c.reading + 1.35 * decode_time(c, quest_keys);
}
inline double native_keys(double n) { return n / 16 + (std::min)(n, 1024.0) + (std::min)(n, 512.0); }
// A state of d (d + 1) numbers, read and written: 8 heads of 32, 64, 128 take 7.2, 19.8, 64 us; more query
// heads 0.9 us each at 128.
inline double state_time(const cost_counts& c) {
    const double states = c.kv_heads * (400 + 0.46 * c.d * (c.d + 1));
    return (states + (c.heads - c.kv_heads) * 0.055 * c.d * c.d) * c.arithmetic;
}

inline double stream_time(variant v, const cost_counts& c) {
    switch (v) {
        case variant::exact:
            return decode_time(c, c.n);
        case variant::window:
            return decode_time(c, c.reach);
        case variant::quest:
            return quest_time(c);
        case variant::native:
            return 1.22 * decode_time(c, native_keys(c.n));
        case variant::gated_delta:
        case variant::linear:
            return state_time(c);
        case variant::cummax:
            break;
    }
    return (700 + 1.25 * c.heads * c.d) * c.arithmetic;  // 1.0, 1.4, 2.0 us with 8 heads of 32, 64, 128
}
inline double sequence_time(variant v, const cost_counts& c) {
    switch (v) {
        case variant::exact:
        case variant::quest:  // chooses for single queries; a whole sequence costs no less
            return c.heads * softmax_time(c) * c.arithmetic;
        case variant::window:
            return c.heads * window_time(c) * c.arithmetic;
        case variant::native:
            return c.heads * native_time(c) * c.arithmetic;
        case variant::gated_delta:
            return c.heads * gated_delta_time(c) * c.arithmetic;
        case variant::linear:
            return c.heads * linear_time(c) * c.arithmetic;
        case variant::cummax:
            break;
    }
    return c.heads * cummax_time(c.d) * c.reading;
}

}  // namespace detail

// Seconds for one position, all heads of a layer, on the shape's machine. Throws heed::error for a shape that
// cannot be.
inline double estimated_seconds(variant v, const attention_shape& s) {
    detail::check_enumerator("estimated_seconds", "the variant", v, 7);
    detail::check_shape("estimated_seconds", s);
    const detail::cost_counts c(s);
    return (s.streaming ? detail::stream_time(v, c) : detail::sequence_time(v, c)) * 1e-9;
}

// Bytes that a stream carries at its end, in float: keys and values, or a state.
inline double carried_bytes(variant v, const attention_shape& s) {
    detail::check_enumerator("carried_bytes", "the variant", v, 7);
    detail::check_shape("carried_bytes", s);
    const detail::cost_counts c(s);
    const double row = 8 * c.d * c.kv_heads;  // a key and a value
    switch (v) {
        case variant::quest:  // and bounds of pages of 16
            return row * c.n * (1 + 1.0 / 16);
        case variant::native:  // and compressed keys and values, one every 16
            return row * c.n * (1 + 1.0 / 16);
        case variant::gated_delta:
            return 4 * c.d * c.d * c.kv_heads;
        case variant::linear:
            return 4 * c.d * (c.d + 1) * c.kv_heads;
        case variant::cummax:
            return 4 * c.d * c.heads;
        case variant::exact:
        case variant::window:
            break;
    }
    return row * c.n;
}

// The length from which on v is estimated to cost less than exact attention at every length, everything else
// as in the shape; 0 where that is nowhere up to 2^31 - 1. Below it there may be lengths where v costs less
// too: a window and a causal mask cut tiles at different places. Lengths are tried a sixty-fourth apart, so a
// stretch shorter than that, where the two cost all but the same, can be passed over.
inline index cheaper_from(variant v, attention_shape s) {
    const auto cheaper = [&](index n) {
        s.length = n;
        return estimated_seconds(v, s) < estimated_seconds(variant::exact, s);
    };
    if (!cheaper(longest_axis)) return 0;
    const auto below = [](index n) { return n - std::max<index>(1, n / 64); };
    index high = longest_axis, low = below(high);
    for (; low > 0 && cheaper(low); low = below(high)) high = low;
    while (high - low > 1) {
        const index middle = low + (high - low) / 2;
        (cheaper(middle) ? high : low) = middle;
    }
    return high;
}

}  // namespace heed::inline HEED_ABI
