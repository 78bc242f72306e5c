// SPDX-License-Identifier: MIT
// tests/sparse/token_pruner_errors.cpp: what a caller can get wrong changes nothing; allocations
#include <heed/sparse.hpp>

#include "support/allocation.hpp"
#include "support/catch.hpp"
#include "support/tensors.hpp"

namespace {

using tensor = support::tensor<float>;
using heed_test::contains;
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

tensor made(long b, long h, long t, long f) {
    tensor x(b, h, t, f);
    for (long i = 0; i < x.size(); ++i) x.data()[i] = 0.01f * float(i * 7 % 31 + 1);
    return x;
}

struct state {
    std::vector<heed::index> tokens, heads;
    std::vector<double> token_importance, head_importance;
    bool operator==(const state&) const = default;

    explicit state(const heed::token_pruner<>& p)
        : tokens(p.kept_tokens().begin(), p.kept_tokens().end()),
          heads(p.kept_heads().begin(), p.kept_heads().end()),
          token_importance(p.token_importance().begin(), p.token_importance().end()),
          head_importance(p.head_importance().begin(), p.head_importance().end()) {}
};

}  // namespace

TEST_CASE("errors leave a pruner as it was") {
    heed::token_pruner pruner(2, 4, 9);
    pruner.observe(made(2, 4, 9, 9));
    pruner.observe_output(made(2, 4, 9, 3));
    pruner.prune_tokens_to(6);
    pruner.prune_heads_to(3);
    const state before(pruner);

    CHECK_THROWS_WITH(pruner.observe(made(1, 3, 6, 6)),
                      "heed::token_pruner::observe: weights has 1 batch entries, needs 2");
    CHECK_THROWS_WITH(pruner.observe(made(2, 4, 6, 6)),
                      "heed::token_pruner::observe: weights has 4 heads, needs the 3 left");
    CHECK_THROWS_WITH(pruner.observe(made(2, 3, 6, 9)),
                      "heed::token_pruner::observe: weights has 9 keys, needs the 6 tokens left");
    CHECK_THROWS_WITH(pruner.observe(heed::view<float>(nullptr, {2, 3, 6, 6})),
                      contains("weights has no memory"));
    CHECK_THROWS_WITH(pruner.observe_output(made(2, 4, 6, 3)),
                      "heed::token_pruner::observe_output: y has 4 heads, needs the 3 left");
    CHECK_THROWS_WITH(
        pruner.prune_tokens(0.0),
        "heed::token_pruner::prune_tokens: fraction is 0, needs a number above 0 and at most 1");
    CHECK_THROWS_WITH(pruner.prune_tokens(1.5f), contains("fraction is 1.5"));
    CHECK_THROWS_WITH(pruner.prune_tokens(-0.5), contains("fraction is -0.5"));
    CHECK_THROWS_WITH(pruner.prune_tokens(not_a_number), contains("fraction is"));
    CHECK_THROWS_WITH(pruner.prune_heads(1.0 + 1e-9),
                      contains("heed::token_pruner::prune_heads: fraction is"));
    CHECK_THROWS_WITH(
        pruner.prune_tokens_to(0),
        "heed::token_pruner::prune_tokens_to: count is 0, needs a number from 1 to the 6 tokens left");
    CHECK_THROWS_WITH(pruner.prune_tokens_to(7), contains("count is 7"));
    CHECK_THROWS_WITH(
        pruner.prune_heads_to(4),
        "heed::token_pruner::prune_heads_to: count is 4, needs a number from 1 to the 3 heads left");
    CHECK_THROWS_WITH(pruner.prune_heads_to(-1), contains("count is -1"));
    CHECK_THROWS_WITH(pruner.prune_tokens({.sinks = -1, .important = 2, .recent = 2}),
                      "heed::token_pruner::prune_tokens: sinks is -1, needs a number from 0 to 2^31 - 1");
    CHECK_THROWS_WITH(pruner.prune_tokens({.sinks = 0, .important = -1, .recent = 2}),
                      contains("important is -1"));
    CHECK_THROWS_WITH(pruner.prune_tokens({.sinks = 0, .important = 0, .recent = -1}),
                      contains("recent is -1"));
    CHECK_THROWS_WITH(pruner.prune_tokens({.sinks = 0, .important = 0, .recent = 0}),
                      "heed::token_pruner::prune_tokens: the policy keeps 0 tokens, needs at least 1");
    CHECK_THROWS_WITH(pruner.append(-1), contains("heed::token_pruner::append: count is -1"));
    CHECK_THROWS_WITH(pruner.append(heed::longest_axis), contains("there would be 2147483656 tokens"));
    CHECK(state(pruner) == before);

    CHECK_THROWS_WITH(
        pruner.gather(made(2, 1, 8, 2)),
        "heed::token_pruner::gather: x has 8 positions, needs the 9 before the latest pruning or all 9");
    CHECK_THROWS_WITH(pruner.gather(made(1, 1, 9, 2)), contains("gather: x has 1 batch entries, needs 2"));
    CHECK_THROWS_WITH(pruner.gather_heads(made(2, 1, 9, 2)),
                      contains("gather_heads: x has 1 heads, needs the 4"));
    tensor y = made(2, 1, 6, 2), wide = made(2, 1, 7, 2), whole = made(2, 1, 9, 2);
    CHECK_THROWS_WITH(pruner.gather_into(wide, whole),
                      "heed::token_pruner::gather_into: axis 2 of y has 7 elements, needs 6");
    CHECK_THROWS_WITH(pruner.gather_into(y, made(2, 2, 9, 2)),
                      contains("axis 1 of y has 1 elements, needs 2"));
    heed::token_pruner one(1, 1, 9);
    one.prune_tokens_to(6);
    const auto part = heed::as_view(whole).slice_batch(0, 1);
    CHECK_THROWS_WITH(one.gather_into(part.slice_positions(0, 6), part), contains("y overlaps x"));
    CHECK(support::values(y) == support::values(made(2, 1, 6, 2)));
    pruner.gather_into(y, whole);

    CHECK_THROWS_WITH(heed::token_pruner(2, 4, 0),
                      "heed::token_pruner: tokens is 0, needs a number from 1 to 2^31 - 1");
    CHECK_THROWS_WITH(heed::token_pruner(2, 0, 4), contains("heads is 0"));
    CHECK_THROWS_WITH(heed::token_pruner(-1, 1, 4), contains("batch is -1"));
    CHECK_THROWS_WITH(heed::token_pruner(1, 1, heed::longest_axis + 1), contains("tokens is 2147483648"));
}

