// SPDX-License-Identifier: MIT
// heed/kernel/linear/backward_run.hpp: the two sweeps of the backward, and where their states stand
//
// Forward from chunk to chunk, keeping the state that each began with; then back from the last chunk to
// the first. Not causal: the state of all keys, then the queries, then the keys once more. Memory: a state
// for each chunk, about as much as keys and values for 64 x 64 features.
#pragma once

#include <heed/kernel/linear/backward.hpp>
#include <heed/kernel/linear/prepare.hpp>

namespace heed::inline HEED_ABI::detail {

// Where the states of the chains and the scratch of the lanes stand in a workspace.
template <class E>
class linear_backward_layout {
public:
    using T = typename linear_problem<E>::T;

    // The problem's maps are made ready on the way.
    linear_backward_layout(linear_problem<E>& p, const linear_gradients<E>& g, const linear_leaves<E>& leaves,
                           const chain_plan& plan, index states, workspace& scratch)
        : p_(p), g_(g), leaves_(leaves), states_(states), measure_(p, leaves), back_(p, g, leaves) {
        arena counting;
        measure_.state_in(counting);
        back_.flow_of(counting);
        counting.take<T>(states * (measure_.state_size() + measure_.normaliser_size()));
        chain_ = cache_lines(counting.bytes());
        lane_ = cache_lines(measure_.bytes() > back_.bytes() ? measure_.bytes() : back_.bytes());
        progress_ = cache_lines(plan.bytes());
        const linear_preparation<E> preparation(p, leaves);
        char* const start = static_cast<char*>(
            scratch.reserve(preparation.bytes() + progress_ + lane_ * static_cast<std::size_t>(plan.lanes) +
                            chain_ * static_cast<std::size_t>(plan.state_slots())));
        preparation.run(p, start);
        base_ = start + preparation.bytes();
        chains_ = base_ + progress_ + lane_ * static_cast<std::size_t>(plan.lanes);
    }

    // The states of the chain in a slot.
    struct chain_states {
        head_state<T> forward;
        linear_flow<T> flow;
        T* saved;
        index state_size;
        index normaliser_size;
        T* state(index link) const { return saved + link * (state_size + normaliser_size); }
        T* normaliser(index link) const { return state(link) + state_size; }
    };
    chain_states at(index slot) const {
        arena here(chains_ + chain_ * static_cast<std::size_t>(slot));
        const auto forward = measure_.state_in(here);
        const auto flow = back_.flow_of(here);
        T* const saved = here.take<T>(states_ * (measure_.state_size() + measure_.normaliser_size()));
        return {forward, flow, saved, measure_.state_size(), measure_.normaliser_size()};
    }
    linear_forward<E> forward(index lane) const { return {p_, leaves_, lane_scratch(lane)}; }
    linear_backward<E> backward(index lane) const { return {p_, g_, leaves_, lane_scratch(lane)}; }
    void* progress() const { return base_; }

private:
    arena lane_scratch(index lane) const {
        return arena(base_ + progress_ + lane_ * static_cast<std::size_t>(lane));
    }

