// SPDX-License-Identifier: MIT
// bench/run.hpp: measures a variant on a shape: speed, the machine's limits beside it, memory, error
#pragma once

#include <cmath>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include <heed/thread_pool.hpp>

#include "limits.hpp"
#include "measure.hpp"
#include "text_input.hpp"
#include "variant.hpp"

namespace heed_bench {

inline constexpr double not_measured = std::numeric_limits<double>::quiet_NaN();

struct measured {
    const variant* what;
    shape extent;
    double seconds = not_measured;    // one call
    double flops = 0, bytes = 0;      // that it counts, see variant.hpp
    double peak = not_measured;       // FLOP/s of the machine, measured right before and after
    double bandwidth = not_measured;  // bytes/s, measured once a run
    double processor = 1;             // share of it that this thread had meanwhile (one thread only)
    double extra_bytes = 0;
    double error = not_measured;           // ULP, see error_of
    double effective_keys = not_measured;  // 1 / sum p^2, median over the sampled rows

    // The Eigen baselines on the same shape; compare_with_baselines sets them.
    double naive_seconds = not_measured, native_seconds = not_measured;

    double nanoseconds_per_token() const { return seconds * 1e9 / double(extent.tokens()); }
    double of_peak() const { return flops / seconds / peak; }
    double of_bandwidth() const { return bytes / seconds / bandwidth; }
    double over_naive() const { return naive_seconds / seconds; }
    double over_native() const { return native_seconds / seconds; }
};

// Tells each row of one shape what the baselines among them took.
void compare_with_baselines(std::vector<measured>& rows);

struct accuracy {
    double error;           // max over rows of max |y - truth| / (2^-23 max |truth of the row|)
    double effective_keys;  // median
};

// Up to `most` rows, spread over batch, heads and queries, from the first query to the last.
struct row_place {
    size batch, head, query;
};
std::vector<row_place> spread_rows(const shape& s, size most);

// Compares up to 24 rows with the variant's reference.
accuracy accuracy_of(const variant& v, const problem& p, const tensor& y);

// Runs variants over shapes. The inputs of the latest shape are kept: measure the variants of one shape
// one after the other.
class runner {
public:
    runner(text_input text, int threads, patience how);

    measured measure(const variant& v, const shape& s);
    const problem& input(const shape& s);

    double bandwidth();  // measured when it is first asked for
    double peak() const { return float_peak(threads_); }
    int threads() const { return threads_; }
    patience how() const { return how_; }
    const text_input& text() const { return text_; }
    const heed::thread_pool& pool() const { return pool_; }

private:
    text_input text_;
    int threads_;
    patience how_;
    heed::thread_pool pool_;
    std::optional<double> bandwidth_;
    std::optional<problem> input_;
};

}  // namespace heed_bench
