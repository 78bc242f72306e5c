// SPDX-License-Identifier: MIT
// examples/language_model/batch.hpp: bytes that a model reads, and those it has to name next
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace language_model {

// Row-major (sequence, position). A target below 0 is not scored.
struct batch {
    std::ptrdiff_t sequences = 0, length = 0;
    std::vector<std::uint8_t> inputs;
    std::vector<std::int32_t> targets;

    static constexpr std::int32_t not_scored = -1;

    void resize(std::ptrdiff_t new_sequences, std::ptrdiff_t new_length) {
        sequences = new_sequences;
        length = new_length;
        inputs.resize(static_cast<std::size_t>(tokens()));
        targets.resize(static_cast<std::size_t>(tokens()));
    }
    std::ptrdiff_t tokens() const { return sequences * length; }

    // Sequence i: bytes[0] … bytes[length]; byte p + 1 is the target of byte p.
    void set_text(std::ptrdiff_t i, const char* bytes) {
        for (std::ptrdiff_t p = 0; p < length; ++p) {
            const auto at = static_cast<std::size_t>(i * length + p);
            inputs[at] = static_cast<std::uint8_t>(bytes[p]);
            targets[at] = static_cast<std::uint8_t>(bytes[p + 1]);
        }
    }
};

}  // namespace language_model
