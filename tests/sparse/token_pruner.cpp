// SPDX-License-Identifier: MIT
// tests/sparse/token_pruner.cpp: cascades, streams and counts against a simulation (support/pruning.hpp)
#include <heed/sparse.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/pruning.hpp"
#include "support/random.hpp"
#include "support/tensors.hpp"
#include "support/traps.hpp"

namespace {

using tensor = support::tensor<float>;
using support::numbers;
using support::simulated;

numbers entry(std::span<const heed::index> all, long batch, long b) {
    const auto count = all.size() / std::size_t(batch);
    const auto part = all.subspan(std::size_t(b) * count, count);
    return {part.begin(), part.end()};
}

tensor random_tensor(support::random& r, long a, long b, long c, long d) {
    return support::tensor4<float>(support::normals<float>(r, std::size_t(a * b * c * d)), a, b, c, d);
}

// What the weights of a layer say of the tokens in `list`.
void vote(simulated& s, const tensor& w, long b) {
    const numbers list = s.left();
    for (std::size_t j = 0; j < list.size(); ++j)
        for (long h = 0; h < w.dimension(1); ++h)
            for (long i = 0; i < w.dimension(2); ++i)
                if (const double weight = w(b, h, i, long(j)); weight > 0)
                    s.importance[std::size_t(list[j])] += weight;
}

void check_importance(std::span<const double> got, long batch, long b, const simulated& s) {
    const numbers list = s.left();
    for (std::size_t j = 0; j < list.size(); ++j) {
        const double have = got[std::size_t(b) * got.size() / std::size_t(batch) + j];
        const double wanted = s.importance[std::size_t(list[j])];
        CHECK(std::abs(have - wanted) <= 1e-12 * wanted);
    }
}

}  // namespace

TEST_CASE("a cascade of three layers prunes what its definition says, and the rest attends as before") {
    constexpr long batch = 3, heads = 2, tokens = 70, d = 8;
    support::random r(2101);
    heed::token_pruner pruner(batch, heads, tokens);
    std::vector<simulated> want(batch, simulated(tokens));
    tensor x = random_tensor(r, batch, heads, tokens, d);
    tensor all = x;  // a row for every token, those of pruned ones out of date
    for (const auto& [share, count] : {std::pair(0.7, 49L), std::pair(0.5, 25L), std::pair(0.3, 8L)}) {
        tensor w(batch, heads, pruner.tokens_left(), pruner.tokens_left());
        const tensor y = heed::attention(x, x, x, heed::causal, heed::scale(1.0), heed::weights(w));

        // The same layer on all tokens with the pruned keys hidden.
        support::tensor<bool> visible(batch, 1, 1, tokens);
        for (long b = 0; b < batch; ++b)
            for (long j = 0; j < tokens; ++j) visible(b, 0, 0, j) = want[std::size_t(b)].here[std::size_t(j)];
        all = heed::attention(all, all, all, heed::causal, heed::mask(visible), heed::scale(1.0));
        CHECK(support::max_error(support::values(y), support::values(pruner.gather(all))) < 1e-5);

        pruner.observe(w);
        for (long b = 0; b < batch; ++b) vote(want[std::size_t(b)], w, b);
        for (long b = 0; b < batch; ++b)
            check_importance(pruner.token_importance(), batch, b, want[std::size_t(b)]);
        pruner.prune_tokens(share);
        CHECK(pruner.tokens_left() == count);
        for (long b = 0; b < batch; ++b) {
            want[std::size_t(b)].keep(count);
            CHECK(entry(pruner.kept_tokens(), batch, b) == want[std::size_t(b)].left());
            check_importance(pruner.token_importance(), batch, b, want[std::size_t(b)]);
        }
        x = pruner.gather(y);
    }
    CHECK(entry(pruner.kept_tokens(), batch, 0) != entry(pruner.kept_tokens(), batch, 1));
    CHECK(pruner.tokens() == tokens);
}