    const linear_problem<E>& p_;
    const linear_gradients<E>& g_;
    const linear_leaves<E>& leaves_;
    index states_;
    linear_forward<E> measure_;
    linear_backward<E> back_;
    std::size_t chain_;
    std::size_t lane_;
    std::size_t progress_;
    char* base_;
    char* chains_;
};

template <class E>
void run_causal_backward(linear_problem<E>& p, const linear_gradients<E>& g, const linear_leaves<E>& leaves,
                         device_ref device, workspace& scratch) {
    const index links = chunks_of(p.keys);
    const chain_plan plan(p.batch * p.kv_heads, links, device.lanes());
    const linear_backward_layout<E> layout(p, g, leaves, plan, links, scratch);
    const auto keep = [&](index lane, index slot, index chain, index link, chain_turn& turn) {
        auto kernel = layout.forward(lane);
        const auto states = layout.at(slot);
        kernel.keep_state(chain / p.kv_heads, chain % p.kv_heads, link, states.forward, turn,
                          states.state(link), states.normaliser(link));
    };
    const auto back = [&](index lane, index slot, index chain, index step, chain_turn& turn) {
        auto kernel = layout.backward(lane);
        const auto states = layout.at(slot);
        const index link = links - 1 - step;
        kernel.run(chain / p.kv_heads, chain % p.kv_heads, link, states.state(link), states.normaliser(link),
                   states.flow, states.forward, turn);
    };
    if (!plan.whole) {
        for_each_link(device, plan, layout.progress(), keep);
        for_each_link(device, plan, layout.progress(), back);
        return;
    }
    for_each_task(device, plan.lanes, plan.chains, [&](index lane, index chain) {
        chain_turn alone;
        for (index link = 0; link < links; ++link) keep(lane, lane, chain, link, alone);
        for (index step = 0; step < links; ++step) back(lane, lane, chain, step, alone);
    });
}

template <class E>
void run_full_backward(linear_problem<E>& p, const linear_gradients<E>& g, const linear_leaves<E>& leaves,
                       device_ref device, workspace& scratch) {
    // States of all chains at once: the three sweeps follow one another.
    chain_plan plan(p.batch * p.kv_heads, chunks_of(p.keys), device.lanes());
    plan.whole = false;
    const linear_backward_layout<E> layout(p, g, leaves, plan, 1, scratch);
    for_each_link(device, plan, layout.progress(),
                  [&](index lane, index slot, index chain, index link, chain_turn& turn) {
                      auto kernel = layout.forward(lane);
                      const auto states = layout.at(slot);
                      const index first = link * chunk_positions;
                      kernel.prepare(chain / p.kv_heads, chain % p.kv_heads, first,
                                     chunk_length(p.keys, first));
                      if (!turn.take()) return;
                      if (link == 0) kernel.begin(chain / p.kv_heads, chain % p.kv_heads, states.forward);
                      kernel.update(states.forward);
                      if (link + 1 == plan.links)
                          kernel.copy_state(states.forward, states.state(0), states.normaliser(0));
                      turn.pass();
                  });
    chain_plan queries(plan.chains, chunks_of(p.queries), plan.lanes);
    queries.whole = false;
    for_each_link(device, queries, layout.progress(),
                  [&](index lane, index slot, index chain, index link, chain_turn& turn) {
                      auto kernel = layout.backward(lane);
                      const auto states = layout.at(slot);
                      const index first = link * chunk_positions;
                      kernel.run_queries(chain / p.kv_heads, chain % p.kv_heads, first,
                                         chunk_length(p.queries, first), states.state(0),
                                         states.normaliser(0), states.flow, turn);
                  });
    for_each_task(device, plan.lanes, plan.chains * plan.links, [&](index lane, index task) {
        auto kernel = layout.backward(lane);
        const index chain = task / plan.links;
        const index first = task % plan.links * chunk_positions;
        kernel.run_keys(chain / p.kv_heads, chain % p.kv_heads, first, chunk_length(p.keys, first),
                        layout.at(chain).normaliser(0), layout.at(chain).flow);
    });
}

template <class E>
void run_linear_backward(linear_problem<E>& p, const linear_gradients<E>& g, device_ref device,
                         workspace& scratch) {
    const linear_leaves<E>& leaves = linear_leaves_on_target<E>();
    if (p.batch * p.kv_heads == 0) return;
    // Without query heads a causal state still moves, and so do the gradients of what moved it.
    if (p.keys == 0 || p.queries == 0 || (p.heads == 0 && !p.causal)) {
        clear_rows(p, leaves, g.q, p.heads, p.queries, p.inputs);
        clear_rows(p, leaves, g.k, p.kv_heads, p.keys, p.inputs);
        clear_rows(p, leaves, g.v, p.kv_heads, p.keys, p.value_features);
        return pass_state(p, g.final_gradient, g.initial);
    }
    if (p.causal) return run_causal_backward(p, g, leaves, device, scratch);
    run_full_backward(p, g, leaves, device, scratch);
}
HEED_ONCE_FOR_ELEMENTS(run_linear_backward);

}  // namespace heed::inline HEED_ABI::detail
