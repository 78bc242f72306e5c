// SPDX-License-Identifier: MIT
// tests/smoke/layers.cpp: an encoder layer, whole, as a stream and backward: does it run here?
#include "support/block_reference.hpp"

TEST_CASE("an encoder layer") {
    support::random r(1);
    heed::encoder_layer<double> layer({.attention = {.width = 8, .heads = 2}, .feed_forward = {.hidden = 6}},
                                      3);
    const auto x = support::random_rows<double>(r, 2, 5, 8);
    const auto errors = support::layer_gradient(layer, x, heed::causal);
    INFO(errors.text());
    CHECK(errors.worst() <= 1e-6);
    heed::encoder_layer<double>::stream stream;
    const auto whole = layer(x, heed::causal);
    for (long at = 0; at < 5; ++at) {
        const auto y = layer.extend(support::positions_of(x, at, 1), stream);
        CHECK(support::relative_error(support::values(y),
                                      support::values(support::positions_of(whole, at, 1))) < 1e-12);
    }
}
