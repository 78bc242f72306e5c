// SPDX-License-Identifier: MIT
// An encoder and a decoder learn to reverse words of three to eight letters, in a few seconds on one core.
#include <heed/heed.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>

namespace {

constexpr long batch = 32, longest = 8, width = 48, steps = 800;
constexpr long symbols = 27;                            // 0 begins an answer, letters follow
using rows = Eigen::Tensor<float, 3, Eigen::RowMajor>;  // (word, position, width)
using table = Eigen::Tensor<float, 2, Eigen::RowMajor>;
using tokens = Eigen::Tensor<int, 2, Eigen::RowMajor>;  // (word, position)

struct word_batch {
    std::vector<int> lengths;
    // The word; the answer, -1 behind its end; what the decoder said last.
    tokens letters{batch, longest}, target{batch, longest}, before{batch, longest};
    explicit word_batch(std::mt19937& random) {
        letters.setZero(), before.setZero(), target.setConstant(-1);
        for (long b = 0; b < batch; ++b) {
            const long n = 3 + long(random() % (longest - 2));
            lengths.push_back(int(n));
            for (long i = 0; i < n; ++i) letters(b, i) = target(b, n - 1 - i) = 1 + int(random() % 26);
            for (long i = 1; i < n; ++i) before(b, i) = target(b, i - 1);
        }
    }
};

rows embed(const table& embedding, const tokens& read, long first = 0) {
    static const table place = heed::sinusoidal_positions<float>(longest, width);
    rows x(batch, read.dimension(1), width);
    for (long b = 0; b < batch; ++b)
        for (long i = 0; i < read.dimension(1); ++i)
            for (long f = 0; f < width; ++f) x(b, i, f) = embedding(read(b, i), f) + place(first + i, f);
    return x;
}
void add_embedded(table& gradient, const tokens& read, const rows& dx) {
    for (long b = 0; b < batch; ++b)
        for (long i = 0; i < longest; ++i)
            for (long f = 0; f < width; ++f) gradient(read(b, i), f) += dx(b, i, f);
}

// The gradients of some parameters, and a step of Adam, shorter and shorter.
template <class Parameters>
struct learner {
    Parameters gradients, mean, square;
    explicit learner(const Parameters& w) : gradients(heed::zeros_like(w)), mean(gradients), square(mean) {}
    void step(Parameters& weights, long t) {
        const float n = float(t), left = 1 - n / steps;
        const float rate = 3e-3f * left * std::sqrt(1 - std::pow(0.98f, n)) / (1 - std::pow(0.9f, n));
        heed::for_each_parameter(
            [&](const std::string&, auto& w, auto& g, auto& m, auto& v) {
                m = m * 0.9f + g * 0.1f;
                v = v * 0.98f + g * g * 0.02f;
                w -= m * rate / (v.sqrt() + 1e-8f);
            },
            weights, gradients, mean, square);
        heed::set_zero(gradients);
    }
};

}  // namespace

int main() {
    std::mt19937 random(1);
    const heed::attention_config attention{.width = width, .heads = 4};
    heed::encoder_layer<float> encoder({.attention = attention}, 1);
    heed::decoder_layer<float> decoder({.attention = attention}, 2);
    heed::projection<float> to_symbols({.inputs = width, .outputs = symbols}, 3);
    table letters(symbols, width), answers(symbols, width);
    for (table* t : {&letters, &answers})
        for (long i = 0; i < t->size(); ++i) t->data()[i] = float(random() % 2001) / 1000 - 1;

    learner learn_encoder(encoder.weights);
    learner learn_decoder(decoder.weights);
    learner learn_symbols(to_symbols.weights);
    learner learn_letters(letters), learn_answers(answers);
    heed::encoder_layer<float>::tape encoder_tape;
    heed::decoder_layer<float>::tape decoder_tape;
    rows d_x(batch, longest, width), d_memory(batch, longest, width);
    for (long step = 1; step <= steps; ++step) {
        const word_batch words(random);
        const auto ends = heed::key_lengths(words.lengths);
        const rows x = embed(letters, words.letters), y = embed(answers, words.before);
        const auto encode = encoder.with(ends);  // the backward gets them too
        const auto decode = decoder.with(heed::for_memory(ends));
        const rows memory = encode.forward(x, encoder_tape);
        const rows last = decode.forward(y, memory, decoder_tape);
        rows logits = to_symbols(last);
        const double loss = heed::cross_entropy(logits, words.target, logits);  // now its gradient
        if (step % 200 == 0) std::printf("step %ld: loss %.3f\n", step, loss);
        decode.backward_into(d_x, d_memory, to_symbols.backward(logits, last, learn_symbols.gradients), y,
                             memory, decoder_tape, learn_decoder.gradients);
        add_embedded(learn_answers.gradients, words.before, d_x);
        add_embedded(learn_letters.gradients, words.letters,
                     encode.backward(d_memory, x, encoder_tape, learn_encoder.gradients));
        learn_encoder.step(encoder.weights, step), learn_decoder.step(decoder.weights, step);
        learn_letters.step(letters, step), learn_answers.step(answers, step);
        learn_symbols.step(to_symbols.weights, step);
    }

    // New words, letter after letter: what it said last is what it reads next.
    const word_batch words(random);
    const auto ends = heed::key_lengths(words.lengths);
    heed::decoder_layer<float>::stream stream;
    decoder.remember(encoder(embed(letters, words.letters), ends), stream);
    tokens said = tokens(batch, 1).setZero();
    long right = 0, asked = 0;
    for (long i = 0; i < longest; ++i) {
        const rows last = decoder.extend(embed(answers, said, i), stream, heed::for_memory(ends));
        const rows logits = to_symbols(last);
        for (long b = 0; b < batch; ++b) {
            const float* scores = logits.data() + b * symbols;
            said(b, 0) = int(std::max_element(scores, scores + symbols) - scores);
            asked += words.target(b, i) >= 0, right += words.target(b, i) == said(b, 0);
        }
    }
    std::printf("%ld of %ld letters of new words are right\n", right, asked);
    return 100 * right >= 98 * asked ? 0 : 1;
}
