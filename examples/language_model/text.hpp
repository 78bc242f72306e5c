// SPDX-License-Identifier: MIT
// examples/language_model/text.hpp: a text as bytes, its last tenth kept apart to judge with
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "batch.hpp"
#include "random.hpp"

namespace language_model {

class text {
public:
    // One file behind the other. Throws error naming the file that cannot be read or is empty.
    static text from_files(const std::vector<std::string>& paths);

    explicit text(std::string bytes);

    const std::string& training() const { return training_; }
    const std::string& validation() const { return validation_; }
    std::uint64_t digest() const { return digest_; }  // of all bytes
    std::size_t size() const { return training_.size() + validation_.size(); }

    // Throws error when a part cannot give one sequence of `length` bytes and the byte behind it.
    void check_length(std::ptrdiff_t length) const;

    // Fills every sequence from a place of its own in the training part.
    void draw(batch& b, generator& random) const;

    // Disjoint sequences of the validation part from `first` on, as many as fit into b. Returns how many
    // there are; the others of b are not scored, so that a model meets batches of one size alone.
    std::ptrdiff_t validation_from(std::ptrdiff_t first, batch& b) const;
    std::ptrdiff_t validation_sequences(std::ptrdiff_t length) const;

private:
    std::string training_, validation_;
    std::uint64_t digest_;
};

}  // namespace language_model
