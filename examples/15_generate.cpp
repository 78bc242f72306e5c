// SPDX-License-Identifier: MIT
// Generation with drafts: a cache of keys and values in 8 bits is forked, a guess of several positions is
// tried in the fork by one call, and the positions that the model would have written itself are kept.
#include <heed/kv_cache.hpp>

#include <cstdio>
#include <string>

using tensor = Eigen::Tensor<float, 4, Eigen::RowMajor>;
constexpr int width = 64, letters = 26;

// A fixed code of length one for a letter.
void code(int letter, float* to) {
    unsigned x = static_cast<unsigned>(letter) * 2654435761u + 12345u;
    for (int i = 0; i < width; ++i) {
        x = x * 1664525u + 1013904223u;
        to[i] = x >> 31 != 0 ? 0.125f : -0.125f;
    }
}
tensor codes(const std::string& text) {
    tensor t(1, 1, static_cast<int>(text.size()), width);
    for (std::size_t i = 0; i < text.size(); ++i) code(text[i] - 'a', &t(0, 0, static_cast<int>(i), 0));
    return t;
}
// The letter whose code is most like what attention answered for a position.
char nearest(const tensor& y, int position) {
    int best = 0;
    float most = -1e30f, one[width];
    for (int letter = 0; letter < letters; ++letter) {
        code(letter, one);
        float product = 0;
        for (int i = 0; i < width; ++i) product += y(0, 0, position, i) * one[i];
        if (product > most) most = product, best = letter;
    }
    return static_cast<char>('a' + best);
}

int main() {
    // The model: a position's key is its letter, its value the letter that followed; so it repeats what it
    // has seen.
    const std::string seen = "uncopyrightable";
    heed::kv_cache<heed::int8> cache(1, 1, width);
    cache.append(codes(seen.substr(0, seen.size() - 1)), codes(seen.substr(1)));

    std::string text = "un";
    const std::string guesses[] = {"copyr", "ghtxx", "bl"};
    int calls = 0;
    for (const std::string& guess : guesses) {
        // The last letter and the guess: one call answers what follows each of them. Causal: a letter does
        // not see what the guess says of itself.
        const std::string asked = text.back() + guess;
        auto draft = cache.fork();
        draft.append(codes(asked.substr(0, guess.size())), codes(guess));
        const tensor y = heed::attention(codes(asked), draft, heed::causal, heed::scale(40));
        ++calls;
        std::size_t right = 0;
        while (right < guess.size() && nearest(y, static_cast<int>(right)) == guess[right]) ++right;
        text += guess.substr(0, right) + nearest(y, static_cast<int>(right));
        draft.truncate(cache.length(0) + static_cast<heed::index>(right));
        cache = draft;
    }
    std::printf("%s, %d letters in %d calls, %d positions in %d KB\n", text.c_str(),
                static_cast<int>(text.size()) - 2, calls, static_cast<int>(cache.length(0)),
                static_cast<int>(cache.bytes() / 1024));
    return text == seen ? 0 : 1;
}
