// SPDX-License-Identifier: MIT
// bench/figures.cpp: heed_compare --figures
//
// Each share is measured with its limit around it: limit, kernel, limit, again and again for a while;
// the best of the kernel counts against the best of the limit. Ratios of two calls come from running
// them in turn. What needs another compiler, other flags or another library is in bench/figures.
#include "figures.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <iomanip>
#include <ostream>

#include "dense.hpp"
#include "format.hpp"
#include "machine.hpp"

namespace heed_bench {
namespace {

class measurer {
public:
    measurer(std::ostream& out, runner& run) : out_(out), run_(run) {}

    void head() const {
        out_ << std::left << std::setw(58) << "figure" << std::right << std::setw(12) << "needed"
             << std::setw(12) << "measured"
             << "  verdict\n";
    }

    void share_of_peak(const char* name, const shape& s, double needed) {
        bound b = bind(name, s);
        share_of_peak(title(name, s), b.call.run, variant_named(name).flops(s), needed);
    }
    void share_of_peak(dense_call call, double needed) {
        share_of_peak(call.name(), [&] { call.run(run_.pool()); }, call.flops(), needed);
    }

    void share_of_read(const char* name, const shape& s, pages kind, double needed) {
        bound b = bind(name, s);
        share_of_read(title(name, s), b.call.run, variant_named(name).bytes(s), kind, needed);
    }
    void share_of_read(dense_call call, double needed) {
        share_of_read(call.name(), [&] { call.run(run_.pool()); }, call.bytes(), pages::ordinary, needed);
    }

    // Time of `name` over the time of `other` on the same shape.
    double ratio(const char* name, const char* other, const shape& s, double seconds) {
        bound a = bind(name, s), b = bind(other, s);
        const std::vector<double> best = best_in_turn({a.call.run, b.call.run}, {seconds, 2, 1000});
        return best[0] / best[1];
    }

    void overhead(const char* name, const char* than, const shape& s, double needed) {
        at_most(title(name, s) + ", time over " + than, needed, ratio(name, than, s, 2), times);
    }