TEST_CASE("heads are pruned by the size of their outputs") {
    constexpr long batch = 2, heads = 9, tokens = 5, d = 3;
    support::random r(2102);
    heed::token_pruner<Eigen::bfloat16> pruner(batch, heads, tokens);
    std::vector<simulated> want(batch, simulated(heads));
    for (long count : {7L, 4L, 1L}) {
        support::tensor<Eigen::bfloat16> y(batch, pruner.heads_left(), tokens, d);
        for (long i = 0; i < y.size(); ++i) y.data()[i] = Eigen::bfloat16(float(r.normal()));
        pruner.observe_output(y);
        for (long b = 0; b < batch; ++b) {
            const numbers list = want[std::size_t(b)].left();
            for (std::size_t h = 0; h < list.size(); ++h)
                for (long i = 0; i < tokens; ++i)
                    for (long f = 0; f < d; ++f)
                        want[std::size_t(b)].importance[std::size_t(list[h])] +=
                            std::abs(support::widen(y(b, long(h), i, f)));
        }
        pruner.prune_heads_to(count);
        for (long b = 0; b < batch; ++b) {
            want[std::size_t(b)].keep(count);
            CHECK(entry(pruner.kept_heads(), batch, b) == want[std::size_t(b)].left());
            check_importance(pruner.head_importance(), batch, b, want[std::size_t(b)]);
        }
        const auto z = pruner.gather_heads(y);
        REQUIRE(z.dimension(1) == count);
    }
    pruner.prune_heads(1.0f);
    CHECK(pruner.heads_left() == 1);
    CHECK(pruner.heads() == heads);
    CHECK(pruner.tokens_left() == tokens);
}

TEST_CASE("a stream keeps sinks, recent tokens and the most important ones, and never takes one back") {
    constexpr long batch = 2, heads = 2;
    const heed::cache_policy policy{.sinks = 3, .important = 5, .recent = 4};
    support::random r(2103);
    heed::token_pruner pruner(batch, heads, 1);
    std::vector<simulated> want(batch, simulated(1));
    tensor cache(batch, 1, 1, 1);  // holds the number of each token
    cache.setZero();
    for (long step = 0; step < 150; ++step) {
        if (step > 0) {
            const long count = step % 7 == 0 ? 3 : 1;
            tensor longer(batch, 1, pruner.tokens_left() + count, 1);
            for (long b = 0; b < batch; ++b)
                for (long j = 0; j < longer.dimension(2); ++j)
                    longer(b, 0, j, 0) = j < cache.dimension(2)
                                             ? cache(b, 0, j, 0)
                                             : float(pruner.tokens() + j - cache.dimension(2));
            cache = longer;
            pruner.append(count);
            for (simulated& s : want) s.append(count);
        }
        tensor w = random_tensor(r, batch, heads, 1, pruner.tokens_left());
        for (long i = 0; i < w.size(); ++i) w.data()[i] = std::exp(2 * w.data()[i]);
        pruner.observe(w);
        const long before = pruner.tokens_left();
        pruner.prune_tokens(policy);
        CHECK(pruner.tokens_left() == std::min(before, 12L));
        cache = pruner.gather(cache);
        for (long b = 0; b < batch; ++b) {
            vote(want[std::size_t(b)], w, b);
            want[std::size_t(b)].keep(3, 5, 4);
            const numbers left = want[std::size_t(b)].left();
            REQUIRE(entry(pruner.kept_tokens(), batch, b) == left);
            for (std::size_t j = 0; j < left.size(); ++j) CHECK(cache(b, 0, long(j), 0) == float(left[j]));
            for (long i = 0; i < std::min(pruner.tokens(), 3L); ++i) CHECK(left[std::size_t(i)] == i);
            for (long i = 1; i <= std::min(pruner.tokens(), 4L); ++i)
                CHECK(left[left.size() - std::size_t(i)] == pruner.tokens() - i);
        }
    }
    // A policy with less room takes from all parts; one with more gives nothing back.
    pruner.prune_tokens({.sinks = 1, .important = 0, .recent = 2});
    CHECK(pruner.tokens_left() == 3);
    pruner.prune_tokens({.sinks = 100, .important = 100, .recent = 100});
    CHECK(pruner.tokens_left() == 3);
    CHECK(entry(pruner.kept_tokens(), batch, 1) == numbers{0, pruner.tokens() - 2, pruner.tokens() - 1});
    pruner.prune_tokens({.sinks = 0, .important = 0, .recent = 2});
    CHECK(entry(pruner.kept_tokens(), batch, 0) == numbers{pruner.tokens() - 2, pruner.tokens() - 1});
}

