// SPDX-License-Identifier: MIT
// bench/quality.cpp: approximate variants beside the exact ones: time, error, kept mass
#include "quality.hpp"

#include <algorithm>
#include <limits>
#include <list>

namespace heed_bench {
namespace {

constexpr size most_rows = 96;
constexpr double most_weight_bytes = 300e6;

// Of values where a larger one is worse. A NaN, which is no answer at all, counts as infinite.
spread spread_of(std::vector<double> values) {
    for (double& x : values)
        if (std::isnan(x)) x = std::numeric_limits<double>::infinity();
    std::sort(values.begin(), values.end());
    return {values[values.size() / 2], values.back()};
}

double relative_error(const tensor& y, const row_place& at, const std::vector<double>& truth) {
    double off = 0, length = 0;
    for (std::size_t d = 0; d < truth.size(); ++d) {
        const double difference = double(y(at.batch, at.head, at.query, size(d))) - truth[d];
        off += difference * difference;
        length += truth[d] * truth[d];
    }
    return off == 0 ? 0 : std::sqrt(off / length);
}

struct truths {
    std::vector<row_place> places;
    std::vector<true_row> rows;

    truths(const variant& exact, const problem& p) : places(spread_rows(p.extent, most_rows)) {
        for (const row_place& at : places) rows.push_back(exact.reference(p, at.batch, at.head, at.query));
    }

    spread errors(const tensor& y) const {
        std::vector<double> all;
        for (std::size_t i = 0; i < places.size(); ++i)
            all.push_back(relative_error(y, places[i], rows[i].y));
        return spread_of(std::move(all));
    }

    double effective_keys() const {
        std::vector<double> all;
        for (const true_row& row : rows) all.push_back(row.effective_keys);
        return spread_of(std::move(all)).median;
    }

    // What lies on the keys with a weight in `kept`. A row that sees nothing loses nothing.
    void compare_weights(const tensor& kept, quality_row& found) const {
        std::vector<double> lost;
        double visible = 0, both = 0;
        for (std::size_t i = 0; i < places.size(); ++i) {
            const row_place& at = places[i];
            double sum = 0, mass = 0;
            for (std::size_t key = 0; key < rows[i].weights.size(); ++key) {
                const double weight = rows[i].weights[key];
                if (!(weight > 0)) continue;
                const bool keeps = kept(at.batch, at.head, at.query, size(key)) > 0;
                visible += 1;
                both += keeps;
                sum += weight;
                mass += keeps ? weight : 0;
            }
            lost.push_back(sum > 0 ? (sum - mass) / sum : 0);
        }
        const spread s = spread_of(std::move(lost));
        found.mass = {1 - s.median, 1 - s.worst};
        found.keys = visible > 0 ? both / visible : 1;
    }
};

void measure(runner& run, const problem& p, const std::vector<const variant*>& all, quality_group& group) {
    const variant& exact = *all[0];
    std::list<tensor> results;  // bound calls refer to them
    std::vector<bound_call> bound;
    std::vector<std::function<void()>> calls;
    for (const variant* v : all) {
        results.emplace_back(p.q.dimensions());
        bound.push_back(v->bind(p, results.back(), run.pool()));
        calls.push_back(bound.back().run);
    }
    const processor_share share;
    const std::vector<double> seconds = best_in_turn(calls, run.how());
    if (run.threads() == 1) group.processor = std::min(group.processor, share.value());

    const truths truth(exact, p);
    group.compared = truth.places.size();
    if (group.rows.empty()) group.effective_keys = truth.effective_keys();
    const shape& s = p.extent;
    const bool weighs =
        4.0 * double(s.batch * s.heads) * double(s.queries) * double(s.keys) <= most_weight_bytes;
    auto y = results.begin();
    for (std::size_t i = 0; i < all.size(); ++i, ++y) {
        quality_row row{all[i], &exact, seconds[i], seconds[0], truth.errors(*y), {}};
        if (i == 0) {
            row.mass = {1, 1};
            row.keys = 1;
        } else if (weighs && all[i]->weigh && !truth.rows[0].weights.empty()) {
            tensor weights(s.batch, s.heads, s.queries, s.keys);
            all[i]->weigh(p, weights);
            truth.compare_weights(weights, row);
        }
        group.rows.push_back(row);
    }
}

}  // namespace

quality_group measure_quality(runner& run, const shape& s, input_kind input) {
    const problem noise = input == input_kind::noise ? white_noise(s) : problem{};
    const problem& p = input == input_kind::noise ? noise : run.input(s);
    quality_group group{s, input};
    const auto takes = [&](const variant& v) { return !v.takes || v.takes(s); };
    for (const variant& exact : variants()) {
        std::vector<const variant*> all{&exact};
        for (const variant& v : variants())
            if (v.approximates == exact.name && takes(v)) all.push_back(&v);
        if (all.size() > 1 && takes(exact)) measure(run, p, all, group);
    }
    return group;
}

}  // namespace heed_bench