    // A step's time after many positions over its time after a few.
    void same_at_any_length(const char* name, size few, size many, double needed) {
        const shape early{1, 8, 8, 1, few, 64}, late{1, 8, 8, 1, many, 64};
        const problem first = run_.text().make(early), last = run_.text().make(late);
        tensor y(first.q.dimensions()), z(last.q.dimensions());
        const bound_call a = variant_named(name).bind(first, y, run_.pool());
        const bound_call b = variant_named(name).bind(last, z, run_.pool());
        const std::vector<double> best = best_in_turn({a.run, b.run}, {1, 20, 100'000});
        at_most(std::string(name) + " H=8 D=64, a step after " + std::to_string(many) + " over one after " +
                    std::to_string(few),
                needed, best[1] / best[0], times);
    }

    void faster(const char* name, const char* than, const shape& s, double needed) {
        at_least(title(name, s) + ", speed over " + than, needed, ratio(than, name, s, 2), times);
    }

    // On keys that look alike: normal numbers, by sums of uniform ones, where no page stands out.
    void overhead_on_noise(const char* name, const char* than, const shape& s, double needed) {
        problem p{
            s, {s.batch, s.heads, s.queries, s.head_dim}, {s.batch, s.kv_heads, s.keys, s.head_dim}, {}};
        p.v.resize(p.k.dimensions());
        std::uint64_t state = 1;
        for (tensor* t : {&p.q, &p.k, &p.v})
            for (size i = 0; i < t->size(); ++i) {
                double sum = -2;
                for (int n = 0; n < 4; ++n) {
                    state = state * 6364136223846793005u + 1442695040888963407u;
                    sum += double(state >> 11) * 0x1p-53;
                }
                t->data()[i] = float(sum * std::sqrt(3.0));
            }
        tensor y(p.q.dimensions()), z(p.q.dimensions());
        const bound_call a = variant_named(name).bind(p, y, run_.pool());
        const bound_call b = variant_named(than).bind(p, z, run_.pool());
        const std::vector<double> best = best_in_turn({a.run, b.run}, {2, 3, 1000});
        at_most(title(name, s) + " noise, time over " + than, needed, best[0] / best[1], times);
    }

    void call_time(const char* name, const shape& s, double needed) {
        bound b = bind(name, s);
        at_most(title(name, s) + ", one call", needed, best_time(b.call.run, {0.5, 50, 100'000}), duration);
    }

    void two_threads(const char* which, const shape& s, double needed) {
        const problem& p = run_.input(s);
        tensor y(p.q.dimensions());
        const variant& v = variant_named(which);
        two_threads(title(which, s), needed,
                    [&](const heed::thread_pool& pool) { return v.bind(p, y, pool).run; });
    }
    void two_threads(dense_call call, double needed) {
        two_threads(call.name(), needed,
                    [&](const heed::thread_pool& pool) { return [&call, &pool] { call.run(pool); }; });
    }

    void extra_memory(double needed) {
        double most = 0;
        for (const char* name : {"plain", "causal", "alibi"})
            for (const shape& s : {self(8, 16, 64), self(8, 256, 64), self(1, 2048, 128), self(1, 16384, 64),
                                   shape{1, 32, 8, 1, 32768, 128}}) {
                bound b = bind(name, s);
                b.call.run();
                most = std::max(most, double(b.call.extra_bytes()));
            }
        at_most("most extra memory of a call, 16 to 32768 keys", needed, most, byte_count);
    }

    bool all_met() const { return met_; }

private:
    struct bound {
        std::unique_ptr<tensor> y;
        bound_call call;
    };

    bound bind(const char* name, const shape& s) {
        const problem& p = run_.input(s);
        auto y = std::make_unique<tensor>(p.q.dimensions());
        bound_call call = variant_named(name).bind(p, *y, run_.pool());
        return {std::move(y), std::move(call)};
    }

    void share_of_peak(const std::string& name, const std::function<void()>& run, double flops,
                       double needed) {
        double best = not_measured, peak = 0;
        for (int round = 0; round < 5; ++round) {
            peak = std::max(peak, float_peak());
            best = std::fmin(best, best_time(run, {0.25, 1, 1000}));
        }
        peak = std::max(peak, float_peak());
        at_least(name + ", of FMA peak", needed, flops / best / peak, percent);
    }

    void share_of_read(const std::string& name, const std::function<void()>& run, double bytes, pages kind,
                       double needed) {
        read_bandwidth memory(kind);
        double best = not_measured, limit = 0;
        for (int round = 0; round < 8; ++round) {
            limit = std::max(limit, memory.measure());
            best = std::fmin(best, best_time(run, {0.2, 3, 1000}));
        }
        limit = std::max(limit, memory.measure());
        at_least(name + (kind == pages::large ? ", of read, large pages" : ", of read bandwidth"), needed,
                 bytes / best / limit, percent);
    }

    // call_on(pool) is the call on that pool, ready to be repeated.
    void two_threads(const std::string& what, double needed,
                     const std::function<std::function<void()>(const heed::thread_pool&)>& call_on) {
        const std::string name = what + ", two threads over one";
        if (cpus().size() < 2) {
            out_ << std::left << std::setw(58) << name
                 << "  not measured: this program may use one processor\n";
            return;
        }
        pin(2);
        const heed::thread_pool pool(2);
        const std::vector<double> best = best_in_turn({call_on(run_.pool()), call_on(pool)}, {3, 3, 1000});
        pin(1);
        share_ = {};  // waiting for the other thread is not being disturbed
        at_least(name, needed, best[0] / best[1], times);
    }

    static std::string title(const std::string& name, const shape& s) {
        std::string heads = "H=" + std::to_string(s.heads);
        if (s.kv_heads != s.heads) heads += "/" + std::to_string(s.kv_heads);
        return name + " " + heads + (s.queries != s.keys ? " " + std::to_string(s.queries) + " query," : "") +
               " S=" + std::to_string(s.keys) + " D=" + std::to_string(s.head_dim);
    }

    void at_least(const std::string& name, double needed, double found, std::string (*text)(double)) {
        verdict(name, ">= " + text(needed), text(found), found >= needed);
    }
    void at_most(const std::string& name, double needed, double found, std::string (*text)(double)) {
        verdict(name, "<= " + text(needed), text(found), found <= needed);
    }
    void verdict(const std::string& name, const std::string& needed, const std::string& found, bool met) {
        out_ << std::left << std::setw(58) << name << std::right << std::setw(12) << needed << std::setw(12)
             << found << (met ? "  ok" : "  MISS");
        if (const double share = share_.value(); share < undisturbed)
            out_ << " (shared: this program had " << percent(share) << " of the processor)";
        out_ << std::endl;
        share_ = {};
        met_ = met_ && met;
    }

    std::ostream& out_;
    runner& run_;
    bool met_ = true;
    processor_share share_;  // since the last verdict
};

}  // namespace

bool print_figures(std::ostream& out, runner& run) {
    measurer m(out, run);
    m.head();
    m.share_of_peak("plain", self(8, 2048, 64), 0.83);
    m.share_of_peak("plain", self(8, 2048, 128), 0.85);
    m.share_of_peak("causal", self(8, 4096, 64), 0.78);
    m.share_of_peak("plain", self(8, 1500, 80), 0.75);
    m.share_of_peak("plain", self(8, 577, 72), 0.60);
    m.share_of_peak("plain", self(8, 64, 64), 0.60);
    m.share_of_peak("plain", self(8, 128, 64), 0.68);
    m.share_of_peak("plain", self(8, 256, 64), 0.75);
    m.call_time("plain", self(8, 16, 64), 25e-6 / 3);
    m.share_of_read("plain", {1, 32, 8, 1, 32768, 128}, pages::ordinary, 0.80);
    m.share_of_read("plain", {1, 32, 8, 1, 32768, 128}, pages::large, 0.80);
    const shape long_cache{1, 32, 8, 1, 32768, 128};
    m.share_of_read("cache_float", long_cache, pages::ordinary, 0.75);
    m.share_of_read("cache_bfloat16", long_cache, pages::ordinary, 0.70);
    m.share_of_read("cache_int8", long_cache, pages::ordinary, 0.55);
    m.share_of_read("cache_int4", long_cache, pages::ordinary, 0.35);
    m.faster("cache_int8", "cache_float", long_cache, 2.3);
    m.share_of_read("plain", {1, 8, 8, 1, 32768, 64}, pages::ordinary, 0.80);
    m.share_of_read("plain", {1, 8, 8, 1, 32768, 128}, pages::ordinary, 0.80);
    m.share_of_peak("cache_float", {1, 4, 1, 1, 512, 128}, 0.60);
    m.share_of_peak("cache_float", {1, 8, 1, 1, 512, 128}, 0.65);
    m.share_of_peak("cache_float", {1, 32, 8, 8, 32768, 128}, 0.65);
    m.two_threads("cache_float", {1, 32, 8, 8, 32768, 128}, 1.8);
    m.faster("window", "causal", self(1, 32768, 64), 20);
    m.overhead("score", "plain", self(8, 2048, 64), 1.12);
    m.overhead("mask_if", "plain", self(8, 2048, 64), 1.15);
    m.overhead("score_tanh", "plain", self(8, 2048, 64), 1.5);
    m.two_threads("plain", self(8, 2048, 64), 1.85);
    m.extra_memory(2.0 * 1024 * 1024);

    const shape stream = self(8, 16384, 64);
    m.share_of_peak("linear", stream, 0.55);
    m.share_of_peak("linear_full", stream, 0.60);
    m.share_of_peak("gated", stream, 0.50);
    m.share_of_peak("gated_delta", stream, 0.20);
    m.faster("linear", "causal", self(1, 16384, 64), 40);
    m.faster("linear", "causal", self(1, 512, 64), 1);
    m.overhead("linear_back", "linear", stream, 3);
    m.overhead("gated_back", "gated", stream, 3);
    m.same_at_any_length("linear_decode", 16, 65536, 1.05);
    // A step beside the loop that a user would write.
    for (const shape& s : {shape{1, 16, 16, 1, 1, 64}, shape{1, 32, 32, 1, 1, 128}}) {
        m.overhead("step_linear", "step_linear_loop", s, 1);
        m.overhead("step_gated", "step_gated_loop", s, 1);
        m.overhead("step_gated_features", "step_gated_features_loop", s, 1);
        m.overhead("step_delta", "step_delta_loop", s, 1);
        m.overhead("step_gated_delta", "step_gated_delta_loop", s, 1);
    }
    m.faster("cummax", "cummax_stream", stream, 0.90);
    m.faster("cummax", "cummax_eigen", stream, 4);
    m.overhead("cummax_back", "cummax", stream, 2.5);
    m.same_at_any_length("cummax_decode", 10, 65536, 1.05);
    m.two_threads("cummax", stream, 1.8);
    m.two_threads("cummax", self(1, 16384, 64), 1.8);
    m.two_threads("linear", self(2, 16384, 64), 1.8);
    m.two_threads("linear", self(1, 16384, 64), 1.8);
    m.two_threads("linear_back", self(1, 16384, 64), 1.8);

    m.share_of_peak("plain_back", self(8, 2048, 64), 0.65);
    m.share_of_peak("plain_back", self(8, 2048, 128), 0.65);
    m.share_of_peak("causal_back", self(8, 2048, 64), 0.65);
    m.share_of_peak("causal_back", self(8, 2048, 128), 0.65);
    m.two_threads("plain_back", self(8, 2048, 64), 1.8);

    // One encoder layer: width 768, hidden 3072, 12 heads, 512 tokens.
    m.share_of_peak("heads_12", self(12, 512, 64), 0.70);
    m.two_threads("heads_12", self(12, 512, 64), 1.8);

    m.faster("blocks", "plain", self(1, 16384, 64), 1 / (1.15 * 0.1));
    m.faster("longformer", "plain", self(1, 32768, 64), 20);
    m.faster("longformer_spread", "plain", self(1, 32768, 64), 20);
    m.faster("select_top_k", "nth_element", self(1, 4096, 64), 4);
    m.overhead("top_fraction", "plain", self(1, 4096, 64), 1);
    m.overhead("top_fraction", "plain", self(8, 4096, 64), 1);
    const shape long_decode{1, 32, 2, 1, 65536, 128};
    m.faster("quest_decode", "plain", long_decode, 6);
    m.overhead_on_noise("certified_decode", "plain", long_decode, 1.2);
    m.faster("native_decode", "plain", long_decode, 8);
    m.faster("native_prefill", "causal", {1, 16, 1, 2048, 65536, 64}, 5);

    // Rows, depth, columns: projections and feed-forward layers, their gradients, a step of a decode.
    const auto none = transposed_factor::none, left = transposed_factor::left,
               right = transposed_factor::right;
    m.share_of_peak({512, 768, 768, none}, 0.85);
    m.share_of_peak({512, 768, 3072, none}, 0.85);
    m.share_of_peak({512, 3072, 768, none}, 0.85);
    m.share_of_peak({2048, 256, 1024, none}, 0.85);
    m.share_of_peak({768, 512, 3072, left}, 0.80);
    m.share_of_peak({768, 4096, 3072, left}, 0.80);
    m.share_of_peak({512, 768, 3072, right}, 0.80);
    m.share_of_peak({512, 3072, 768, right}, 0.80);
    m.share_of_read({1, 4096, 11008, none}, 0.60);
    m.two_threads({512, 768, 3072, none}, 1.85);
    m.two_threads({768, 512, 3072, left}, 1.85);
    m.two_threads({512, 3072, 768, right}, 1.85);
    return m.all_met();
}

}  // namespace heed_bench
