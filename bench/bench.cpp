// SPDX-License-Identifier: MIT
// bench/bench.cpp: heed_bench, every variant and shape under Google Benchmark
//
// Names read family/type/variant/B:batch/H:heads/S:length/D:head_dim; grouped heads add KV:, a query
// length of its own Q:. Google Benchmark's flags choose (--benchmark_filter=causal.*S:2048); ours are
//
//     --text=FILE     make q, k and v from this text
//     --threads=N     heed's threads, 1 by default
//
// Counters: GFLOP/s and GB/s of useful work, each also as a share of what the machine can do (the
// multiply-add rate is measured around each benchmark), the error in ULP, extra memory in bytes.
#include <benchmark/benchmark.h>

#include <cstring>
#include <iostream>

#include <heed/attention.hpp>

#include "arguments.hpp"
#include "machine.hpp"
#include "run.hpp"

namespace heed_bench {
namespace {

std::string name_of(const variant& v, const shape& s, const std::string& label) {
    std::string name =
        v.family + "/f32/" + label + "/B:" + std::to_string(s.batch) + "/H:" + std::to_string(s.heads);
    if (s.kv_heads != s.heads) name += "/KV:" + std::to_string(s.kv_heads);
    if (s.queries != s.keys) name += "/Q:" + std::to_string(s.queries);
    return name + "/S:" + std::to_string(s.keys) + "/D:" + std::to_string(s.head_dim);
}

// Google Benchmark calls this several times while it finds the number of iterations.
void measure(benchmark::State& state, runner& run, const variant& v, const shape& s) {
    const problem& p = run.input(s);
    tensor y(p.q.dimensions());
    const bound_call call = v.bind(p, y, run.pool());
    call.run();
    double peak = run.peak();
    const double start = now();
    for (auto iteration : state) {
        (void)iteration;
        call.run();
        benchmark::ClobberMemory();
    }
    const double seconds = (now() - start) / double(state.iterations());
    peak = std::max(peak, run.peak());
    const double flops = v.flops(s) / seconds, bytes = v.bytes(s) / seconds;
    state.counters["GFLOP/s"] = flops / 1e9;
    state.counters["of_peak_%"] = 100 * flops / peak;
    state.counters["GB/s"] = bytes / 1e9;
    state.counters["of_read_%"] = 100 * bytes / run.bandwidth();
    if (v.reference) state.counters["error_ulp"] = accuracy_of(v, p, y).error;
    state.counters["extra_bytes"] = double(call.extra_bytes());
}

void add(runner& run, const variant& v, const shape& s, const std::string& label) {
    if (v.takes && !v.takes(s)) return;
    benchmark::RegisterBenchmark(name_of(v, s, label).c_str(), [&run, &v, s](benchmark::State& state) {
        measure(state, run, v, s);
    })->Unit(benchmark::kMicrosecond);
}

// Our own flags, removed from the list before Google Benchmark complains of them.
std::string take(std::vector<char*>& values, const std::string& flag, std::string otherwise) {
    for (std::size_t i = 1; i < values.size(); ++i)
        if (std::strncmp(values[i], flag.c_str(), flag.size()) == 0) {
            otherwise = values[i] + flag.size();
            values.erase(values.begin() + std::ptrdiff_t(i));
            --i;
        }
    return otherwise;
}

int main_of(int count, char** given) {
    std::vector<char*> values(given, given + count);
    const std::string text = take(values, "--text=", HEED_BENCH_TEXT);
    const std::string wanted = take(values, "--threads=", "1");
    const int threads = std::atoi(wanted.c_str());
    if (threads < 1 || std::size_t(threads) > cpus().size())
        throw bad_argument("--threads got '" + wanted + "', needs a whole number from 1 to " +
                           std::to_string(cpus().size()));
    int left = int(values.size());
    values.push_back(nullptr);
    benchmark::Initialize(&left, values.data());
    if (benchmark::ReportUnrecognizedArguments(left, values.data())) return 2;

    pin(threads);
    runner run(text_input::from_file(text), threads, {});
    benchmark::AddCustomContext("heed target", std::string(heed::name(heed::active_target())));
    benchmark::AddCustomContext("cpu", cpu_model());
    benchmark::AddCustomContext("multiply-add peak, GFLOP/s", std::to_string(run.peak() / 1e9));
    benchmark::AddCustomContext("read bandwidth, GB/s", std::to_string(run.bandwidth() / 1e9));
    for (size head_dim : {64, 128})
        for (size length : {16, 64, 128, 256, 512, 1024, 2048, 4096, 8192})
            for (const variant& v : variants()) add(run, v, self(8, length, head_dim), v.name);
    for (size keys : {1024, 8192, 32768})
        add(run, variant_named("causal"), {1, 32, 8, 1, keys, 128}, "decode");
    for (const variant& v : variants())
        if (v.family == "layers") add(run, v, self(12, 512, 64), v.name);
    // One more position after so many: by softmax over a cache, and from states of constant size.
    for (size keys : {16, 1024, 16384})
        for (const variant& v : variants())
            if (const shape step{1, 8, 8, 1, keys, 64}; v.name == "causal" || (v.takes && v.takes(step)))
                add(run, v, step, v.name == "causal" ? "decode" : v.name);
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}

}  // namespace
}  // namespace heed_bench

int main(int count, char** values) try {
    return heed_bench::main_of(count, values);
} catch (const heed_bench::bad_argument& e) {
    std::cerr << "heed_bench: " << e.what() << '\n';
    return 2;
} catch (const std::exception& e) {
    std::cerr << "heed_bench: " << e.what() << '\n';
    return 1;
}
