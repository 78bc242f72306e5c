// SPDX-License-Identifier: MIT
// tests/train/overfit.cpp: a tiny model with any variant learns 256 bytes by heart
//
// All variants can: each byte of the text stands at a place of its own, and every variant knows its place.
#include "language_model/trainer.hpp"
#include "support/catch.hpp"
#include "support/traps.hpp"

using language_model::settings;
using language_model::trainer;

TEST_CASE("256 bytes are learned to a loss below 0.05") {
    const heed_test::without_traps quiet;  // Eigen's square root of 0 is 0 times infinity
    for (const language_model::variant& v : language_model::variants()) {
        CAPTURE(v.name);
        settings s;
        s.attention = v.name;
        s.overfit = true;
        s.width = 32;
        s.batch = 1;
        s.length = 256;
        s.lr = 1e-2;
        s.steps = 200;
        trainer run(s);
        double loss = 0;
        int falls = 0;
        while (run.steps() < 200) {
            const double before = loss;
            loss = run.step().loss();
            falls += run.steps() > 1 && loss < before;
            if (loss < 0.05) break;
        }
        INFO("after " << run.steps() << " steps");
        CHECK(loss < 0.05);
        CHECK(falls > 0.8 * static_cast<double>(run.steps()));
        CHECK(run.validate().accuracy() == 1);
    }
}
