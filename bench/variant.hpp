// SPDX-License-Identifier: MIT
// bench/variant.hpp: the list of everything that is measured
//
// A variant is one way of calling heed, with what is needed to judge it: the work it should count,
// and a reference in double. Each lives in a file that registers it at program start,
//
//     const registered plain{ {.family = "attention", .name = "plain", …} };
//
// so a new variant is a new file in bench/CMakeLists.txt; the programs, tables and charts follow.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <heed/thread_pool.hpp>

#include "naive.hpp"
#include "problem.hpp"

namespace heed_bench {

// One call, ready to be repeated: inputs bound, workspace owned.
struct bound_call {
    std::function<void()> run;
    std::function<std::size_t()> extra_bytes;  // beside inputs and output; valid after a run
};

struct variant {
    std::string family;   // the first part of a benchmark's name: "attention"
    std::string name;     // "causal"
    std::string formula;  // the call as a user writes it

    // Floating-point operations of one call that the mathematics asks for: hidden pairs do not count, and
    // neither do exp, the mask or the score function. Shares of peak are shares of useful work.
    std::function<double(const shape&)> flops;

    // Bytes a call must at least move: its inputs read once, its output written once.
    std::function<double(const shape&)> bytes;

    // Both tensors outlive the call. The pool has as many threads as the run uses, the caller included.
    std::function<bound_call(const problem&, tensor& y, const heed::thread_pool&)> bind;

    // Row (batch, head, query) of the result in double; empty where the result is no row of y.
    std::function<true_row(const problem&, size, size, size)> reference = {};

    // Shapes it can run; empty: all of them.
    std::function<bool(const shape&)> takes = {};

    // The exact variant it stands in for: reports say from which length on it is faster.
    std::string overtakes = {};

    // The exact variant whose result it approximates: reports show its time against its error.
    std::string approximates = {};

    // What each key counts in each row of the same call, (batch, head, query, key): more than 0 where the key
    // is kept. Empty where rows are no weighted means of values.
    std::function<void(const problem&, tensor& weights)> weigh = {};
};

const std::vector<variant>& variants();
const variant& variant_named(const std::string& name);  // throws std::invalid_argument

struct registered {
    explicit registered(variant v);
};

// The same variant, shown beside the exact one of this name.
inline variant stands_in_for(std::string exact, variant v) {
    v.approximates = std::move(exact);
    return v;
}

// Inputs and output of softmax attention and its like.
inline double qkv_bytes(const shape& s) {
    return 4.0 * double(s.batch * s.head_dim) * double(2 * s.heads * s.queries + 2 * s.kv_heads * s.keys);
}

}  // namespace heed_bench
