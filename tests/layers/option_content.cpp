// SPDX-License-Identifier: MIT
// tests/layers/option_content.cpp: every option tells its numbers, lists and extents to the tape of a layer
#include <heed/cummax.hpp>
#include <heed/layers/option_marks.hpp>
#include <heed/linear.hpp>
#include <heed/sparse.hpp>

#include "support/catch.hpp"

namespace {

using heed::detail::option_marks;
template <int Rank>
using tensor = Eigen::Tensor<float, Rank, Eigen::RowMajor>;

template <class A, class B>
bool alike(const A& a, const B& b) {
    try {
        option_marks(a).compare("test", option_marks(b));
        return true;
    } catch (const heed::error&) {
        return false;
    }
}
// Is an option itself, and not the other?
template <class A, class B>
void check_apart(const A& a, const B& b) {
    CHECK(alike(a, A(a)));
    CHECK(alike(b, B(b)));
    CHECK_FALSE(alike(a, b));
    CHECK_FALSE(alike(b, a));
}

struct own_side : heed::mask_base {
    long side = 7;
    std::vector<int> list;
    auto content() const { return std::tie(side, list); }
};
struct own_rule : heed::mask_base {};

}  // namespace

TEST_CASE("numbers of masks") {
    const std::vector<int> ids{0, 3}, others{0, 4};
    check_apart(heed::causal, heed::causal_from(2));
    check_apart(heed::causal_from(1), heed::causal_from(2));
    check_apart(heed::causal_from(ids), heed::causal_from(others));
    check_apart(heed::window(3, 0), heed::window(3, 1));
    check_apart(heed::prefix(3), heed::prefix(4));
    check_apart(heed::key_lengths(ids), heed::key_lengths(others));
    check_apart(heed::documents(ids, ids), heed::documents(ids, others));
    check_apart(heed::packed(ids), heed::packed(others));
    check_apart(heed::tree(ids), heed::tree(others));
    check_apart(heed::neighbourhood({4, 4}, {3, 3}), heed::neighbourhood({4, 4}, {3, 1}));
    check_apart(heed::neighbourhood({16, 1}, {3, 1}), heed::neighbourhood({1, 16}, {3, 1}));
    check_apart(heed::dilated(3, 2), heed::dilated(3, 4));
    check_apart(heed::strided(8), heed::strided(16));
    check_apart(heed::fixed(8, 2), heed::fixed(8, 3));
    check_apart(heed::global(ids), heed::global(others));
    check_apart(heed::global_first(2), heed::global_first(3));
    check_apart(heed::block_window(1, 8), heed::block_window(2, 8));
    check_apart(heed::random_blocks(1, 8, 5), heed::random_blocks(1, 8, 6));
    const heed::block_mask lower([](long q, long k) { return k <= q; }, 32, 32, 8, 8);
    const heed::block_mask upper([](long q, long k) { return k >= q; }, 32, 32, 8, 8);
    const heed::block_mask again([](long q, long k) { return k <= q; }, 32, 32, 8, 8);
    check_apart(heed::blocks(lower), heed::blocks(upper));
    CHECK(alike(heed::blocks(lower), heed::blocks(again)));
    const Eigen::Tensor<bool, 2, Eigen::RowMajor> small(2, 2), large(2, 3);
    check_apart(heed::mask(small), heed::mask(large));
    check_apart(heed::causal & heed::prefix(2), heed::causal & heed::prefix(3));
    check_apart(heed::causal | heed::prefix(2), heed::causal & heed::prefix(2));
    check_apart(!heed::prefix(2), heed::prefix(2));
}

TEST_CASE("numbers of score steps and selectors") {
    const tensor<2> small(2, 2), large(2, 3);
    const std::vector<float> two(2), three(3);
    check_apart(heed::scale(1), heed::scale(2));
    check_apart(heed::softcap(1), heed::softcap(2));
    check_apart(heed::dropout(0.1, 1), heed::dropout(0.1, 2));
    check_apart(heed::bias(small), heed::bias(large));
    check_apart(heed::alibi(two), heed::alibi(three));
    check_apart(heed::sinks(two), heed::sinks(three));
    check_apart(heed::top_k(3), heed::top_k(4));
    check_apart(heed::top_fraction(0.25), heed::top_fraction(0.5));
    check_apart(heed::local_plus_top(8, 0.25), heed::local_plus_top(9, 0.25));
    check_apart(heed::quest(16, 64), heed::quest(16, 128));
    check_apart(heed::quest(16, 64), heed::quest(32, 64));
    check_apart(heed::certified(0.9), heed::certified(0.8));
    check_apart(heed::vertical_slash(4, 8), heed::vertical_slash(4, 9));
    check_apart(heed::lsh(2, 8, 1), heed::lsh(2, 8, 2));
    check_apart(heed::entropy_budget(1, 64, 1), heed::entropy_budget(1, 64, 2));
    check_apart(heed::psa(0.25), heed::psa(0.5));
    check_apart(heed::psa({.clamp = 4}), heed::psa({.clamp = 5}));
    check_apart(heed::cubic_exponential{}, heed::cubic_exponential{.clamp = 5});
    check_apart(heed::table_exponential{}, heed::table_exponential{.cut = 7});
    check_apart(heed::native_blocks{}, heed::native_blocks{.window = 256});
}

TEST_CASE("numbers of linear and cummax attention") {
    const tensor<3> a(1, 2, 4), b(1, 2, 5);
    tensor<4> s(1, 2, 4, 4), longer(1, 2, 4, 5);
    check_apart(heed::decay(a), heed::decay(b));
    check_apart(heed::delta(a), heed::delta(b));
    check_apart(heed::normalised, heed::unnormalised);
    check_apart(heed::elu1, heed::relu);
    check_apart(heed::favor(16, 1), heed::favor(16, 2));
    check_apart(heed::lightning(1, 8), heed::lightning(2, 8));
    check_apart(heed::retention, heed::lightning(8, 8));
    check_apart(heed::state(s), heed::state(longer));
    check_apart(heed::initial_state(s), heed::initial_state(longer));
    check_apart(heed::across_heads, heed::heads_apart);
    check_apart(heed::hybrid(0.5), heed::hybrid(0.25));
    check_apart(heed::along::head, heed::along::position);
}

TEST_CASE("functions are there or not, and options of a caller's own say what they hold") {
    const auto half = [](auto s, heed::at) { return s / 2; };
    const auto twice = [](auto s, heed::at) { return s * 2; };
    CHECK(alike(heed::score(half), heed::score(twice)));
    CHECK_FALSE(alike(heed::score(half), heed::scale(1)));
    CHECK(alike(heed::mask_if([](heed::at) { return true; }), heed::mask_if([](heed::at) { return false; })));
    own_side other;
    other.list = {1};
    check_apart(own_side(), other);
    check_apart(own_side(), own_rule());
    CHECK(alike(heed::dropout(0, 1), heed::dropout(0, 2)));
}
