// SPDX-License-Identifier: MIT
// tests/core/error.cpp: every way to call attention wrongly: the text, and that nothing was written
//
// A text names the function, the argument, what it got and what it needs.
#include <algorithm>
#include <functional>
#include <set>

#include <heed/thread_pool.hpp>

#include "support/call.hpp"
#include "support/traps.hpp"

namespace {

using tensor4 = support::tensor<float>;

std::string text_of(const std::function<void()>& call) {
    try {
        call();
    } catch (const heed::error& e) {
        const std::invalid_argument& base = e;  // callers may catch the standard's
        return base.what();
    }
    return "no error";
}

// A good call, of which one thing at a time is made wrong.
struct fixture {
    tensor4 q{2, 4, 5, 8}, k{2, 2, 7, 8}, v{2, 2, 7, 6}, y{2, 4, 5, 6};
    fixture() { q.setZero(), k.setZero(), v.setZero(), y.setConstant(77); }

    bool untouched() const {
        for (long i = 0; i < y.size(); ++i)
            if (y.data()[i] != 77) return false;
        return true;
    }
    // The call must fail, say all of these words, and leave y alone.
    void fails(const std::function<void()>& call, const std::vector<std::string>& words) {
        const std::string text = text_of(call);
        for (const std::string& word : words) {
            INFO("'" << text << "' should say '" << word << "'");
            CHECK(text.find(word) != std::string::npos);
        }
        INFO(text);
        CHECK(untouched());
    }
    template <class... Options>
    void option_fails(const std::vector<std::string>& words, const Options&... options) {
        fails([&] { heed::attention_into(y, q, k, v, options...); }, words);
    }
};

}  // namespace

TEST_CASE("shapes that do not fit together") {
    fixture f;
    const auto with = [&](const tensor4& q, const tensor4& k, const tensor4& v,
                          std::vector<std::string> words) {
        words.push_back("heed::attention_into: ");
        f.fails([&] { heed::attention_into(f.y, q, k, v); }, words);
        words.back() = "heed::attention: ";
        f.fails([&] { (void)heed::attention(q, k, v); }, words);
    };
    with(f.q, tensor4(2, 2, 9, 8), f.v, {"v has 7 positions", "k has 9"});
    with(f.q, tensor4(3, 2, 7, 8), f.v, {"k has 3 batch entries", "q has 2"});
    with(f.q, f.k, tensor4(1, 2, 7, 6), {"v has 1 batch entries", "q has 2"});
    with(f.q, f.k, tensor4(2, 4, 7, 6), {"v has 4 heads", "k has 2"});
    with(f.q, tensor4(2, 3, 7, 8), tensor4(2, 3, 7, 6), {"q has 4 heads", "3"});
    with(f.q, tensor4(2, 0, 7, 8), tensor4(2, 0, 7, 6), {"q has 4 heads", "0"});
    with(f.q, tensor4(2, 2, 7, 9), f.v, {"k has 9 features", "q has 8"});
    with(tensor4(2, 4, 5, 0), tensor4(2, 2, 7, 0), f.v, {"q has 0 features"});
    with(f.q, f.k, tensor4(2, 2, 7, 0), {"v has 0 features"});
}

TEST_CASE("a result of the wrong size") {
    fixture f;
    const auto into = [&](tensor4 y, std::vector<std::string> words) {
        y.setConstant(5);
        words.push_back("heed::attention_into: y has ");
        f.fails([&] { heed::attention_into(y, f.q, f.k, f.v); }, words);
        for (long i = 0; i < y.size(); ++i) REQUIRE(y.data()[i] == 5);
    };
    into(tensor4(1, 4, 5, 6), {"1 batch entries", "q has 2"});
    into(tensor4(2, 2, 5, 6), {"2 heads", "q has 4"});
    into(tensor4(2, 4, 6, 6), {"6 positions", "q has 5"});
    into(tensor4(2, 4, 5, 8), {"8 features", "v has 6"});
}

TEST_CASE("a result that overlaps an input") {
    fixture f;
    std::vector<float> memory(4000, 77);
    const auto view = [&](long at, std::array<heed::index, 4> extents) {
        return heed::view<float>(memory.data() + at, extents);
    };
    const auto q = view(0, {2, 4, 5, 8}), k = view(1000, {2, 2, 7, 8}), v = view(2000, {2, 2, 7, 6});
    const auto overlaps = [&](long at, const char* which) {
        f.fails([&] { heed::attention_into(view(at, {2, 4, 5, 6}), q, k, v); },
                {"heed::attention_into: y overlaps ", which});
        CHECK(std::all_of(memory.begin(), memory.end(), [](float x) { return x == 77; }));
    };
    overlaps(319, "q"), overlaps(1, "q");
    overlaps(1223, "k"), overlaps(1000 - 239, "k");
    overlaps(2000, "v"), overlaps(2167, "v");
    // A stride of 0 would write one element many times.
    auto y = view(3000, {2, 4, 5, 6});
    y.strides[1] = 0;
    f.fails([&] { heed::attention_into(y, q, k, v); },
            {"heed::attention_into: y has strides (120, 0, 6, 1)", "its elements overlap"});
    CHECK(std::all_of(memory.begin(), memory.end(), [](float x) { return x == 77; }));
    // Right beside is fine, and so is between the rows of an input.
    heed::attention_into(view(320, {2, 4, 5, 6}), q, k, v);
}

