// SPDX-License-Identifier: MIT
// examples/language_model/trainer.cpp: the loop
#include "trainer.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "error.hpp"

namespace language_model {
namespace {

double now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// The settings of the checkpoint take the place of those not given.
settings resumed(settings s) {
    if (s.resume)
        s.adopt(checkpoint_file(s.checkpoint).state().configuration, "the checkpoint " + s.checkpoint);
    return s;
}

}  // namespace

trainer::trainer(const settings& s)
    : settings_(resumed(s)),
      source_(settings_),
      pool_(static_cast<int>(settings_.threads)),
      random_(static_cast<std::uint64_t>(settings_.seed)),
      model_(variant_named(settings_.attention).make(model_config(settings_), pool_)) {
    adamw_options options;
    options.decay = settings_.weight_decay;
    options.clip = settings_.clip;
    optimizer_ = std::make_unique<adamw>(model_->parameters(), options);
    if (settings_.resume) restore();
    if (!settings_.checkpoint.empty() && steps() < asked_steps()) check_place(settings_.checkpoint);
}

void trainer::restore() {
    const checkpoint_file file(settings_.checkpoint);
    const std::string where = "the checkpoint " + settings_.checkpoint;
    if (file.state().source != source_.fingerprint())
        throw error(where + " learned from another text; give the same --text");
    if (asked_steps() < file.state().step)
        throw error(where + " is that of " + std::to_string(file.state().step) + " steps; --steps got " +
                    std::to_string(settings_.steps) + ", needs no fewer");
    file.restore(stored_tensors());
    optimizer_->set_steps(file.state().step);
    random_ = generator(file.state().generator);
}

parameter_list trainer::stored_tensors() {
    parameter_list list = model_->parameters();
    for (parameter& p : optimizer_->moments()) list.push_back(std::move(p));
    return list;
}

void trainer::save_checkpoint() {
    save(settings_.checkpoint, {settings_.configuration(), source_.fingerprint(), steps(), random_.state()},
         stored_tensors());
}

judgement trainer::step() {
    source_.draw(batch_, random_);
    const double start = now();
    const judgement found = model_->learn(batch_);
    optimizer_->step(
        learning_rate_at(steps(), asked_steps(), static_cast<std::uint64_t>(settings_.warmup), settings_.lr),
        pool_);
    seconds_ += now() - start;
    ++steps_here_;
    return found;
}

judgement trainer::validate() {
    judgement all;
    source_.validate([&](const batch& b) { all.add(model_->judge(b)); });
    return all;
}

double trainer::flops_per_token() const {
    double flops = 6 * static_cast<double>(count(model_->parameters()) - symbols * settings_.width);
    if (settings_.attention == "exact")
        flops += 6 * static_cast<double>(settings_.layers * settings_.length * settings_.width);
    return flops;
}

bool trainer::run(record& kept) {
    const std::uint64_t last = asked_steps();
    const std::uint64_t every = settings_.validate_every > 0
                                    ? static_cast<std::uint64_t>(settings_.validate_every)
                                    : std::max<std::uint64_t>(1, last / 10);
    std::printf(
        "%s\n%s attention, %lld layers of width %lld, %lld heads, feed-forward of %lld: %lld parameters\n",
        source_.description().c_str(), settings_.attention.c_str(), static_cast<long long>(settings_.layers),
        static_cast<long long>(settings_.width), static_cast<long long>(settings_.heads),
        static_cast<long long>(model_->hidden()), static_cast<long long>(count(model_->parameters())));
    if (settings_.resume) {
        const auto done = static_cast<unsigned long long>(steps());
        if (steps() < last)
            std::printf("goes on after step %llu, to step %llu\n", done,
                        static_cast<unsigned long long>(last));
        else
            std::printf("nothing is left to train: all %llu steps are done; more with --steps\n", done);
    }
    earlier_seconds_ = kept.seconds_before();

    judgement recent;  // since the last line
    double seconds_before = seconds_;
    std::uint64_t steps_before = steps();
    while (steps() < last) {
        const judgement found = step();
        recent.add(found);
        kept.line("loss", steps(), tokens(), earlier_seconds_ + seconds_, found.loss());
        const bool learned = settings_.overfit && found.loss() < 0.05;
        if (learned || steps() % every == 0 || steps() == last) {
            report(kept, recent, seconds_ - seconds_before, steps() - steps_before);
            recent = {};
            seconds_before = seconds_;
            steps_before = steps();
        }
        if (!settings_.checkpoint.empty() &&
            (learned || steps() == last ||
             steps() % static_cast<std::uint64_t>(settings_.checkpoint_every) == 0))
            save_checkpoint();
        if (learned) return true;
    }
    return !settings_.overfit;
}

void trainer::report(record& kept, const judgement& recent, double recent_seconds,
                     std::uint64_t recent_steps) {
    const judgement found = validate();
    const double rate = static_cast<double>(recent_steps * tokens_of_step()) / recent_seconds;
    std::printf("step %6llu  loss %.4f  validation %.4f  right %5.1f %%  %.0f tokens/s\n",
                static_cast<unsigned long long>(steps()), recent.loss(), found.loss(), 100 * found.accuracy(),
                rate);
    std::fflush(stdout);
    kept.line("validation", steps(), tokens(), earlier_seconds_ + seconds_, found.loss(), found.accuracy());
}

}  // namespace language_model
