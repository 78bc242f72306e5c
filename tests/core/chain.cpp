// SPDX-License-Identifier: MIT
// tests/core/chain.cpp: a state goes from link to link in order, and a chain that breaks ends for everyone
//
// The links here wait for each other at the very places where a mistake needs them to meet, so that one run
// shows what a kernel's own chains show in one of several.
#include <chrono>
#include <stdexcept>
#include <vector>

#include <heed/core/chain.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"
#include "support/side_by_side.hpp"

namespace {

using heed::detail::chain_plan;
using heed::detail::chain_turn;
using number = Eigen::Index;

void rest(long microseconds) { std::this_thread::sleep_for(std::chrono::microseconds(microseconds)); }

void wait_for(const std::atomic<bool>& flag) {
    while (!flag.load()) std::this_thread::yield();
}

// Cache lines of progress, aligned as a workspace's are.
struct progress {
    explicit progress(const chain_plan& plan) : memory(plan.bytes() / sizeof(line) + 1) {}
    void* data() { return memory.data(); }

private:
    struct alignas(heed::workspace::alignment) line {
        unsigned char bytes[heed::workspace::alignment];
    };
    std::vector<line> memory;
};

}  // namespace

TEST_CASE("a link takes its turn when the one before has passed, and not before") {
    const support::side_by_side device{4};
    for (const number chains : {1, 3}) {
        const chain_plan plan(chains, 12, 4);
        REQUIRE(!plan.whole);
        progress memory(plan);
        std::vector<number> state(static_cast<std::size_t>(plan.state_slots()), 0);
        std::atomic<long> wrong{0};
        heed::detail::for_each_link(
            heed::detail::device_ref(device), plan, memory.data(),
            [&](number, number slot, number chain, number link, chain_turn& turn) {
                support::random pause(static_cast<std::uint64_t>(40 * chain + link));
                rest(pause.between(0, 200));
                if (!turn.take()) return void(++wrong);
                number& mine = state[static_cast<std::size_t>(slot)];
                wrong += mine != link;
                rest(pause.between(100, 400));  // a link that is let in early meets the old state
                wrong += mine != link;
                mine = link + 1;
                turn.pass();
                rest(pause.between(300, 600));
                turn.pass();  // does nothing, though the chain has gone on
            });
        CHECK(wrong == 0);
        for (const number reached : state) CHECK(reached == 12);
    }
}

TEST_CASE("links that wait for one that throws are let go, and the exception arrives") {
    const support::side_by_side device{3};
    for (const number broken : {0, 1, 4}) {
        const chain_plan plan(1, 9, 3);
        progress memory(plan);
        std::atomic<bool> next_waits{false};
        std::atomic<long> after{0};
        const auto run = [&] {
            heed::detail::for_each_link(heed::detail::device_ref(device), plan, memory.data(),
                                        [&](number, number, number, number link, chain_turn& turn) {
                                            if (link == broken) {
                                                if (!turn.take()) return;
                                                wait_for(next_waits);
                                                rest(3000);  // the next link is in take() by now
                                                throw std::runtime_error("broken link");
                                            }
                                            if (link == broken + 1) next_waits = true;
                                            if (!turn.take()) return;
                                            after += link > broken;
                                            turn.pass();
                                        });
        };
        CHECK_THROWS_WITH(run(), "broken link");
        CHECK(after == 0);
    }
}

TEST_CASE("a link that leaves without passing ends its chain") {
    const support::side_by_side device{2};
    const chain_plan plan(1, 6, 2);
    progress memory(plan);
    std::atomic<long> reached{0};
    heed::detail::for_each_link(heed::detail::device_ref(device), plan, memory.data(),
                                [&](number, number, number, number link, chain_turn& turn) {
                                    rest(500);
                                    if (!turn.take()) return;
                                    ++reached;
                                    if (link != 2) turn.pass();
                                });
    CHECK(reached == 3);
}

TEST_CASE("many chains run whole, each on one lane") {
    const support::side_by_side device{2};
    const chain_plan plan(9, 5, 2);
    REQUIRE(plan.whole);
    CHECK(plan.bytes() == 0);
    std::vector<number> links(9, 0);
    std::atomic<long> wrong{0};
    heed::detail::for_each_link(heed::detail::device_ref(device), plan, nullptr,
                                [&](number lane, number slot, number chain, number link, chain_turn& turn) {
                                    wrong += lane != slot || !turn.take();
                                    wrong += links[static_cast<std::size_t>(chain)]++ != link;
                                    turn.pass();
                                });
    CHECK(wrong == 0);
    for (const number n : links) CHECK(n == 5);
}
