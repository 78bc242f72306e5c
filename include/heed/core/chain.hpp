// SPDX-License-Identifier: MIT
// heed/core/chain.hpp: tasks in chains, whose links hand a state on
//
// A sequence is cut into links of fixed length. A link prepares what needs no state, waits for its turn,
// takes the state over from the link before it, passes it on, and finishes what is its own. Lanes take
// links in order, so the one with the earliest link never waits for a later one: no barrier, no deadlock,
// and a single long sequence keeps every lane busy as long as taking over is short beside the rest. The
// arithmetic of a link does not know its lane, so the bits are those of one thread.
#pragma once

#include <atomic>
#include <new>
#include <thread>

#include <heed/core/device.hpp>
#include <heed/core/workspace.hpp>

namespace heed::inline HEED_ABI::detail {

// How many links of a chain have passed their state on; on a cache line of its own.
struct alignas(workspace::alignment) chain_progress {
    std::atomic<index> passed{0};
};

// A link's place in its chain.
class chain_turn {
public:
    chain_turn() = default;
    chain_turn(chain_progress& chain, std::atomic<bool>& stopped, index link)
        : chain_(&chain), stopped_(&stopped), link_(link) {}
    chain_turn(const chain_turn&) = delete;
    chain_turn& operator=(const chain_turn&) = delete;
    // A link that leaves without passing the state on, by an exception, ends the chain.
    ~chain_turn() {
        if (chain_ != nullptr && !passed_) stopped_->store(true);
    }

    // Waits until the link before has passed its state on; false when it never will.
    bool take() {
        if (chain_ == nullptr) return true;
        for (int spins = 0; chain_->passed.load(std::memory_order_acquire) != link_; ++spins) {
            if (stopped_->load(std::memory_order_relaxed)) return false;
            if (spins > 1000) std::this_thread::yield();
        }
        return true;
    }
    // Once: a second time would turn the chain back.
    void pass() {
        if (passed_) return;
        passed_ = true;
        if (chain_ != nullptr) chain_->passed.store(link_ + 1, std::memory_order_release);
    }

private:
    chain_progress* chain_ = nullptr;
    std::atomic<bool>* stopped_ = nullptr;
    index link_ = 0;
    bool passed_ = false;
};

// How the links of some chains are spread over lanes: whole chains where there are many, else link by
// link. `slots` states are alive at once.
struct chain_plan {
    index chains;
    index links;
    index lanes;
    bool whole;

    chain_plan(index chain_count, index link_count, index lane_count)
        : chains(chain_count),
          links(link_count),
          lanes(lane_count),
          whole(lane_count <= 1 || chain_count >= 4 * lane_count) {
        const index tasks = whole ? chains : chains * links;
        if (lanes > tasks) lanes = tasks < 1 ? 1 : tasks;
    }
    index state_slots() const { return whole ? lanes : chains; }
    std::size_t bytes() const {
        return whole ? 0 : static_cast<std::size_t>(chains) * sizeof(chain_progress);
    }
};

// body(lane, slot, chain, link, turn) for every link of every chain; the links of a chain take their turns
// in order. `memory` holds plan.bytes(), aligned to a cache line.
template <class Body>
void for_each_link(device_ref d, const chain_plan& plan, void* memory, const Body& body) {
    if (plan.whole) {
        for_each_task(d, plan.lanes, plan.chains, [&](index lane, index chain) {
            for (index link = 0; link < plan.links; ++link) {
                chain_turn free;
                body(lane, lane, chain, link, free);
            }
        });
        return;
    }
    auto* const progress = static_cast<chain_progress*>(memory);
    for (index chain = 0; chain < plan.chains; ++chain) ::new (progress + chain) chain_progress;
    std::atomic<bool> stopped{false};
    for_each_task(d, plan.lanes, plan.chains * plan.links, [&](index lane, index task) {
        const index chain = task % plan.chains;
        const index link = task / plan.chains;
        chain_turn turn(progress[chain], stopped, link);
        body(lane, chain, chain, link, turn);
    });
}

}  // namespace heed::inline HEED_ABI::detail
