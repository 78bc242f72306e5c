// SPDX-License-Identifier: MIT
// examples/language_model/source.hpp: where the batches of a run come from
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "batch.hpp"
#include "random.hpp"
#include "settings.hpp"
#include "text.hpp"

namespace language_model {

class source {
public:
    // Reads the text where the task needs one. Throws error.
    explicit source(const settings& s);

    void draw(batch& b, generator& random) const;

    // Calls judge(batch) for each batch that the model is judged by: always the same ones.
    void validate(const std::function<void(const batch&)>& judge) const;

    // What is learned, in words, and as a line of a checkpoint's configuration.
    std::string description() const;
    std::string fingerprint() const;

    // A text's files by their names, its bytes, and those of them that are learned from: an epoch. A task has
    // no end, and 0 for both.
    const std::string& name() const { return name_; }
    std::size_t bytes() const;
    std::size_t epoch_bytes() const;

private:
    std::string task_, name_;
    bool overfit_;
    std::ptrdiff_t sequences_, length_;
    std::unique_ptr<const text> text_;
};

}  // namespace language_model
