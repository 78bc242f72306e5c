// SPDX-License-Identifier: MIT
// examples/language_model/compare/results.hpp: what the runs of a comparison found, read from their records
#pragma once

#include <cmath>
#include <string>
#include <utility>
#include <vector>

namespace language_model {

inline constexpr double not_measured = NAN;

struct judged {  // by bytes or answers that were not learned from
    double steps, tokens, seconds, loss, accuracy;
};

struct run_result {
    std::string attention, words, target;
    double parameters = not_measured, hidden = not_measured;
    double rate = not_measured;      // tokens a second, forward and backward and update
    double of_peak = not_measured;   // of the multiply-add peak; exact attention alone
    double resident = not_measured;  // bytes at most, of the whole process
    double kept = not_measured;      // bytes for training beside parameters, gradients and moments
    std::vector<judged> text, copy_first, recall;
    std::vector<std::pair<double, double>> decode;  // bytes so far, seconds for one more

    double loss() const { return text.empty() ? not_measured : text.back().loss; }
    double accuracy() const { return text.empty() ? not_measured : text.back().accuracy; }
    static double last_accuracy(const std::vector<judged>& task) {
        return task.empty() ? not_measured : task.back().accuracy;
    }
    // How far the loss fell below that of knowing nothing, ln 256, for each epoch of so many bytes.
    double fall_per_epoch(double epoch_bytes) const;
    double decode_after(double bytes) const;
};

struct comparison {
    std::string version, cpu, compiler, date, command;
    std::string texts;  // "pages.txt and evenings.txt"
    double text_bytes = 0, epoch_bytes = 0;
    double width = 0, layers = 0, heads = 0, length = 0, batch = 0, steps = 0, threads = 1;
    double copied_length = 0, recalled_length = 0, task_steps = 0;
    std::vector<run_result> runs;

    const run_result* named(const std::string& attention) const;
    std::string heading() const;  // "heed 0.1.0 on AMD EPYC, target avx512, 1 thread, g++ 12.2.0"
    std::string setting() const;  // the model and what it read, in a sentence
};

// Adds what the record of a run says to its result; `task` is text, copy_first or recall. Throws error naming
// the file where it cannot be read.
void add_record(run_result& to, const std::string& path, const std::string& task);

}  // namespace language_model
