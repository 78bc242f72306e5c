// SPDX-License-Identifier: MIT
// tests/support/attention_arguments.hpp: calls of exact attention and its backward as lists of arguments
#pragma once

#include <heed/attention.hpp>

#include "support/arguments.hpp"

namespace support {

inline const std::vector<argument> q_k_v{{"q", "bhqd"}, {"k", "bgkd"}, {"v", "bgke"}};
inline const std::vector<argument> answers{{"y", "bhqe", "q"}, {"logsumexp", "1bhq"}};

template <class... Options>
support::function_call attention(const char* name, const Options&... options) {
    return {name, q_k_v, answers, [=](const views& in, const views& out, const sizes&) {
                heed::attention_into(out[0], in[0], in[1], in[2], heed::logsumexp(out[1]), options...);
            }};
}
template <class... Options>
support::function_call backward(const char* name, const Options&... options) {
    return {name,
            with(q_k_v, {{"dy", "bhqe"}, {"y", "bhqe"}, {"lse", "1bhq"}}),
            {{"dq", "bhqd"}, {"dk", "bgkd"}, {"dv", "bgke"}},
            [=](const views& in, const views& out, const sizes&) {
                heed::attention_backward_into(out[0], out[1], out[2], in[3], in[0], in[1], in[2], in[4],
                                              in[5], options...);
            }};
}

inline sizes few_queries() {
    sizes n = support::usual_sizes();
    n['q'] = 2;
    return n;
}

}  // namespace support
