// SPDX-License-Identifier: MIT
// bench/text_input.hpp: queries, keys and values made from a text
//
// White noise flatters approximations: its scores are nearly flat, so any subset of the keys looks
// like the whole. A text repeats words, and a real head looks at few keys. So
//
//     x(p)   = rms_norm( sum over n=1..4 of embed(hash of the n bytes that end at p) / sqrt(n)
//                        + sinusoid(p) )                                    128 features
//     q_h(p) = t_h x(p) Q_h,   k_h(p) = x(p) K_h,   v_h(p) = x(p) V_h
//
// each byte one token, embeddings and projections drawn from a fixed seed. K_h is correlated with Q_h
// of its group (0.5), as in heads that look for places like their own; the rest is chance. The
// temperature t_h runs from 1 to 3 over the heads (2 for one head): at 1 a row spreads over a large
// part of the keys, at 3 it sits on a few, and models have heads of both kinds. `effective_keys`
// (naive.hpp) says how many, and every table prints it, so a reader can judge the input.
//
// A text shorter than the length is read in a circle. Cost: O(positions x 128 x features made).
#pragma once

#include <string>

#include "problem.hpp"

namespace heed_bench {

class text_input {
public:
    // Throws std::runtime_error naming the file when it cannot be read or is empty.
    static text_input from_file(const std::string& path);

    // The queries stand at the last positions of the keys; batch entries start at different places.
    problem make(const shape& extent) const;

    std::string name() const;  // "walks.txt (41 KB)"

private:
    std::string path_, text_;
};

// The other extreme, for comparison: independent numbers of variance 1. A row spreads over most of its keys.
problem white_noise(const shape& extent);

}  // namespace heed_bench
