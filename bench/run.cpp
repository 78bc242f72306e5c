// SPDX-License-Identifier: MIT
// bench/run.cpp: one measurement, and the error that goes with it
#include "run.hpp"

#include <algorithm>

namespace heed_bench {

std::vector<row_place> spread_rows(const shape& s, size most) {
    std::vector<row_place> all(std::size_t(std::min(most, s.batch * s.heads * s.queries)));
    const size rows = size(all.size());
    for (size i = 0; i < rows; ++i)
        all[std::size_t(i)] = {i % s.batch, i * 5 % s.heads,
                               rows == 1 ? 0 : i * (s.queries - 1) / (rows - 1)};
    return all;
}

accuracy accuracy_of(const variant& v, const problem& p, const tensor& y) {
    const shape& s = p.extent;
    double error = 0;
    std::vector<double> keys;
    for (const auto [batch, head, at] : spread_rows(s, 24)) {
        const true_row truth = v.reference(p, batch, head, at);
        double largest = 0, worst = 0;
        for (size d = 0; d < s.head_dim; ++d) {
            const double expected = truth.y[std::size_t(d)];
            largest = std::max(largest, std::abs(expected));
            // A NaN must not hide in a comparison.
            const double off = std::abs(double(y(batch, head, at, d)) - expected);
            if (!(off <= worst)) worst = off;
        }
        const double unit = std::ldexp(largest, -23);
        const double in_units = worst == 0 ? 0 : worst / unit;
        if (!(in_units <= error)) error = in_units;
        keys.push_back(truth.effective_keys);
    }
    if (std::isnan(keys[0])) return {error, not_measured};
    std::nth_element(keys.begin(), keys.begin() + std::ptrdiff_t(keys.size() / 2), keys.end());
    return {error, keys[keys.size() / 2]};
}

void compare_with_baselines(std::vector<measured>& rows) {
    for (const measured& baseline : rows)
        for (measured& m : rows) {
            if (baseline.what->name == "naive") m.naive_seconds = baseline.seconds;
            if (baseline.what->name == "naive_native") m.native_seconds = baseline.seconds;
        }
}

runner::runner(text_input text, int threads, patience how)
    : text_(std::move(text)), threads_(threads), how_(how), pool_(threads) {}

double runner::bandwidth() {
    if (!bandwidth_) bandwidth_ = read_bandwidth().measure(threads_);
    return *bandwidth_;
}

const problem& runner::input(const shape& s) {
    if (!input_ || !(input_->extent == s)) input_ = text_.make(s);
    return *input_;
}

measured runner::measure(const variant& v, const shape& s) {
    measured m{.what = &v, .extent = s, .flops = v.flops(s), .bytes = v.bytes(s)};
    if (v.takes && !v.takes(s)) return m;
    const problem& p = input(s);
    tensor y(p.q.dimensions());
    const bound_call call = v.bind(p, y, pool_);
    m.peak = peak();
    const processor_share share;
    m.seconds = best_time(call.run, how_);
    if (threads_ == 1) m.processor = share.value();
    m.peak = std::max(m.peak, peak());
    m.bandwidth = bandwidth();
    m.extra_bytes = double(call.extra_bytes());
    if (v.reference) {
        const accuracy a = accuracy_of(v, p, y);
        m.error = a.error;
        m.effective_keys = a.effective_keys;
    }
    return m;
}

}  // namespace heed_bench
