// SPDX-License-Identifier: MIT
// tests/layers/stream_owner.cpp: a stream goes on with the layer it began with, and a call that failed or had
// no positions does not begin it
#include <cmath>
#include <vector>

#include <heed/layers.hpp>
#include <heed/recommend.hpp>

#include "support/multi_head_problem.hpp"

namespace {

using heed_test::contains;
template <class T>
using rows = support::tensor<T, 3>;

const heed::attention_config small{.width = 8, .heads = 1}, large{.width = 8, .heads = 8, .head_dim = 64};

template <class T>
bool same(const rows<T>& a, const rows<T>& b) {
    return support::same_bits(support::elements(a), support::elements(b));
}

// x of two batch entries, of one, and without positions.
struct inputs {
    support::random r{7};
    rows<float> x = support::random_rows<float>(r, 2, 5, 8);
    rows<float> one = support::random_rows<float>(r, 1, 5, 8);
    rows<float> none = support::random_rows<float>(r, 3, 0, 8);
};

// Streams of a, which b has to refuse without a change to y or to the stream.
template <class Layer, class Stream, class... Options>
void check_refused(const Layer& a, const Layer& b, Stream stream, const rows<float>& x,
                   const Options&... options) {
    Stream beside = stream;
    rows<float> y = x;
    y.setConstant(7);
    CHECK_THROWS_WITH(b.extend_into(y, x, stream, options...), contains("the stream is that of a layer"));
    CHECK(support::elements(y) == std::vector<float>(static_cast<std::size_t>(x.size()), 7.0f));
    CHECK(same<float>(a.extend(x, stream, options...), a.extend(x, beside, options...)));
}

template <class Heads, class... Options>
void check_heads(const Options&... options) {
    using layer = heed::multi_head_attention<float, Heads>;
    using stream = typename layer::stream;
    const inputs in;
    const layer a(small), b(large);
    stream s;
    a.extend(in.x, s, options...);
    check_refused(a, b, s, in.x, options...);
    stream t;
    b.extend(in.x, t, options...);
    check_refused(b, a, t, in.x, options...);

    // No positions, of another batch or layer, begin nothing.
    stream empty;
    CHECK(a.extend(in.none, empty, options...).size() == 0);
    CHECK(b.extend(in.none, empty, options...).size() == 0);
    stream fresh;
    CHECK(same<float>(b.extend(in.one, empty, options...), b.extend(in.one, fresh, options...)));
    CHECK(same<float>(b.extend(in.one, empty, options...), b.extend(in.one, fresh, options...)));
    CHECK_THROWS_WITH(b.extend(in.x, empty, options...),
                      contains("x has 2 batch entries, the stream runs with 1"));
}

// A first call that is refused for its options does not begin a stream.
template <class Heads, class Wrong, class... Options>
void check_refused_first(const Wrong& wrong, const Options&... options) {
    const inputs in;
    const heed::multi_head_attention<float, Heads> a(small), b(large);
    typename decltype(heed::multi_head_attention<float, Heads>(small))::stream s, fresh;
    CHECK_THROWS_AS(a.extend(in.x, s, wrong), heed::error);
    CHECK(s.position == 0);
    CHECK(same<float>(b.extend(in.one, s, options...), b.extend(in.one, fresh, options...)));
}

}  // namespace

TEST_CASE("a stream of another layer is refused, whatever attention it carries") {
    check_heads<heed::exact_heads>(heed::causal);
    check_heads<heed::psa_heads>(heed::causal, heed::psa(0.5));
    check_heads<heed::native_heads>();
    check_heads<heed::linear_heads>(heed::causal);
    check_heads<heed::gated_delta_heads>();
    check_heads<heed::cummax_heads>();
    check_heads<heed::maxstate_heads>();
    check_heads<heed::maxstate_super_heads>();
    check_heads<heed::maxstate_super_mixed_heads>();
    check_heads<heed::blend_heads<heed::native_heads, heed::cummax_heads>>();
}

TEST_CASE("a first call that is refused does not bind its stream") {
    const std::vector<int> lengths{5, 5, 5};
    check_refused_first<heed::exact_heads>(heed::key_lengths(lengths), heed::causal);
    check_refused_first<heed::native_heads>(heed::window(3, 0));
    check_refused_first<heed::native_heads>(heed::native_blocks{.compress_block = -1});
    check_refused_first<heed::gated_delta_heads>(heed::window(3, 0));
    check_refused_first<heed::linear_heads>(heed::window(3, 0), heed::causal);
    check_refused_first<heed::cummax_heads>(heed::window(3, 0));
    check_refused_first<heed::maxstate_heads>(heed::window(3, 0));
    check_refused_first<heed::maxstate_super_heads>(heed::window(3, 0));
    check_refused_first<heed::maxstate_super_mixed_heads>(heed::window(3, 0));
    check_refused_first<heed::blend_heads<heed::cummax_heads, heed::native_heads>>(heed::window(3, 0));
    check_refused_first<heed::blend_heads<heed::cummax_heads, heed::exact_heads>>(heed::scale(HUGE_VAL),
                                                                                  heed::causal);
}

