// SPDX-License-Identifier: MIT
// tests/conformance_rotary.cpp: every RotaryEmbedding case of the operator vectors through heed (R1)
#include <heed/rotary.hpp>

#include "support/catch.hpp"
#include "support/conformance.hpp"
#include "support/tensors.hpp"

#if defined(HEED_CONFORMANCE_DATA)
namespace {

// (position, pairs), or (batch, position, pairs) where there are no ids.
support::tensor<float, 3> cache(const conformance::array& a) {
    const bool by_batch = a.extents.size() == 3;
    support::tensor<float, 3> t(by_batch ? a.extents[0] : 1, a.extents[by_batch], a.extents.back());
    for (long i = 0; i < t.size(); ++i)
        t.data()[i] = static_cast<float>(a.values[static_cast<std::size_t>(i)]);
    return t;
}

void compare(const conformance::test_case& c) {
    const conformance::array& x = *c.input(0);
    std::vector<float> from(x.values.begin(), x.values.end()), to(from.size());
    const auto cos = cache(*c.input(1)), sin = cache(*c.input(2));
    std::vector<int> ids;
    if (c.input(3)) ids.assign(c.input(3)->values.begin(), c.input(3)->values.end());

    const auto run = [&](const auto& y, const auto& input, const auto&... options) {
        if (c.input(3))
            heed::rotary_into(y, input, cos, sin, heed::positions(ids), options...);
        else
            heed::rotary_into(y, input, cos, sin, options...);
    };
    const auto both = [&](const auto& y, const auto& input) {
        if (c.number("interleaved", 0) != 0)
            run(y, input, heed::interleaved);
        else
            run(y, input);
    };
    const auto& e = x.extents;
    if (e.size() == 3) {
        using map = Eigen::TensorMap<support::tensor<float, 3>>;
        map input(from.data(), e[0], e[1], e[2]), y(to.data(), e[0], e[1], e[2]);
        const long heads = static_cast<long>(c.number("num_heads", 1));
        both(heed::split_heads(y, heads), heed::split_heads(input, heads));
    } else {
        using map = Eigen::TensorMap<support::tensor<float>>;
        both(map(to.data(), e[0], e[1], e[2], e[3]), map(from.data(), e[0], e[1], e[2], e[3]));
    }
    INFO(c.name);
    CHECK(conformance::close({to.begin(), to.end()}, c.outputs.at(0).values, 1e-5, 1e-6));
}

}  // namespace
#endif

TEST_CASE("all RotaryEmbedding cases of the operator vectors") {
#if defined(HEED_CONFORMANCE_DATA)
    const auto cases = conformance::read(HEED_CONFORMANCE_DATA, "RotaryEmbedding");
    CHECK(cases.size() == 6);
    for (const auto& c : cases) compare(c);
#else
    HEED_SKIP("HEED_CONFORMANCE_DATA was not given");
#endif
}