TEST_CASE("a result whose own elements overlap") {
    fixture f;
    std::vector<float> memory(4000, 77);
    const auto into = [&](std::array<heed::index, 4> strides) {
        heed::view<float> y(memory.data() + 2000, {2, 4, 5, 6}, strides);
        return text_of([&] { heed::attention_into(y, f.q, f.k, f.v); });
    };
    // Rows, heads or batch entries that reach into the next; two axes alike; 2 x 3 = 1 x 6; backwards.
    const std::array<heed::index, 4> overlapping[] = {{120, 30, 5, 1},   {120, 29, 6, 1}, {119, 30, 6, 1},
                                                      {1, 500, 60, 1},   {500, 3, 20, 6}, {-119, 30, 6, 1},
                                                      {120, 30, -5, -1}, {6, 120, 6, 1}};
    for (const auto& strides : overlapping) {
        const std::string text = into(strides);
        INFO(text);
        CHECK(text.find("heed::attention_into: y has strides (") == 0);
        CHECK(text.find("its elements overlap") != std::string::npos);
        CHECK(std::all_of(memory.begin(), memory.end(), [](float x) { return x == 77; }));
    }
    // Any order of axes, gaps, backwards, and strides that interleave without meeting.
    const std::array<heed::index, 4> distinct[] = {{120, 30, 6, 1},   {1, 2, 8, 40},   {6, 60, 12, 1},
                                                   {-120, 30, -6, 1}, {500, 7, 3, 28}, {200, 45, 7, -1}};
    for (const auto& strides : distinct) CHECK(into(strides) == "no error");
    support::tensor<float, 3> lse(2, 4, 5);
    const heed::view<float> w(memory.data(), {2, 4, 5, 7}, {140, 35, 6, 1});
    f.y.setConstant(77);
    f.option_fails({"weights has strides (140, 35, 6, 1)"}, heed::weights(w));
}

TEST_CASE("outputs beside y have memory of their own and the right size") {
    fixture f;
    support::tensor<float, 3> lse(2, 4, 6);
    f.option_fails({"attention_into: logsumexp", "6", "5"}, heed::logsumexp(lse));
    tensor4 w(2, 4, 5, 6);
    f.option_fails({"attention_into: weights", "6", "7"}, heed::weights(w));
    f.option_fails({"attention_into: scores", "6", "7"}, heed::scores(w, heed::stage::raw));
    tensor4 fits(2, 4, 5, 7);
    f.option_fails({"weights", "scores", "overlap"}, heed::weights(fits),
                   heed::scores(fits, heed::stage::raw));
    const Eigen::TensorMap<support::tensor<float, 3>> inside(f.y.data() + 3, 2, 4, 5);
    f.option_fails({"logsumexp overlaps y"}, heed::logsumexp(inside));
    const Eigen::TensorMap<support::tensor<float, 3>> of_q(f.q.data() + 3, 2, 4, 5);
    f.option_fails({"logsumexp overlaps q"}, heed::logsumexp(of_q));
}

TEST_CASE("masks that do not fit") {
    fixture f;
    support::tensor<bool> m(2, 4, 5, 8);
    m.setConstant(true);
    f.option_fails({"attention_into: mask has 8 keys", "needs 7 or 1"}, heed::mask(m));
    support::tensor<bool, 2> two(6, 7);
    two.setConstant(true);
    f.option_fails({"mask has 6 queries", "needs 5 or 1"}, heed::mask(two));
    f.option_fails({"mask has 6 queries"}, heed::causal & !heed::mask(two));
    support::tensor<bool, 3> three(3, 5, 7);
    three.setConstant(true);
    f.option_fails({"mask has 3 heads", "needs 4 or 1"}, heed::mask(three));
    f.option_fails({"window", "-1"}, heed::window(-1, 0));
    f.option_fails({"window", "-3"}, heed::window_from(2, 0, -3));
    f.option_fails({"prefix is -2"}, heed::prefix(-2));
    f.option_fails({"offset is ", "4294967296"}, heed::causal_from(4294967296));
    const std::vector<int> offsets{1, 2, 3};
    f.option_fails({"offset has 3 numbers", "2"}, heed::causal_from(offsets));
    f.option_fails({"offset has 3 numbers", "2"}, heed::window_from(offsets, 1, 1));
}

