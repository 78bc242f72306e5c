// SPDX-License-Identifier: MIT
// examples/language_model/tasks.cpp: the sequences of copy_first and recall
#include "tasks.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace language_model {
namespace {

const std::string letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

// The sequence of length + 1 bytes goes into row i; only targets where scored(p) holds count, p being the
// place of the target in the sequence.
template <class Scored>
void put(batch& b, std::ptrdiff_t i, const std::string& sequence, const Scored& scored) {
    b.set_text(i, sequence.data());
    for (std::ptrdiff_t p = 0; p < b.length; ++p)
        if (!scored(p + 1)) b.targets[static_cast<std::size_t>(i * b.length + p)] = batch::not_scored;
}

}  // namespace

std::ptrdiff_t copied_bytes(std::ptrdiff_t length) { return std::min<std::ptrdiff_t>(4, length / 4); }

std::ptrdiff_t recall_pairs(std::ptrdiff_t length) {
    return std::min<std::ptrdiff_t>(static_cast<std::ptrdiff_t>(letters.size()), (length + 1) / 4);
}

void draw_copy_first(batch& b, generator& random) {
    const std::ptrdiff_t copied = copied_bytes(b.length), size = b.length + 1;
    std::string sequence(static_cast<std::size_t>(size), ' ');
    for (std::ptrdiff_t i = 0; i < b.sequences; ++i) {
        // Noise comes from the same symbols as the answer: nothing but its place tells them apart.
        for (char& c : sequence) c = letters[static_cast<std::size_t>(random.below(answer_symbols))];
        sequence[static_cast<std::size_t>(size - copied - 1)] = '?';
        std::copy_n(sequence.begin(), copied, sequence.end() - copied);
        put(b, i, sequence, [&](std::ptrdiff_t p) { return p >= size - copied; });
    }
}

void draw_recall(batch& b, generator& random) {
    const std::ptrdiff_t pairs = recall_pairs(b.length), size = b.length + 1;
    const auto at = [](std::ptrdiff_t i) { return static_cast<std::size_t>(i); };
    std::string sequence, keys, values(at(pairs), '0');
    std::vector<std::ptrdiff_t> order(at(pairs));
    // The first n of `list` become a random choice of all, in a random order.
    const auto shuffle = [&](auto& list, std::ptrdiff_t n) {
        for (std::ptrdiff_t i = 0; i < n; ++i)
            std::swap(list[at(i)], list[at(i + random.below(static_cast<std::ptrdiff_t>(list.size()) - i))]);
    };
    for (std::ptrdiff_t i = 0; i < b.sequences; ++i) {
        keys = letters;
        shuffle(keys, pairs);
        for (std::ptrdiff_t p = 0; p < pairs; ++p) {
            values[at(p)] = static_cast<char>('0' + random.below(answer_symbols));
            order[at(p)] = p;
        }
        shuffle(order, pairs);
        sequence.assign(at(size - 4 * pairs), '.');  // what the length leaves over, in front
        for (std::ptrdiff_t p = 0; p < pairs; ++p) sequence += {keys[at(p)], values[at(p)]};
        for (std::ptrdiff_t p : order) sequence += {keys[at(p)], values[at(p)]};
        put(b, i, sequence, [&](std::ptrdiff_t p) { return p >= size - 2 * pairs && (size - p) % 2 == 1; });
    }
}

}  // namespace language_model
