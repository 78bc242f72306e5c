// SPDX-License-Identifier: MIT
// tests/layers/multi_head_stream.cpp: extend() against forward, one position and several at a time
#include "support/multi_head_problem.hpp"

namespace {

using support::positions_of, support::values;

// The positions of x in steps of these lengths give what one forward gives.
template <class T, class... Options>
void check_stream(const heed::attention_config& c, std::initializer_list<long> steps, support::random& r,
                  const Options&... options) {
    long n = 0;
    for (const long s : steps) n += s;
    const auto layer = support::random_multi_head<T>(c, r);
    const auto x = support::random_rows<T>(r, 2, n, c.width);
    const auto memory = support::random_rows<T>(r, 2, 6, c.memory_width);
    const auto whole = c.memory_width > 0 ? layer(x, memory, options...) : layer(x, options...);
    typename heed::multi_head_attention<T>::stream stream;
    if (c.memory_width > 0) layer.remember(memory, stream);
    long at = 0;
    double worst = 0;
    for (const long s : steps) {
        const auto y = layer.extend(positions_of(x, at, s), stream, options...);
        worst = std::fmax(worst, support::layer_error<T>(values(y), values(positions_of(whole, at, s))));
        at += s;
    }
    INFO("width " << c.width << ", memory " << c.memory_width);
    CHECK(worst < support::layer_rounding);
    CHECK(stream.position == n);
}

}  // namespace

TEST_CASE("a stream gives what one forward gives") {
    support::random r(41);
    const auto each = [&](auto t) {
        using T = decltype(t);
        const heed::attention_config plain{.width = 12, .heads = 3, .in_bias = true};
        check_stream<T>(plain, {1, 1, 1, 1, 1, 1, 1}, r, heed::causal);
        check_stream<T>(plain, {5, 1, 1, 3, 9, 1}, r, heed::causal);
        check_stream<T>(plain, {70, 1, 60, 1}, r, heed::causal, heed::window(20, 0));
        check_stream<T>({.width = 16, .heads = 4, .kv_heads = 2, .rotary_positions = 24}, {3, 1, 1, 7, 12}, r,
                        heed::causal, heed::alibi(), heed::softcap(4));
        check_stream<T>({.width = 12, .heads = 3, .out_projection = false}, {1, 0, 4}, r, heed::causal);
    };
    each(float{});
    each(double{});
}

TEST_CASE("cross attention reads the memory once and streams over x") {
    support::random r(42);
    const std::vector<int> lengths{6, 2};
    const heed::attention_config c{.width = 12, .heads = 3, .memory_width = 5, .in_bias = true};
    check_stream<float>(c, {1, 1, 1}, r);
    check_stream<double>(c, {4, 1, 2}, r, heed::key_lengths(lengths));
    check_stream<double>({.width = 8, .heads = 2, .memory_width = 8, .rotary_positions = 9}, {4, 1, 4}, r);

    // Another memory replaces the first; the position goes on.
    const auto layer = support::random_multi_head<double>(c, r);
    const auto x = support::random_rows<double>(r, 2, 1, 12);
    const auto first = support::random_rows<double>(r, 2, 6, 5);
    const auto second = support::random_rows<double>(r, 2, 3, 5);
    heed::multi_head_attention<double>::stream stream;
    layer.remember(first, stream);
    (void)layer.extend(x, stream);
    layer.remember(second, stream);
    const auto y = layer.extend(x, stream);
    CHECK(support::max_error(values(y), values(layer(x, second))) < 1e-14);
    CHECK(stream.position == 2);
}

TEST_CASE("a stream's bits do not depend on what runs beside it") {
    support::random r(43);
    const auto layer = support::random_multi_head<float>({.width = 12, .heads = 3}, r);
    const auto x = support::random_rows<float>(r, 3, 8, 12);
    support::tensor<float, 3> second(1, 8, 12);
    std::copy_n(x.data() + 96, 96, second.data());
    heed::multi_head_attention<float>::stream together, alone;
    for (const long at : {0, 1, 2, 3, 4, 5, 6, 7}) {
        const auto y = layer.extend(positions_of(x, at, 1), together, heed::causal);
        const auto y1 = layer.extend(positions_of(second, at, 1), alone, heed::causal);
        CHECK(support::same_bits(y.data() + 12, y1.data(), 12));
    }
    // Beginning anew leaves nothing behind.
    together = {};
    alone = {};
    const auto y = layer.extend(positions_of(x, 0, 1), together, heed::causal);
    const auto y1 = layer.extend(positions_of(second, 0, 1), alone, heed::causal);
    CHECK(support::same_bits(y.data() + 12, y1.data(), 12));
}
