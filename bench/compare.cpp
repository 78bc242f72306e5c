// SPDX-License-Identifier: MIT
// bench/compare.cpp: heed_compare, one table a person reads
#include <algorithm>
#include <ctime>
#include <fstream>
#include <iostream>
#include <stdexcept>

#include <heed/attention.hpp>

#include "arguments.hpp"
#include "figures.hpp"
#include "machine.hpp"
#include "progress.hpp"
#include "report.hpp"

namespace heed_bench {
namespace {

struct model {
    const char* title;
    std::vector<std::string> variants;
    shape extent;
    bool quick = false;     // also in a quick run
    bool baselines = true;  // beside the naive softmax
};

// The attention of one layer; and a whole layer.
const model models[] = {
    {"ViT-B/16: 12 heads, 197 patches, D=64", {"plain"}, self(12, 197, 64), true},
    {"GPT-2 small: 12 heads, 1024 tokens, D=64, causal", {"causal"}, self(12, 1024, 64), true},
    {"Whisper-base encoder: 8 heads, 1500 frames, D=64", {"plain"}, self(8, 1500, 64)},
    {"Llama-3-8B prompt: 32 query heads over 8, 1024 tokens, D=128, causal",
     {"causal"},
     {1, 32, 8, 1024, 1024, 128}},
    {"Llama-3-8B decode: 1 query, 32 heads over 8, 32768 keys, D=128",
     {"causal", "cache_float", "cache_half", "cache_bfloat16", "cache_int8", "cache_int4",
      "cache_int4_rotated", "native_decode"},
     {1, 32, 8, 1, 32768, 128}},
    {"One more position of a stream after 16384: 8 heads, D=64",
     {"causal", "linear_decode", "cummax_decode", "native_decode"},
     {1, 8, 8, 1, 16384, 64},
     true},
    {"An encoder layer, 512 tokens, width 768, hidden 3072, with 4, 8, 12 and 16 heads",
     {"heads_4", "heads_8", "heads_12", "heads_16", "heads_4_back", "heads_8_back", "heads_12_back",
      "heads_16_back"},
     self(12, 512, 64),
     false,
     false},
};

std::string today() {
    const std::time_t now = std::time(nullptr);
    char text[16];
    std::strftime(text, sizeof text, "%Y-%m-%d", std::localtime(&now));
    return text;
}

struct planned {
    std::string title;
    bool sweep;
    shape extent;
    std::vector<const variant*> variants;
};

std::vector<planned> plan(const arguments& a) {
    std::vector<planned> all;
    // What `wanted` says, and the baselines.
    const auto listed = [](bool baselines, const auto& wanted) {
        std::vector<const variant*> list;
        for (const variant& v : variants())
            if ((baselines && v.family == "eigen") || wanted(v)) list.push_back(&v);
        return list;
    };
    for (const model& m : models)
        if (a.models && (m.quick || !a.quick))
            all.push_back({m.title, false, m.extent, listed(m.baselines, [&](const variant& v) {
                               return std::find(m.variants.begin(), m.variants.end(), v.name) !=
                                      m.variants.end();
                           })});
    for (size length : a.lengths) {
        const shape s = self(1, length, 64);
        all.push_back({"One head, " + std::to_string(length) + " positions, D=64", true, s,
                       listed(true, [&](const variant& v) { return !v.takes || v.takes(s); })});
    }
    return all;
}

std::string version() {
    return std::to_string(HEED_VERSION_MAJOR) + "." + std::to_string(HEED_VERSION_MINOR) + "." +
           std::to_string(HEED_VERSION_PATCH);
}

void write_file(const std::string& path, void (*write)(std::ostream&, const report&), const report& r) {
    std::ofstream file(path);
    write(file, r);
    if (!file.flush()) throw std::runtime_error("cannot write " + path);
    std::cerr << "wrote " << path << '\n';
}

text_input read_text(const std::string& path) try {
    return text_input::from_file(path);
} catch (const std::runtime_error& e) {
    throw bad_argument(e.what());
}

void compare(const arguments& a, runner& run) {
    const std::vector<planned> todo = plan(a);
    report r{version(),
             cpu_model(),
             std::string(heed::name(heed::active_target())),
             compiler(),
             today(),
             run.threads(),
             todo.empty() ? not_measured : run.peak(),
             todo.empty() ? not_measured : run.bandwidth(),
             run.text().name(),
             {}};
    write_table_head(std::cout, r);
    std::size_t count = 2 * a.quality_lengths.size();
    for (const planned& p : todo) count += p.variants.size();
    progress steps(count);
    for (const planned& p : todo) {
        group g{p.title, p.sweep, {}};
        for (const variant* v : p.variants) {
            steps.next(p.title + ", " + v->name);
            g.rows.push_back(run.measure(*v, p.extent));
        }
        steps.clear();
        compare_with_baselines(g.rows);
        write_table(std::cout, g);
        r.groups.push_back(std::move(g));
    }
    for (size length : a.quality_lengths)
        for (input_kind input : {input_kind::text, input_kind::noise}) {
            steps.next("time against error, " + std::to_string(length) + " positions");
            r.quality.push_back(measure_quality(run, self(4, length, 64), input));
            steps.clear();
            write_quality_table(std::cout, r.quality.back());
        }
    write_table_foot(std::cout, r);
    if (!a.json.empty()) write_file(a.json, write_json, r);
    if (!a.html.empty()) write_file(a.html, write_html, r);
}

}  // namespace
}  // namespace heed_bench

int main(int count, char** values) try {
    using namespace heed_bench;
    const arguments a = arguments::parse(count, values);
    if (a.help) {
        std::cout << arguments::usage;
        return 0;
    }
    // Tried before minutes of measuring, so that a bad path fails at once.
    text_input text = read_text(a.text);
    for (const std::string& path : {a.json, a.html})
        if (!path.empty() && !std::ofstream(path, std::ios::app)) throw bad_argument("cannot write " + path);
    pin(a.threads);
    runner run(std::move(text), a.threads, patience{a.quick ? 0.1 : 0.25, 1, 200});
    if (a.figures) {
        std::cout << heading({version(),
                              cpu_model(),
                              std::string(heed::name(heed::active_target())),
                              compiler(),
                              today(),
                              1,
                              0,
                              0,
                              "",
                              {}})
                  << '\n';
        return print_figures(std::cout, run) ? 0 : 1;
    }
    compare(a, run);
    return 0;
} catch (const heed_bench::bad_argument& e) {
    std::cerr << "heed_compare: " << e.what() << "\nTry heed_compare --help.\n";
    return 2;
} catch (const std::exception& e) {
    std::cerr << "heed_compare: " << e.what() << '\n';
    return 1;
}
