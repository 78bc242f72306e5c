// SPDX-License-Identifier: MIT
// A book read paragraph by paragraph, with questions in between about any line so far. Each answer reads the
// means of all keys, one for 16, and the sixteen paragraphs they point to: a tenth of what is there.
#include <heed/sparse.hpp>

#include <cmath>
#include <cstdint>
#include <cstdio>

using tensor = Eigen::Tensor<float, 4, Eigen::RowMajor>;
constexpr int paragraphs = 600, lines = 64, size = 64, heads = 8, answer_size = 32;

// A fixed vector of +-length for a number.
void code(std::uint32_t number, int n, float length, float* to) {
    std::uint32_t x = number * 2654435761u + 12345u;
    for (int i = 0; i < n; ++i) {
        x = x * 1664525u + 1013904223u;
        to[i] += x >> 31 != 0 ? length : -length;
    }
}

// What a line is found by: what its paragraph is about, and which line of it it is.
void address(int paragraph, int line, float* to) {
    for (int i = 0; i < size; ++i) to[i] = 0;
    code(static_cast<std::uint32_t>(paragraph), size, 1, to);
    code(static_cast<std::uint32_t>(100'000 + line), size, 1, to);
}

int main() {
    tensor keys(1, 1, paragraphs * lines, size), values(1, 1, paragraphs * lines, answer_size);
    tensor question(1, heads, 1, size), gates(1, heads, 1, 3), answer(1, heads, 1, answer_size);
    for (int h = 0; h < heads; ++h) {
        gates(0, h, 0, 0) = 0;  // the means only choose
        gates(0, h, 0, 1) = 1;
        gates(0, h, 0, 2) = 0;
    }
    heed::compressed_keys<float> means(1, 1, size, answer_size);
    heed::workspace workspace;
    std::uint32_t x = 1;
    int asked = 0, right = 0;
    for (int p = 0; p < paragraphs; ++p) {
        for (int line = 0; line < lines; ++line) {
            address(p, line, &keys(0, 0, p * lines + line, 0));
            float* const value = &values(0, 0, p * lines + line, 0);
            for (int i = 0; i < answer_size; ++i) value[i] = 0;
            code(static_cast<std::uint32_t>(1'000'000 + p * lines + line), answer_size, 1, value);
        }
        const auto all_keys = heed::as_view(keys).slice_positions(0, (p + 1) * lines);
        const auto all_values = heed::as_view(values).slice_positions(0, (p + 1) * lines);
        means.append(all_keys.slice_positions(p * lines, lines),
                     all_values.slice_positions(p * lines, lines));

        // Every head asks for another line of the same paragraph.
        x = x * 1664525u + 1013904223u;
        const int about = static_cast<int>(x >> 8) % (p + 1);
        for (int h = 0; h < heads; ++h) address(about, (h * 7 + p) % lines, &question(0, h, 0, 0));
        heed::native_sparse_attention_into(answer, question, all_keys, all_values, gates,
                                           heed::compressed(means), heed::use(workspace));
        for (int h = 0; h < heads; ++h, ++asked) {
            float wanted[answer_size] = {};
            code(static_cast<std::uint32_t>(1'000'000 + about * lines + (h * 7 + p) % lines), answer_size, 1,
                 wanted);
            int same = 0;
            for (int i = 0; i < answer_size; ++i) same += (answer(0, h, 0, i) > 0) == (wanted[i] > 0);
            right += same == answer_size;
        }
    }
    std::printf("%d lines, %d questions, %d right; at the end an answer reads %d of %d keys\n",
                paragraphs * lines, asked, right, static_cast<int>(means.size()) + 16 * lines + 512,
                paragraphs * lines);
    return right > asked * 95 / 100 ? 0 : 1;
}
