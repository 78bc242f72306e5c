// SPDX-License-Identifier: MIT
// bench/quality.hpp: what an approximate variant gains in time, and what it loses
//
// A variant that names the exact one it approximates is timed in turn with it, on the same input, and its
// rows are compared with the exact rows in double:
//
//     error       |y - truth| / |truth| of a row, lengths over the features
//     mass kept   the share of the row's exact softmax weight that lies on keys the variant keeps
//     keys kept   the share of the exact variant's (query, key) pairs that it keeps
//
// on queries, keys and values made from a text, and on white noise. The two differ: on noise a row is a
// mean over most of its keys, so the exact row is short and no selection holds much of its weight; rows of a
// text sit on fewer keys. `effective_keys` says on how many.
#pragma once

#include <vector>

#include "run.hpp"

namespace heed_bench {

enum class input_kind { text, noise };

struct spread {
    double median = not_measured, worst = not_measured;
};

struct quality_row {
    const variant* what;   // an approximate variant, or the exact one itself, as the yardstick
    const variant* exact;  // what it stands in for
    double seconds = not_measured, exact_seconds = not_measured;
    spread error, mass;
    double keys = not_measured;

    double over_exact() const { return seconds / exact_seconds; }
};

struct quality_group {  // one shape, one input
    shape extent;
    input_kind input;
    std::size_t compared = 0;              // rows
    double effective_keys = not_measured;  // of the first exact variant, median
    double processor = 1;                  // least share that this thread had (one thread only)
    std::vector<quality_row> rows = {};    // each exact variant, followed by what stands in for it
};

// Compares up to 96 rows, spread over heads and queries. Masses are told where a table of all weights takes
// less than 300 MB.
quality_group measure_quality(runner& run, const shape& s, input_kind input);

}  // namespace heed_bench
