// SPDX-License-Identifier: MIT
// tests/sparse/error.cpp: patterns with wrong numbers: the text, and that nothing was written
#include <heed/sparse.hpp>

#include <functional>
#include <string>
#include <vector>

#include "support/call.hpp"

namespace {

std::string text_of(const std::function<void()>& call) {
    try {
        call();
    } catch (const heed::error& e) {
        return e.what();
    }
    return "no error";
}

// 5 queries, 7 keys, 4 heads.
template <class Mask>
void fails(const Mask& mask, const std::string& words) {
    support::tensor<float> q(2, 4, 5, 8), k(2, 2, 7, 8), v(2, 2, 7, 6), y(2, 4, 5, 6);
    y.setConstant(77);
    const std::string text = text_of([&] { heed::attention_into(y, q, k, v, mask); });
    INFO(text);
    CHECK(text.find("heed::attention_into: " + words) == 0);
    long written = 0;
    for (long i = 0; i < y.size(); ++i) written += y.data()[i] != 77;
    CHECK(written == 0);
}

}  // namespace

TEST_CASE("patterns with wrong numbers") {
    fails(heed::dilated(-1, 2), "dilated got (-1, 2), needs a count of keys that is not negative");
    fails(heed::dilated(3, 0), "dilated got (3, 0), needs a count of keys");
    fails(heed::strided(0), "strided got 0, needs a stride of 1 or more");
    fails(heed::fixed(0, 0), "fixed got (0, 0), needs a block of 1 key or more");
    fails(heed::fixed(4, 5), "fixed got (4, 5)");
    fails(heed::fixed(4, -1), "fixed got (4, -1)");
    fails(heed::global_first(-1), "global_first is -1, needs a count of positions that is not negative");
    fails(heed::random_blocks(-1, 4, 0), "random_blocks got (-1, 4), needs a count of blocks");
    fails(heed::random_blocks(1, 0, 0), "random_blocks got (1, 0)");
    fails(heed::block_window(-1, 4), "block_window got (-1, 4), needs a count of blocks");
    fails(heed::block_window(1, 0), "block_window got (1, 0)");
    // What is put together of others names its own numbers.
    const auto made = [](const heed::bigbird_blocks& of) {
        return text_of([&] { (void)heed::bigbird(0, of); });
    };
    CHECK(made({0, 3, 2, 3}) == "heed::bigbird: block is 0, needs at least 1");
    CHECK(made({64, 0, 2, 3}) == "heed::bigbird: window is 0, needs at least 1");
    CHECK(made({64, 4, 2, 3}).find("heed::bigbird: window is 4 blocks, needs an odd number") == 0);
    CHECK(made({64, 3, PTRDIFF_MIN, 3}).find("heed::bigbird: global is -9223372036854775808") == 0);
    CHECK(made({64, 3, 2, -1}) == "heed::bigbird: random is -1, needs at least 0");
    CHECK(made({PTRDIFF_MAX, PTRDIFF_MAX, PTRDIFF_MAX, PTRDIFF_MAX}) == "no error");
}

TEST_CASE("global ids out of range") {
    const std::vector<int> negative{0, -1}, high{7};
    fails(heed::global(negative), "global: ids[1] is -1, needs a position from 0 to 6");
    fails(heed::global(high), "global: ids[0] is 7, needs a position from 0 to 6");
    fails(heed::longformer(4, high), "global: ids[0] is 7");
    CHECK(text_of([&] { (void)heed::longformer(-2, negative); }) ==
          "heed::longformer: width is -2, needs a number that is not negative");
    const std::vector<std::uint64_t> huge{~std::uint64_t{0}};
    fails(heed::global(huge), "global: ids[0] is 18446744073709551615, needs a position from 0 to 6");
}

TEST_CASE("block masks of another shape") {
    const auto all = [](long, long) { return true; };
    const heed::block_mask longer(all, 9, 7, 4, 4);
    fails(heed::blocks(longer),
          "blocks has (1, 1, 3, 2) blocks of 4 x 4, needs (2 or 1, 4 or 1, 2, 2) for 5 queries and 7 keys");
    support::tensor<bool> heads(1, 3, 2, 2);
    heads.setConstant(true);
    const heed::block_mask of_heads(heads, 4, 4);
    fails(heed::blocks(of_heads), "blocks has (1, 3, 2, 2) blocks of 4 x 4");
    CHECK(text_of([&] { heed::block_mask(all, 5, 7, 0, 4); }) ==
          "heed::block_mask: the blocks are 0 queries by 4 keys, needs 1 or more");
    CHECK(text_of([&] { heed::block_mask(all, -5, 7, 4, 4); }) ==
          "heed::block_mask: the shape is (1, 1, -5, 7), needs counts to 2^31 - 1");
}

TEST_CASE("an output over the ids of a mask") {
    support::tensor<float> q(1, 1, 5, 8), k(1, 1, 7, 8), v(1, 1, 7, 6);
    std::vector<int> ids(30);
    const heed::view<float> y(reinterpret_cast<float*>(ids.data()), {1, 1, 5, 6}, {0, 0, 6, 1});
    CHECK(text_of([&] { heed::attention_into(y, q, k, v, heed::longformer(4, ids)); }) ==
          "heed::attention_into: y overlaps global, needs memory of its own");
}
