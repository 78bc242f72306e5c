// SPDX-License-Identifier: MIT
// The language model with each attention in turn: what it learns, what that costs, and what it forgets.
//
// Each run is train_language_model in a process of its own, so that the memory measured is its own. Runs on
// the text are timed and come one after another; those on the tasks are not timed and share the processors.
#include <heed/version.hpp>

#include <algorithm>
#include <atomic>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <mutex>
#include <thread>

#include "../bench/machine.hpp"
#include "language_model/compare/process.hpp"
#include "language_model/compare/report.hpp"
#include "language_model/compare/request.hpp"
#include "language_model/source.hpp"

namespace language_model {
namespace {

constexpr int copied_length = 64, recalled_length = 32;

struct job {
    std::string attention, task;
    std::vector<std::string> words;

    std::string name() const { return attention + "." + task; }
};

std::string record_of(const request& r, const job& j) { return r.folder + "/" + j.name() + ".csv"; }

job text_job(const request& r, const std::string& attention) { return {attention, "text", r.passed}; }
job task_job(const request& r, const std::string& attention, const std::string& task, int length,
             std::int64_t steps) {
    return {attention,
            task,
            {"--task", task, "--length", std::to_string(length), "--width", "64", "--batch", "32", "--lr",
             "3e-3", "--weight-decay", "0.01", "--steps", std::to_string(steps), "--validate-every",
             std::to_string(std::max<std::int64_t>(1, steps / 12)), "--seed", std::to_string(r.text.seed)}};
}

void run_job(const request& r, const job& j) {
    std::vector<std::string> words{HEED_TRAIN_PROGRAM, "--attention", j.attention, "--record",
                                   record_of(r, j)};
    words.insert(words.end(), j.words.begin(), j.words.end());
    const std::string log = r.folder + "/" + j.name() + ".log";
    if (run_program(words, log) == 0) return;
    std::string last;
    std::ifstream file(log);
    for (std::string line; std::getline(file, line);)
        if (!line.empty()) last = line;
    throw error(j.name() + " failed: " + last);
}

// Runs all, `workers` at a time, and says which is being run.
void run_jobs(const request& r, const std::vector<job>& jobs, int workers) {
    std::atomic<std::size_t> next{0};
    std::mutex speaking;
    std::string problem;
    const auto work = [&] {
        for (std::size_t i = next++; i < jobs.size(); i = next++) {
            {
                const std::lock_guard<std::mutex> lock(speaking);
                if (!problem.empty()) return;
                std::cerr << "[" << i + 1 << "/" << jobs.size() << "] " << jobs[i].attention << ", "
                          << jobs[i].task << '\n';
            }
            try {
                run_job(r, jobs[i]);
            } catch (const error& e) {
                const std::lock_guard<std::mutex> lock(speaking);
                problem = e.what();
            }
        }
    };
    std::vector<std::thread> others;
    for (int i = 1; i < workers; ++i) others.emplace_back(work);
    work();
    for (std::thread& other : others) other.join();
    if (!problem.empty()) throw error(problem);
}

comparison start(const request& r) {
    comparison c;
    c.version = std::to_string(HEED_VERSION_MAJOR) + "." + std::to_string(HEED_VERSION_MINOR) + "." +
                std::to_string(HEED_VERSION_PATCH);
    c.cpu = heed_bench::cpu_model();
    c.compiler = heed_bench::compiler();
    c.command = r.command;
    char date[16];
    const std::time_t now = std::time(nullptr);
    std::strftime(date, sizeof date, "%Y-%m-%d", std::localtime(&now));
    c.date = date;
    const source text(r.text);
    c.texts = text.name();
    c.text_bytes = static_cast<double>(text.bytes());
    c.epoch_bytes = static_cast<double>(text.epoch_bytes());
    c.width = static_cast<double>(r.text.width);
    c.layers = static_cast<double>(r.text.layers);
    c.heads = static_cast<double>(r.text.heads);
    c.length = static_cast<double>(r.text.length);
    c.batch = static_cast<double>(r.text.batch);
    c.steps = static_cast<double>(r.text.steps);
    c.threads = static_cast<double>(r.text.threads);
    c.copied_length = copied_length;
    c.recalled_length = recalled_length;
    c.task_steps = static_cast<double>(r.task_steps);
    return c;
}

void write_file(const std::string& path, void (*write)(std::ostream&, const comparison&),
                const comparison& c) {
    std::ofstream file(path);
    write(file, c);
    if (!file.flush()) throw error("cannot write " + path);
    std::cerr << "wrote " << path << '\n';
}

void compare(const request& r) {
    comparison c = start(r);  // reads the text, before minutes of training
    std::error_code problem;
    std::filesystem::create_directories(r.folder, problem);
    if (problem) throw error("cannot make the folder " + r.folder + ": " + problem.message());

    std::vector<job> timed, tasks;
    for (const std::string& attention : r.attentions) {
        timed.push_back(text_job(r, attention));
        if (r.task_steps == 0) continue;
        tasks.push_back(task_job(r, attention, "copy_first", copied_length, r.task_steps));
        tasks.push_back(task_job(r, attention, "recall", recalled_length, 2 * r.task_steps));
    }
    run_jobs(r, timed, 1);
    run_jobs(r, tasks, static_cast<int>(heed_bench::cpus().size()));

    for (const std::string& attention : r.attentions) {
        run_result result;
        for (const std::vector<job>* jobs : {&timed, &tasks})
            for (const job& j : *jobs)
                if (j.attention == attention) add_record(result, record_of(r, j), j.task);
        c.runs.push_back(std::move(result));
    }
    write_markdown(std::cout, c);
    write_file(r.folder + "/report.md", write_markdown, c);
    write_file(r.folder + "/report.html", write_html, c);
    write_file(r.folder + "/results.json", write_json, c);
}

}  // namespace
}  // namespace language_model

int main(int count, char** arguments) try {
    using namespace language_model;
    const request r = request::parse(count, arguments);
    if (r.help) {
        std::cout << request::usage();
        return 0;
    }
    compare(r);
    return 0;
} catch (const language_model::bad_argument& e) {
    std::cerr << "train_compare: " << e.what() << "\nTry train_compare --help.\n";
    return 2;
} catch (const std::exception& e) {
    std::cerr << "train_compare: " << e.what() << '\n';
    return 1;
}
