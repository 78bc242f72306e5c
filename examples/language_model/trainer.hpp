// SPDX-License-Identifier: MIT
// examples/language_model/trainer.hpp: steps, what they cost, and the checkpoint between them
#pragma once

#include <memory>
#include <string>

#include <heed/thread_pool.hpp>

#include "checkpoint.hpp"
#include "model.hpp"
#include "optimizer.hpp"
#include "record.hpp"
#include "settings.hpp"
#include "source.hpp"

namespace language_model {

class trainer {
public:
    // Reads the checkpoint to resume from, if there is one to, and makes the model. Throws error, also where
    // the checkpoint could not be written once there is something to save.
    explicit trainer(const settings& s);

    // Trains up to the settings' steps, saying on stdout how it goes. Returns what was asked for: with
    // `overfit` whether the loss came below 0.05, otherwise true.
    bool run(record& kept);

    // One update from a new batch; the loss is that before it.
    judgement step();

    judgement validate();
    void save_checkpoint();

    const settings& asked() const { return settings_; }
    const heed::thread_pool& pool() const { return pool_; }
    model& trained() { return *model_; }
    std::uint64_t steps() const { return optimizer_->steps(); }
    double training_seconds() const { return seconds_; }
    std::uint64_t tokens() const { return steps() * tokens_of_step(); }
    std::uint64_t trained_tokens() const { return steps_here_ * tokens_of_step(); }  // in this process

    // Useful flops of a token, forward and backward: 6 for every number that is multiplied with it (all
    // parameters but the embedding, of which it reads one row), and 12 length width a layer for causal exact
    // attention, half of that being hidden. For other variants the products alone.
    double flops_per_token() const;

private:
    settings settings_;
    source source_;
    heed::thread_pool pool_;
    generator random_;
    std::unique_ptr<model> model_;
    std::unique_ptr<adamw> optimizer_;
    batch batch_;
    double seconds_ = 0;          // in steps of this process, and how many
    double earlier_seconds_ = 0;  // of the processes before, as their record says
    std::uint64_t steps_here_ = 0;

    std::uint64_t asked_steps() const { return static_cast<std::uint64_t>(settings_.steps); }
    std::uint64_t tokens_of_step() const {
        return static_cast<std::uint64_t>(settings_.batch) * static_cast<std::uint64_t>(settings_.length);
    }
    void restore();
    parameter_list stored_tensors();
    void report(record& kept, const judgement& recent, double recent_seconds, std::uint64_t recent_steps);
};

}  // namespace language_model
