// SPDX-License-Identifier: MIT
// A million characters through a state of constant size: the delta rule learns, while it reads, which
// character follows which four, and guesses the next one before it sees it.
#include <heed/state.hpp>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string>

using tensor = Eigen::Tensor<float, 4, Eigen::RowMajor>;
constexpr int key_size = 128, code_size = 32, part = 500;

// A fixed vector of length one for a number.
void code(std::uint32_t number, int n, float* to) {
    std::uint32_t x = number * 2654435761u + 12345u;
    for (int i = 0; i < n; ++i) {
        x = x * 1664525u + 1013904223u;
        to[i] = (x >> 31 != 0 ? 1.0f : -1.0f) / std::sqrt(static_cast<float>(n));
    }
}

std::string long_text(std::size_t length) {
    const char* const words[] = {"the ",  "river ", "of ",           "words ",
                                 "runs ", "past ",  "an old mill, ", "where "};
    std::string text;
    for (std::uint32_t x = 1; text.size() < length; x = x * 1664525u + 1013904223u) text += words[x >> 29];
    return text;
}

// Which of the characters so far has the code that is most like y?
char nearest(const float* y, const float* alphabet) {
    int best = 0;
    float most = -1e30f;
    for (int c = 0; c < 128; ++c) {
        float product = 0;
        for (int i = 0; i < code_size; ++i) product += y[i] * alphabet[c * code_size + i];
        if (product > most) most = product, best = c;
    }
    return static_cast<char>(best);
}

int main() {
    const std::string text = long_text(1'000'000);
    Eigen::Matrix<float, 128, code_size, Eigen::RowMajor> alphabet;
    for (int c = 0; c < 128; ++c)
        code(static_cast<std::uint32_t>(c), code_size, alphabet.data() + c * code_size);

    heed::linear_state<float> state(1, 1, key_size, code_size);
    tensor keys(1, 1, part, key_size), values(1, 1, part, code_size), guesses(1, 1, part, code_size);
    Eigen::Tensor<float, 3, Eigen::RowMajor> beta(1, 1, part);
    beta.setConstant(0.5f);  // half of what a guess is off by is learned at once
    heed::workspace workspace;
    int right = 0, asked = 0;
    for (std::size_t at = 4; at + part <= text.size(); at += part) {
        for (int i = 0; i < part; ++i) {
            const char* const c = text.data() + at + i;
            const auto four = static_cast<std::uint32_t>(c[-4] << 21 | c[-3] << 14 | c[-2] << 7 | c[-1]);
            code(four, key_size, &keys(0, 0, i, 0));
            code(static_cast<std::uint32_t>(*c), code_size, &values(0, 0, i, 0));
        }
        state.finish_into(guesses, keys, heed::identity, heed::unnormalised, heed::use(workspace));
        state.absorb(keys, values, heed::delta(beta), heed::use(workspace));
        for (int i = 0; i < part; ++i, ++asked)
            right += nearest(&guesses(0, 0, i, 0), alphabet.data()) == text[at + static_cast<std::size_t>(i)];
    }
    const double share = static_cast<double>(right) / asked;
    std::printf("%d characters, %.0f %% of them guessed from a state of %d numbers\n", asked, 100 * share,
                static_cast<int>(state.sums().size()));
    return share > 0.5 ? 0 : 1;
}