TEST_CASE("counts are exact, and of equal importances the lower index stays") {
    const auto left = [](auto fraction, long tokens) {
        heed::token_pruner<double> pruner(1, 1, tokens);
        pruner.prune_tokens(fraction);
        const numbers kept = entry(pruner.kept_tokens(), 1, 0);
        long first = 0;  // of equal ones the first stay
        for (std::size_t i = 0; i < kept.size(); ++i) first += kept[i] == long(i);
        return first == pruner.tokens_left() ? first : -1;
    };
    CHECK(left(0.07, 100) == 7);  // 0.07 x 100 is 7.000000000000001 in double
    CHECK(left(0.07f, 100) == 7);
    CHECK(left(0.57, 100) == 57);  // and 0.57 x 100 is 56.99999999999999
    CHECK(left(1.0 / 3, 10) == 4);
    CHECK(left(0.5, 7) == 4);
    CHECK(left(0.501, 1000) == 501);
    CHECK(left(0.5010001, 1000) == 502);
    CHECK(left(1e-300, 10) == 1);
    CHECK(left(std::numeric_limits<float>::denorm_min(), 10) == 1);
    CHECK(left(1.0f, 10) == 10);
    long wrong = 0;
    for (long tokens = 1; tokens <= 130; ++tokens)
        for (long part = 1; part <= tokens; ++part) {
            const double share = double(part) / double(tokens);
            wrong += left(share, tokens) != part || left(float(share), tokens) != part;
        }
    CHECK(wrong == 0);

    heed::token_pruner pruner(1, 1, 6);
    tensor w(1, 1, 1, 6);
    w.setValues({{{{0.1f, 0.3f, 0.1f, 0.3f, 0.1f, 0.1f}}}});
    pruner.observe(w);
    pruner.prune_tokens_to(4);
    CHECK(entry(pruner.kept_tokens(), 1, 0) == numbers{0, 1, 2, 3});
    pruner.prune_tokens_to(1);
    CHECK(entry(pruner.kept_tokens(), 1, 0) == numbers{1});
}

TEST_CASE("what is no weight adds nothing, and infinity counts most") {
    const heed_test::without_traps quiet;
    const float nan = std::numeric_limits<float>::quiet_NaN(),
                infinity = std::numeric_limits<float>::infinity();
    heed::token_pruner pruner(1, 2, 5);
    tensor w(1, 2, 2, 5);
    w.setValues({{{{nan, nan, nan, nan, nan}, {0.1f, 0.2f, 0.3f, -9.0f, 0.0f}},
                  {{nan, 0.5f, nan, -0.0f, 0.25f}, {0.0f, 0.0f, 0.0f, -infinity, 0.0f}}}});
    pruner.observe(w);
    const double wanted[] = {double(0.1f), double(0.2f) + 0.5, double(0.3f), 0, 0.25};
    for (std::size_t j = 0; j < 5; ++j) CHECK(pruner.token_importance()[j] == wanted[j]);
    w.setZero();
    w(0, 0, 0, 3) = infinity;
    w(0, 1, 0, 4) = infinity;
    pruner.observe(w);
    pruner.prune_tokens_to(2);
    CHECK(entry(pruner.kept_tokens(), 1, 0) == numbers{3, 4});

    tensor y(1, 2, 1, 3);
    y.setValues({{{{nan, -2.0f, 1.0f}}, {{nan, nan, nan}}}});
    pruner.observe_output(y);
    CHECK(pruner.head_importance()[0] == 3);
    CHECK(pruner.head_importance()[1] == 0);
}

