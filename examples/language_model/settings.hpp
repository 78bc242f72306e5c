// SPDX-License-Identifier: MIT
// examples/language_model/settings.hpp: what a run is asked to do
//
// All settings stand in one table (each_setting), from which the command line is read, --help is printed,
// and what makes a run what it is goes into checkpoints and comes back from them.
#pragma once

#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "error.hpp"

namespace language_model {

struct settings {
    std::vector<std::string> texts;  // read one behind the other; empty: the text that ships
    std::string task = "text";
    bool overfit = false;

    std::string attention = "exact";
    std::int64_t width = 128;
    std::int64_t layers = 2;
    std::int64_t heads = 4;
    std::int64_t hidden = 0;
    std::int64_t length = 256;

    std::int64_t steps = 200;
    std::int64_t batch = 8;
    double lr = 2e-3;
    std::int64_t warmup = 20;
    double weight_decay = 0.1;
    double clip = 1;
    std::int64_t seed = 1;
    std::int64_t threads = 1;
    std::int64_t validate_every = 0;

    std::string checkpoint;
    std::int64_t checkpoint_every = 100;
    bool resume = false;

    std::int64_t generate = 0;
    std::string prompt = "The ";
    double temperature = 0.8;
    std::string decode;
    std::string record;
    bool help = false;

    std::set<std::string> given;  // names on the command line

    // Throws bad_argument.
    static settings parse(int count, const char* const* arguments);
    static std::string usage();

    // The settings that a checkpoint remembers, one a line: "width 128\n…".
    std::string configuration() const;

    // Takes over a configuration. What was given on the command line must agree with it where it is `fixed`,
    // and stays where it is `unless_given`. Throws error naming what does not agree, and `where` the
    // configuration stood, and bad_argument for what does not go together.
    void adopt(const std::string& configuration, const std::string& where);

    // Whether the model can be made of these, and learn what is asked. Throws bad_argument.
    void check() const;

    // Lengths of --decode "256,1024,4096".
    std::vector<std::int64_t> decode_lengths() const;
};

template <class Number>
struct range {
    Number least, most;
};
using whole_range = range<std::int64_t>;
using real_range = range<double>;

// What a run that goes on from a checkpoint takes from it.
enum class remembered {
    fixed,         // it decides the numbers: another value would be another run
    unless_given,  // how far the run goes and where it reads and stops for a look: the command line may
                   // change it
    not_at_all     // of this process
};

// f(name, member, range, what it does, remembered), for each setting. Words have choices for a range ("" for
// any words), switches nothing.
template <class S, class F>
void each_setting(S& s, F&& f) {
    constexpr std::int64_t many = std::int64_t{1} << 40;
    using enum remembered;
    struct none {};
    f("text", s.texts, none{}, "FILE: learn from this text; more than once: one behind the other",
      unless_given);
    f("task", s.task, "text copy_first recall", "what to learn", fixed);
    f("overfit", s.overfit, none{}, "the same batch again and again, until its loss is below 0.05", fixed);
    f("attention", s.attention, "exact cummax maxstate_super linear gated_delta sparse psa hybrid",
      "what stands inside the layers", fixed);
    f("width", s.width, whole_range{8, 1 << 14}, "features of a position", fixed);
    f("layers", s.layers, whole_range{1, 1000}, "attention and feed-forward, this often", fixed);
    f("heads", s.heads, whole_range{1, 1 << 10}, "heads of each attention", fixed);
    f("hidden", s.hidden, whole_range{0, 1 << 16},
      "features between the feed-forward's products; 0: as many as give the parameters of exact attention "
      "with 4 x width",
      fixed);
    f("length", s.length, whole_range{8, 1 << 20}, "positions of a sequence", fixed);
    f("steps", s.steps, whole_range{0, many}, "updates of the parameters", unless_given);
    f("batch", s.batch, whole_range{1, 1 << 16}, "sequences of an update", fixed);
    f("lr", s.lr, real_range{0, 10}, "the learning rate at its highest", fixed);
    f("warmup", s.warmup, whole_range{0, many}, "steps until it is reached; then it falls as a cosine",
      fixed);
    f("weight-decay", s.weight_decay, real_range{0, 10}, "of matrices, as in AdamW", fixed);
    f("clip", s.clip, real_range{0, 1e30}, "the longest gradient; 0: any", fixed);
    f("seed", s.seed, whole_range{0, many}, "of the parameters and the batches", fixed);
    f("threads", s.threads, whole_range{1, 256}, "they change no bit of the result", not_at_all);
    f("validate-every", s.validate_every, whole_range{0, many}, "steps; 0: ten times a run", unless_given);
    f("checkpoint", s.checkpoint, "", "FILE: where the run is kept", not_at_all);
    f("checkpoint-every", s.checkpoint_every, whole_range{1, many}, "steps", unless_given);
    f("resume", s.resume, none{},
      "go on from the checkpoint, with its settings; --steps, --text and how often may be given anew",
      not_at_all);
    f("generate", s.generate, whole_range{0, 1 << 20}, "bytes to write with the trained model", not_at_all);
    f("prompt", s.prompt, "", "TEXT: what they follow", not_at_all);
    f("temperature", s.temperature, real_range{0, 100}, "of the choice; 0: the likeliest byte", not_at_all);
    f("decode", s.decode, "", "A,B,…: time one more byte after so many", not_at_all);
    f("record", s.record, "", "FILE: everything measured, as lines of comma-separated values", not_at_all);
    f("help", s.help, none{}, "this text", not_at_all);
}

}  // namespace language_model
