// SPDX-License-Identifier: MIT
// A byte-level language model, trained on the CPU: what heed's layers are for. --help lists the settings;
// the parts stand in examples/language_model/, each with one idea.
#include <heed/heed.hpp>

#include <cstdio>
#include <iostream>

#include "../bench/limits.hpp"
#include "language_model/generate.hpp"
#include "language_model/memory.hpp"
#include "language_model/trainer.hpp"

namespace language_model {
namespace {

void print_speed(const trainer& run, record& kept) {
    if (run.training_seconds() == 0) return;
    const int threads = run.pool().numThreads();
    const double rate = static_cast<double>(run.trained_tokens()) / run.training_seconds();
    const double peak = heed_bench::float_peak(threads);
    const double share = rate * run.flops_per_token() / peak;
    std::printf(
        "%.0f tokens/s, %.1f GFLOP/s: %.1f %% of the multiply-add peak (%.0f GFLOP/s) of %d thread%s,\n"
        "counting 6 flops a token for each parameter but the embedding%s\n",
        rate, rate * run.flops_per_token() / 1e9, 100 * share, peak / 1e9, threads, threads == 1 ? "" : "s",
        run.asked().attention == "exact" ? ", and 6 length width a layer for causal attention" : "");
    kept.line("speed", rate, rate * run.flops_per_token(), peak, share);
}

void print_memory(std::size_t before, std::size_t after, record& kept) {
    if (after > before)
        std::printf("%.1f MiB kept for training beside parameters and moments\n",
                    static_cast<double>(after - before) / 0x1p20);
    if (peak_resident() > 0)
        std::printf("%.1f MiB resident at most\n", static_cast<double>(peak_resident()) / 0x1p20);
    kept.line("memory", peak_resident(), after > before ? after - before : 0);
}

int run(const settings& asked) {
    trainer run(asked);  // before the record: what is refused leaves the one of an earlier run
    const settings& s = run.asked();
    record kept = s.resume ? record(s.record, run.steps()) : record(s.record);
    kept.line("setting", "attention", s.attention);
    kept.line("setting", "words", variant_named(s.attention).words);
    kept.line("setting", "parameters", count(run.trained().parameters()));
    kept.line("setting", "hidden", run.trained().hidden());
    kept.line("setting", "target", std::string(heed::name(heed::active_target())));

    const std::size_t before = allocated();
    const bool learned = run.run(kept);
    print_speed(run, kept);
    if (run.trained_tokens() > 0) print_memory(before, allocated(), kept);
    for (std::int64_t length : s.decode_lengths()) {
        const double seconds = decode_seconds(run.trained(), length);
        std::printf("one more byte after %lld: %.1f us\n", static_cast<long long>(length), 1e6 * seconds);
        kept.line("decode", length, seconds);
    }
    if (s.generate > 0) {
        std::printf("\n%s", s.prompt.c_str());
        generate(run.trained(), s.prompt, s.generate, s.temperature,
                 generator(static_cast<std::uint64_t>(s.seed)), [](char c) {
                     std::putchar(c);
                     std::fflush(stdout);
                 });
        std::printf("\n");
    }
    return learned ? 0 : 1;
}

}  // namespace
}  // namespace language_model

int main(int count, char** arguments) try {
    using namespace language_model;
    settings s = settings::parse(count, arguments);
    if (s.help) {
        std::cout << settings::usage();
        return 0;
    }
    return run(s);
} catch (const language_model::bad_argument& e) {
    std::cerr << "train_language_model: " << e.what() << "\nTry train_language_model --help.\n";
    return 2;
} catch (const std::exception& e) {
    std::cerr << "train_language_model: " << e.what() << '\n';
    return 1;
}