TEST_CASE("layers of other positions, key heads and widths are other layers; equal ones are not") {
    const inputs in;
    const auto refuses = [&](const heed::attention_config& c) {
        const heed::multi_head_attention<float> a({.width = 8, .heads = 4}), b(c);
        heed::multi_head_attention<float>::stream s;
        a.extend(in.x, s, heed::causal);
        check_refused(a, b, s, in.x, heed::causal);
    };
    refuses({.width = 8, .heads = 4, .kv_heads = 2});
    refuses({.width = 8, .heads = 4, .rotary_positions = 20});
    refuses({.width = 8, .heads = 2});
    const heed::multi_head_attention<float> few({.width = 8, .heads = 2, .rotary_positions = 5}),
        more({.width = 8, .heads = 2, .rotary_positions = 20}),
        turned({.width = 8, .heads = 2, .rotary_positions = 20, .rotary_base = 500});
    heed::multi_head_attention<float>::stream went, on;
    few.extend(in.x, went, heed::causal);
    more.extend(in.x, on, heed::causal);
    CHECK_THROWS_WITH(turned.extend(in.x, went, heed::causal),
                      contains("rotary_base is 10000, this one's is 500"));
    CHECK(same<float>(more.extend(in.x, went, heed::causal), more.extend(in.x, on, heed::causal)));
    const heed::multi_head_attention<float> a(small, 1), b(small, 1);
    heed::multi_head_attention<float>::stream s, t;
    a.extend(in.x, s, heed::causal);
    a.extend(in.x, t, heed::causal);
    CHECK(same<float>(a.extend(in.x, s, heed::causal), b.extend(in.x, t, heed::causal)));
    // A stream that was moved from holds no keys to go on with.
    const heed::multi_head_attention<float>::stream taken = std::move(s);
    CHECK_THROWS_WITH(a.extend(in.x, s, heed::causal), contains("begin with a new one"));
}

TEST_CASE("a memory remembered by another layer is refused") {
    const auto check = [](auto heads) {
        using layer = heed::multi_head_attention<float, decltype(heads)>;
        const inputs in;
        // The rows of both memories have as many numbers.
        const layer a({.width = 8, .heads = 2, .head_dim = 4, .memory_width = 8});
        const layer b({.width = 8, .heads = 4, .head_dim = 2, .memory_width = 8});
        typename layer::stream s, t;
        a.remember(in.x, s);
        check_refused(a, b, s, in.x);
        a.extend(in.x, s);
        check_refused(a, b, s, in.x);
        a.remember(in.x, t);
        CHECK_THROWS_WITH(b.remember(in.one, t), contains("the stream is that of a layer"));
        CHECK(same<float>(a.extend(in.x, t), a(in.x, in.x)));
        // A stream over x alone takes no memory.
        const layer self({.width = 8, .heads = 2});
        typename layer::stream own;
        self.extend(in.x, own, heed::causal);
        CHECK_THROWS_WITH(a.remember(in.x, own), contains("memory_width is 0, this one's is 8"));
    };
    check(heed::exact_heads());
    check(heed::linear_heads());
}

TEST_CASE("layers around attention refuse streams of other ones") {
    const inputs in;
    {
        using layer = heed::encoder_layer<float>;
        const layer a({.attention = small}), b({.attention = large});
        layer::stream s;
        a.extend(in.x, s, heed::causal);
        check_refused(a, b, s, in.x, heed::causal);
    }
    {
        using layer = heed::decoder_layer<float>;
        const heed::attention_config wide{.width = 8, .heads = 8, .head_dim = 64, .memory_width = 8};
        const layer a({.attention = small}), b({.attention = large});
        // Either attention alone may be another.
        const layer c({.attention = small, .cross_attention = wide});
        layer::stream s;
        a.remember(in.x, s);
        CHECK_THROWS_WITH(c.remember(in.x, s), contains("the stream is that of a layer"));
        a.extend(in.x, s);
        check_refused(a, b, s, in.x);
        check_refused(a, c, s, in.x);
    }
    {
        using layer = heed::sam_out_layer<float>;
        const layer a({.width = 8, .heads = 1}), b({.width = 8, .heads = 4});
        layer::stream s;
        a.extend(in.x, s);
        check_refused(a, b, s, in.x);
    }
}

TEST_CASE("a chosen layer refuses streams of other sizes") {
    const inputs in;
    using heed::variant;
    for (const variant use : {variant::exact, variant::native, variant::linear, variant::gated_delta}) {
        const auto a = heed::make_attention<float>({.sizes = small, .use = use, .causal = true});
        const auto b = heed::make_attention<float>({.sizes = large, .use = use, .causal = true});
        heed::attention_layer<float>::stream s;
        a.extend(in.x, s);
        check_refused(a, b, s, in.x);
        heed::attention_layer<float>::stream empty, fresh;
        a.extend(in.none, empty);
        CHECK(same<float>(b.extend(in.one, empty), b.extend(in.one, fresh)));
    }
}
