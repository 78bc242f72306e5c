// SPDX-License-Identifier: MIT
// examples/language_model/text.cpp: reading, splitting and drawing
#include "text.hpp"

#include <algorithm>

#include "digest.hpp"
#include "error.hpp"
#include "file.hpp"

namespace language_model {

text text::from_files(const std::vector<std::string>& paths) {
    std::string bytes;
    for (const std::string& path : paths) {
        const std::string part = bytes_of_file("text", path);
        if (part.empty()) throw error("the text " + path + " is empty");
        bytes += part;
    }
    return text(std::move(bytes));
}

text::text(std::string bytes) : digest_(digest_of(bytes.data(), bytes.size())) {
    const std::size_t kept = bytes.size() - bytes.size() / 10;
    validation_ = bytes.substr(kept);
    bytes.resize(kept);
    training_ = std::move(bytes);
}

void text::check_length(std::ptrdiff_t length) const {
    const auto needed = static_cast<std::size_t>(length) + 1;
    if (validation_.size() < needed || training_.size() < needed)
        throw error("the text has " + std::to_string(size()) +
                    " bytes, and its last tenth judges the model: " + "sequences of " +
                    std::to_string(length) + " need at least " + std::to_string(10 * needed) +
                    "; give a longer text or a smaller --length");
}

void text::draw(batch& b, generator& random) const {
    for (std::ptrdiff_t i = 0; i < b.sequences; ++i)
        b.set_text(i,
                   training_.data() + random.below(static_cast<std::int64_t>(training_.size()) - b.length));
}

std::ptrdiff_t text::validation_sequences(std::ptrdiff_t length) const {
    return (static_cast<std::ptrdiff_t>(validation_.size()) - 1) / length;
}

std::ptrdiff_t text::validation_from(std::ptrdiff_t first, batch& b) const {
    const std::ptrdiff_t found =
        std::clamp(validation_sequences(b.length) - first, std::ptrdiff_t{0}, b.sequences);
    std::fill(b.inputs.begin(), b.inputs.end(), static_cast<std::uint8_t>(' '));
    std::fill(b.targets.begin(), b.targets.end(), batch::not_scored);
    for (std::ptrdiff_t i = 0; i < found; ++i) b.set_text(i, validation_.data() + (first + i) * b.length);
    return found;
}

}  // namespace language_model
