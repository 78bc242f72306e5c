// SPDX-License-Identifier: MIT
// examples/language_model/tasks.cpp: the sequences of copy_first and recall
#include "tasks.hpp"

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

namespace language_model {
namespace {

std::size_t at(std::ptrdiff_t i) { return static_cast<std::size_t>(i); }

// The first n of `list` become a random choice of all, in a random order.
void shuffle(std::vector<int>& list, std::ptrdiff_t n, generator& random) {
    for (std::ptrdiff_t i = 0; i < n; ++i)
        std::swap(list[at(i)], list[at(i + random.below(static_cast<std::ptrdiff_t>(list.size()) - i))]);
}

}  // namespace

std::ptrdiff_t copied_bytes(std::ptrdiff_t length) { return std::min<std::ptrdiff_t>(4, length / 4); }

std::ptrdiff_t recall_pairs(std::ptrdiff_t length) {
    return std::min<std::ptrdiff_t>(recall_keys, length / 2);
}

void draw_copy_first(batch& b, generator& random) {
    const std::ptrdiff_t copied = copied_bytes(b.length), size = b.length + 1;
    std::string sequence(at(size), ' ');
    for (std::ptrdiff_t i = 0; i < b.sequences; ++i) {
        // Noise comes from the same symbols as the answer: nothing but its place tells them apart.
        for (char& c : sequence) c = static_cast<char>('a' + random.below(copied_symbols));
        sequence[at(size - copied - 1)] = '?';
        std::copy_n(sequence.begin(), copied, sequence.end() - copied);
        b.set_text(i, sequence.data());
        std::fill_n(b.targets.begin() + i * b.length, b.length - copied, batch::not_scored);
    }
}

void draw_recall(batch& b, generator& random) {
    const std::ptrdiff_t pairs = recall_pairs(b.length);
    std::vector<int> keys(recall_keys), values(recall_keys);
    std::iota(keys.begin(), keys.end(), 0);
    std::fill(b.inputs.begin(), b.inputs.end(), static_cast<std::uint8_t>('.'));
    std::fill(b.targets.begin(), b.targets.end(), batch::not_scored);
    for (std::ptrdiff_t i = 0; i < b.sequences; ++i) {
        for (int& value : values) value = static_cast<int>(random.below(recall_values));
        shuffle(keys, pairs, random);
        for (std::ptrdiff_t p = 0; p < pairs; ++p) {
            const int key = keys[at(p)];
            b.inputs[at(i * b.length + p)] =
                static_cast<std::uint8_t>(128 + recall_values * key + values[at(key)]);
        }
        std::vector<int> asked(keys.begin(), keys.begin() + pairs);
        shuffle(asked, pairs, random);
        for (std::ptrdiff_t p = 0; p < pairs; ++p) {
            const std::size_t to = at((i + 1) * b.length - pairs + p);
            b.inputs[to] = static_cast<std::uint8_t>('a' + asked[at(p)]);
            b.targets[to] = '0' + values[at(asked[at(p)])];
        }
    }
}

}  // namespace language_model
