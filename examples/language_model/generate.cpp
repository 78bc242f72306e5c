// SPDX-License-Identifier: MIT
// examples/language_model/generate.cpp: streams, byte after byte
#include "generate.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "error.hpp"

namespace language_model {

std::uint8_t choose(const float* logits, double temperature, generator& random) {
    const float* best = std::max_element(logits, logits + symbols);
    if (temperature == 0) return static_cast<std::uint8_t>(best - logits);
    double weights[symbols], sum = 0;
    for (index i = 0; i < symbols; ++i)
        sum += weights[i] =
            std::exp((static_cast<double>(logits[i]) - static_cast<double>(*best)) / temperature);
    double left = random.uniform() * sum;
    for (index i = 0; i < symbols; ++i)
        if ((left -= weights[i]) < 0) return static_cast<std::uint8_t>(i);
    return static_cast<std::uint8_t>(best - logits);  // rounding ate the last of the sum
}

void generate(model& m, const std::string& prompt, std::int64_t bytes, double temperature, generator random,
              const std::function<void(char)>& say) {
    if (prompt.empty()) throw error("a prompt needs one byte at least to go on from");
    m.forget();
    if (bytes == 0) return;
    const float* logits =
        m.read(reinterpret_cast<const std::uint8_t*>(prompt.data()), static_cast<index>(prompt.size()));
    for (std::int64_t i = 0; i < bytes; ++i) {
        const std::uint8_t next = choose(logits, temperature, random);
        say(static_cast<char>(next));
        if (i + 1 < bytes) logits = m.read(&next, 1);
    }
}

double decode_seconds(model& m, index length) {
    // Letters and spaces in no order: what they are does not change how long it takes, for most variants.
    std::vector<std::uint8_t> context(static_cast<std::size_t>(length));
    generator random(7);
    for (std::uint8_t& byte : context) byte = static_cast<std::uint8_t>("etaoin shrdlu "[random.below(14)]);
    m.forget();
    constexpr index part = 512;
    for (index at = 0; at < length; at += part) m.read(context.data() + at, std::min(part, length - at));
    std::vector<double> seconds;
    for (index i = 0; i < decode_steps; ++i) {
        const auto start = std::chrono::steady_clock::now();
        m.read(context.data(), 1);
        seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    std::nth_element(seconds.begin(), seconds.begin() + decode_steps / 2, seconds.end());
    m.forget();
    return seconds[decode_steps / 2];
}

}  // namespace language_model
