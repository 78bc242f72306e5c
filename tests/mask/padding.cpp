// SPDX-License-Identifier: MIT
// tests/mask/padding.cpp: prefix and key_lengths
#include <array>
#include <span>

#include "support/call.hpp"

using support::check_call;

TEST_CASE("prefix shows the first keys to everyone") {
    support::for_problems<float>(31, 80, [](reference::problem& p, support::random& r) {
        const long n = r.between(0, p.keys);
        p.visible = [=](reference::place i) { return i.key < n; };
        check_call<float>(p, heed::prefix(n));
    });
}

TEST_CASE("causal | prefix is a prefix language model") {
    support::for_problems<float>(32, 60, [](reference::problem& p, support::random& r) {
        const long n = r.between(0, p.keys), offset = p.keys - p.queries;
        p.visible = [=](reference::place i) { return i.key <= i.query + offset || i.key < n; };
        check_call<float>(p, heed::causal | heed::prefix(n));
    });
}

TEST_CASE("key_lengths ends every batch on its own, at 0 too") {
    support::random r(33);
    for (int round = 0; round < 120; ++round) {
        auto p = round % 8 == 7 ? support::problem<float>(r, 3, 2, 1, 70, r.between(200, 700), 9, 9)
                                : support::random_problem<float>(r);
        std::vector<int> lengths(static_cast<std::size_t>(p.batch));
        for (int& n : lengths) n = static_cast<int>(r.between(0, p.keys));
        p.visible = [=](reference::place i) { return i.key < lengths[static_cast<std::size_t>(i.batch)]; };
        check_call<float>(p, heed::key_lengths(lengths));
    }
}

TEST_CASE("key_lengths keeps causal's alignment: it is a mask, not another key count") {
    support::random r(34);
    for (int round = 0; round < 60; ++round) {
        auto p = support::random_problem<float>(r);
        std::vector<std::int64_t> lengths(static_cast<std::size_t>(p.batch));
        for (auto& n : lengths) n = r.between(0, p.keys);
        const long offset = p.keys - p.queries;
        p.visible = [=](reference::place i) {
            return i.key < lengths[static_cast<std::size_t>(i.batch)] && i.key <= i.query + offset;
        };
        check_call<float>(p, heed::causal, heed::key_lengths(lengths));
    }
}

TEST_CASE("lengths are any contiguous range of integers") {
    support::random r(35);
    auto p = support::problem<float>(r, 2, 1, 1, 3, 7, 4, 4);
    p.visible = [](reference::place i) { return i.key < (i.batch == 0 ? 5 : 2); };
    const std::array<short, 2> shorts{5, 2};
    const std::array<unsigned, 2> words{5, 2};
    check_call<float>(p, heed::key_lengths(shorts));
    check_call<float>(p, heed::key_lengths(std::span(words)));
}
