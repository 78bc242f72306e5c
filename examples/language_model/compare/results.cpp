// SPDX-License-Identifier: MIT
// examples/language_model/compare/results.cpp: records, line by line
#include "results.hpp"

#include <fstream>
#include <sstream>

#include "../../../bench/format.hpp"
#include "../error.hpp"

namespace language_model {

double run_result::fall_per_epoch(double epoch_bytes) const {
    return text.empty() ? not_measured
                        : (std::log(256.0) - text.back().loss) / (text.back().tokens / epoch_bytes);
}

double run_result::decode_after(double bytes) const {
    for (const auto& [length, seconds] : decode)
        if (length == bytes) return seconds;
    return not_measured;
}

const run_result* comparison::named(const std::string& attention) const {
    for (const run_result& r : runs)
        if (r.attention == attention) return &r;
    return nullptr;
}

std::string comparison::heading() const {
    return "heed " + version + " on " + cpu + ", target " + (runs.empty() ? "" : runs.front().target) + ", " +
           heed_bench::fixed(threads, 0) + (threads == 1 ? " thread, " : " threads, ") + compiler;
}

std::string comparison::setting() const {
    using heed_bench::fixed;
    return fixed(layers, 0) + " layers of width " + fixed(width, 0) + " with " + fixed(heads, 0) +
           " heads; " + fixed(steps, 0) + " steps of " + fixed(batch, 0) + " sequences of " +
           fixed(length, 0) + " bytes from " + texts + " (" + fixed(text_bytes, 0) +
           " bytes, the last tenth to judge by): " + fixed(steps * batch * length / epoch_bytes, 1) +
           " epochs";
}

void add_record(run_result& to, const std::string& path, const std::string& task) {
    std::ifstream file(path);
    if (!file) throw error("cannot read the record " + path);
    std::vector<judged>& judgements = task == "text" ? to.text : task == "recall" ? to.recall : to.copy_first;
    for (std::string line; std::getline(file, line);) {
        std::istringstream fields(line);
        std::string what, word;
        std::getline(fields, what, ',');
        if (what == "setting") {
            std::string value;
            std::getline(fields, word, ',');
            std::getline(fields, value);
            if (word == "attention") to.attention = value;
            if (word == "words") to.words = value;
            if (word == "target") to.target = value;
            if (task == "text" && word == "parameters") to.parameters = std::stod(value);
            if (task == "text" && word == "hidden") to.hidden = std::stod(value);
            continue;
        }
        std::vector<double> values;
        while (std::getline(fields, word, ',')) values.push_back(std::stod(word));
        const auto has = [&](const char* name, std::size_t count) {
            return what == name && values.size() == count;
        };
        if (has("validation", 5))
            judgements.push_back({values[0], values[1], values[2], values[3], values[4]});
        if (task != "text") continue;
        if (has("speed", 4)) to.rate = values[0], to.of_peak = values[3];
        if (has("memory", 2)) {
            if (values[0] > 0) to.resident = values[0];
            if (values[1] > 0) to.kept = values[1];
        }
        if (has("decode", 2)) to.decode.emplace_back(values[0], values[1]);
    }
}

}  // namespace language_model
