// SPDX-License-Identifier: MIT
// bench/arguments.cpp: parsing, and a message for each mistake
#include "arguments.hpp"

#include <charconv>
#include <string_view>

#include "machine.hpp"

namespace heed_bench {

const char* const arguments::usage =
    R"(usage: heed_compare [options]

What each attention variant costs on this machine, beside the naive Eigen softmax: time per token,
share of the machine's own limits, memory, and the error against a double computation; and what the
approximate ones gain in time and lose against exact softmax.

  --text FILE       make q, k and v from this text (default: the one that ships with heed)
  --lengths A,B,…   sweep these lengths (1 to 1048576) and leave the model shapes out
  --quality         only the approximate variants: time against error, on the text and on white noise;
                    also with --lengths (default 2048)
  --threads N       heed's threads (default 1, pinned; the naive softmax always has one)
  --quick           a shorter run: fewer shapes, shorter lengths
  --json FILE       also write everything measured, in SI units
  --html FILE       also write a report with charts; one file, no network needed
  --figures         instead measure the published figures and say which are met
  --help            this text
)";

namespace {

size number(std::string_view option, std::string_view text, size least, size most) {
    size value = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (problem != std::errc() || end != text.data() + text.size() || value < least || value > most)
        throw bad_argument(std::string(option) + " got '" + std::string(text) +
                           "', needs a whole number from " + std::to_string(least) + " to " +
                           std::to_string(most));
    return value;
}

}  // namespace

arguments arguments::parse(int count, char** values) {
    arguments a;
    a.text = HEED_BENCH_TEXT;
    bool quality = false;
    for (int i = 1; i < count; ++i) {
        const std::string_view option = values[i];
        const auto next = [&]() -> std::string_view {
            if (i + 1 == count) throw bad_argument(std::string(option) + " needs a value");
            return values[++i];
        };
        if (option == "--text") {
            a.text = next();
        } else if (option == "--json") {
            a.json = next();
        } else if (option == "--html") {
            a.html = next();
        } else if (option == "--quick") {
            a.quick = true;
        } else if (option == "--quality") {
            quality = true;
        } else if (option == "--figures") {
            a.figures = true;
        } else if (option == "--help" || option == "-h") {
            a.help = true;
        } else if (option == "--threads") {
            a.threads = int(number(option, next(), 1, size(cpus().size())));
        } else if (option == "--lengths") {
            a.models = false;
            std::string_view list = next();
            for (std::size_t comma = 0; comma != list.npos;
                 list.remove_prefix(comma == list.npos ? 0 : comma + 1)) {
                comma = list.find(',');
                a.lengths.push_back(number(option, list.substr(0, comma), 1, 1 << 20));
            }
        } else {
            throw bad_argument("unknown option '" + std::string(option) + "'");
        }
    }
    if (a.figures &&
        (!a.json.empty() || !a.html.empty() || !a.lengths.empty() || a.quick || quality || a.threads != 1))
        throw bad_argument("--figures has its own shapes and threads; only --text goes with it");
    if (quality) {
        a.models = false;
        a.quality_lengths.swap(a.lengths);
    } else if (a.lengths.empty()) {
        a.lengths =
            a.quick ? std::vector<size>{64, 256, 1024} : std::vector<size>{64, 256, 1024, 4096, 16384};
    }
    if (a.quality_lengths.empty() && (quality || a.models))
        a.quality_lengths = {a.quick ? size(1024) : size(2048)};
    return a;
}

}  // namespace heed_bench