TEST_CASE("lengths, documents and packed offsets that do not fit") {
    fixture f;
    std::vector<long> lengths{7, 8};
    f.option_fails({"attention_into: key_lengths[1] is 8", "7"}, heed::key_lengths(lengths));
    lengths = {-1, 3};
    f.option_fails({"key_lengths[0] is -1", "0", "7"}, heed::key_lengths(lengths));
    lengths = {1L << 40, 3};
    f.option_fails({"key_lengths[0] is 1099511627776"}, heed::key_lengths(lengths));
    const std::vector<std::uint64_t> huge{3, ~std::uint64_t{0}};
    f.option_fails({"key_lengths[1] is 18446744073709551615", "0", "7"}, heed::key_lengths(huge));
    f.option_fails({"offset is 18446744073709551615"}, heed::causal_from(huge));
    lengths = {3};
    f.option_fails({"key_lengths has 1 numbers", "2 batch entries"}, heed::key_lengths(lengths));
    const std::vector<int> five(5), seven(7), six(6);
    f.option_fails({"documents: key_ids", "6", "7"}, heed::documents(five, six));
    f.option_fails({"documents: query_ids", "6", "5"}, heed::documents(six, seven));
    const std::vector<int> ok_q{0, 2, 5}, ok_k{0, 3, 7}, short_k{0, 3, 6}, falls{0, 8, 7}, late{1, 3, 7},
        more{0, 1, 2, 7}, none;
    f.option_fails({"packed: key offsets", "7"}, heed::packed(ok_q, short_k));
    f.option_fails({"packed: key offsets", "8"}, heed::packed(ok_q, falls));
    f.option_fails({"packed: key offsets", "0"}, heed::packed(ok_q, late));
    f.option_fails({"packed has 3 query offsets and 4 key offsets"}, heed::packed(ok_q, more));
    f.option_fails({"packed"}, heed::packed(none, none));
    const std::vector<std::uint64_t> wraps{0, ~std::uint64_t{0}, 5}, wraps_k{0, 3, 7};
    f.option_fails({"packed: query offsets[1] is 18446744073709551615"}, heed::packed(wraps, wraps_k));
    heed::attention_into(f.y, f.q, f.k, f.v, heed::packed(ok_q, ok_k));
}

TEST_CASE("numbers out of range") {
    const heed_test::without_traps quiet;
    fixture f;
    const double nan = std::nan(""), infinity = HUGE_VAL;
    f.option_fails({"attention_into: scale is nan"}, heed::scale(nan));
    f.option_fails({"scale is inf"}, heed::scale(infinity));
    // What is 0 as a float is 0, and would make a score of 0 NaN.
    for (const double cap : {0.0, -1.0, infinity, nan, 1e-300, 1e-40, 1e300})
        f.option_fails({"attention_into: softcap is "}, heed::softcap(cap));
    for (const double p : {-0.1, 1.0, 1.5, nan})
        f.option_fails({"attention_into: dropout is "}, heed::dropout(p, 1));
    const std::vector<float> three(3);
    f.option_fails({"attention_into: sinks has 3 numbers", "4 heads"}, heed::sinks(three));
    f.option_fails({"attention_into: alibi has 3 slopes", "4 heads"}, heed::alibi(three));
    tensor4 b(2, 3, 5, 7);
    b.setZero();
    f.option_fails({"attention_into: bias has 3 heads", "needs 4 or 1"}, heed::bias(b));
}

TEST_CASE("views with impossible extents") {
    fixture f;
    auto q = heed::as_view(f.q);
    q.extents[2] = -5;
    f.fails([&] { heed::attention_into(f.y, q, f.k, f.v); }, {"q has -5 positions"});
    auto k = heed::as_view(f.k), v = heed::as_view(f.v);
    k.extents[2] = v.extents[2] = 2147483648;
    f.fails([&] { heed::attention_into(f.y, f.q, k, v); }, {"k has 2147483648 positions", "2^31 - 1"});
    k.extents = {2147483647, 2147483647, 2147483647, 8};
    f.fails([&] { heed::attention_into(f.y, f.q, k, f.v); }, {"product of extents", "2147483647"});
    k = heed::as_view(f.k);
    k.data = nullptr;
    f.fails([&] { heed::attention_into(f.y, f.q, k, f.v); }, {"k has no memory"});
}

TEST_CASE("helpers say what does not fit") {
    fixture f;
    support::tensor<float, 3> projected(2, 5, 32);
    CHECK(text_of([&] { (void)heed::split_heads(projected, 7); }) ==
          "heed::split_heads: a width of 32 does not divide into 7 heads");
    CHECK(text_of([&] { (void)heed::split_heads(projected, 0); }).find("0 heads") != std::string::npos);
    CHECK(text_of([&] { (void)heed::split_heads(f.q, 2); }).find("four axes") != std::string::npos);
    const auto view = heed::as_view(f.q);
    CHECK(text_of([&] { (void)view.slice_positions(3, 3); }) ==
          "heed::view: a slice of 3 positions from 3 leaves the 5 there are");
    CHECK(text_of([&] { (void)view.slice_heads(-1, 2); }).find("heads from -1") != std::string::npos);
    CHECK(text_of([&] { (void)view.slice_features(2, -1); }).find("-1 features") != std::string::npos);
    CHECK(text_of([&] { heed::thread_pool pool(-2); }).find("got -2 threads") != std::string::npos);
}