TEST_CASE("a batch of nothing is pruned like any other") {
    heed::token_pruner pruner(0, 2, 8);
    pruner.observe(tensor(0, 2, 8, 8));
    pruner.observe_output(tensor(0, 2, 8, 4));
    pruner.prune_tokens(0.5);
    pruner.prune_heads(0.5);
    pruner.append(1);
    CHECK(pruner.tokens_left() == 5);
    CHECK(pruner.heads_left() == 1);
    CHECK(pruner.kept_tokens().empty());
    CHECK(pruner.gather(tensor(0, 1, 5, 3)).dimension(2) == 5);
}

TEST_CASE("a stream whose cache is full allocates nothing") {
    const heed::cache_policy policy{.sinks = 4, .important = 16, .recent = 16};
    heed::token_pruner pruner(2, 3, 36);
    const tensor w = made(2, 3, 1, 37), keys = made(2, 3, 37, 8);
    tensor kept(2, 3, 36, 8);
    const auto step = [&] {
        pruner.append(1);
        pruner.observe(w);
        pruner.prune_tokens(policy);
        pruner.gather_into(kept, keys);
    };
    step(), step();
    long counted = 0;
    {
        const support::allocation_watch watch;
        for (int i = 0; i < 100; ++i) step();
        counted = watch.count();
    }
    CHECK(counted == 0);
    CHECK(pruner.tokens() == 138);
}