TEST_CASE("importance does not depend on the place in a batch") {
    constexpr long batch = 4, heads = 3, tokens = 33;
    support::random r(2104);
    const tensor w = random_tensor(r, batch, heads, 17, tokens),
                 later = random_tensor(r, batch, heads, 5, 14);
    const tensor x = random_tensor(r, batch, 1, tokens, 3);
    // By then the entries hold other tokens at the same places, the sinks and recent ones too.
    const heed::cache_policy policy{.sinks = 4, .important = 3, .recent = 4};
    heed::token_pruner together(batch, heads, tokens);
    const auto check_entry = [&](const heed::token_pruner<>& alone, long b) {
        CHECK(entry(alone.kept_tokens(), 1, 0) == entry(together.kept_tokens(), batch, b));
        const auto sums = alone.token_importance();
        CHECK(std::equal(sums.begin(), sums.end(),
                         together.token_importance().begin() + b * together.tokens_left()));
        const tensor rows = alone.gather(heed::as_view(x).slice_batch(b, 1)), all = together.gather(x);
        CHECK(std::equal(rows.data(), rows.data() + rows.size(), all.data() + b * rows.size()));
    };
    std::vector<heed::token_pruner<>> alone(batch, heed::token_pruner<>(1, heads, tokens));
    together.observe(w);
    together.prune_tokens(0.4);
    for (long b = 0; b < batch; ++b) {
        alone[std::size_t(b)].observe(heed::as_view(w).slice_batch(b, 1));
        alone[std::size_t(b)].prune_tokens(0.4);
        check_entry(alone[std::size_t(b)], b);
    }
    REQUIRE(together.tokens_left() == 14);
    together.observe(later);
    together.prune_tokens(policy);
    for (long b = 0; b < batch; ++b) {
        alone[std::size_t(b)].observe(heed::as_view(later).slice_batch(b, 1));
        alone[std::size_t(b)].prune_tokens(policy);
        check_entry(alone[std::size_t(b)], b);
    }
}

TEST_CASE("gather takes rows of all tokens or of those before the latest pruning, in any layout") {
    constexpr long batch = 2, tokens = 6;
    support::random r(2105);
    heed::token_pruner<double> pruner(batch, 2, tokens);
    support::tensor<double> w(batch, 2, 1, tokens);
    for (long i = 0; i < w.size(); ++i) w.data()[i] = r.uniform();
    pruner.observe(w);
    pruner.prune_tokens_to(5);
    const numbers first[] = {entry(pruner.kept_tokens(), batch, 0), entry(pruner.kept_tokens(), batch, 1)};
    pruner.prune_tokens_to(3);

    tensor all(batch, 3, tokens, 2), some(batch, 3, 5, 2);
    for (long b = 0; b < batch; ++b)
        for (long h = 0; h < 3; ++h)
            for (long f = 0; f < 2; ++f) {
                for (long j = 0; j < tokens; ++j) all(b, h, j, f) = float(1000 * b + 100 * h + 10 * j + f);
                for (long j = 0; j < 5; ++j) some(b, h, j, f) = all(b, h, first[b][std::size_t(j)], f);
            }
    const tensor a = pruner.gather(all), s = pruner.gather(some);
    CHECK(support::values(a) == support::values(s));
    for (long b = 0; b < batch; ++b)
        for (long j = 0; j < 3; ++j)
            CHECK(a(b, 1, j, 1) ==
                  float(1000 * b + 101 + 10 * entry(pruner.kept_tokens(), batch, b)[std::size_t(j)]));

    // (batch, position, head, feature), into memory of the caller's.
    const support::tensor<float> swapped = all.shuffle(Eigen::array<int, 4>{0, 2, 1, 3});
    tensor into(batch, 3, 3, 2);
    pruner.gather_into(into, heed::bshd(swapped));
    CHECK(support::values(into) == support::values(a));

    heed::token_pruner one(1, 1, 4);
    one.prune_tokens_to(2);
    Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> rows(4, 3);
    rows.setRandom();
    CHECK(one.gather(rows) == rows.topRows(2));
}
