// SPDX-License-Identifier: MIT
// heed/kernel/exact/backward_run.hpp: the backward cut into tasks, in which memory
//
// First the numbers of every row; then the keys of a head block by block, heads beside each other where
// there are many, blocks of one head beside each other where there are few; then what is asked for beside.
// Memory beside scratch: three numbers a row, and the gradients of the queries that are worked on; twice
// where keys are more than one group.
#pragma once

#include <heed/kernel/exact/backward_rows.hpp>
#include <heed/kernel/exact/backward_sums.hpp>
#include <heed/kernel/exact/backward_sweep.hpp>

namespace heed::inline HEED_ABI::detail {

template <class E>
class backward_run {
public:
    using problem = exact_problem<E>;
    using T = typename problem::T;

    backward_run(const problem& p, const exact_gradients<E>& g, device_ref device, workspace& memory)
        : p_(p),
          g_(g),
          leaf_(gradient_leaves_on_target<E>()),
          device_(device),
          lanes_(device.lanes()),
          tile_(p, g, leaf_),
          rows_(p, g, leaf_),
          sweep_(p, g, leaf_),
          bias_(p, g, leaf_, {}),
          plan_(p.batch * p.kv_heads, sweep_.key_blocks(), lanes_) {
        const index key_rows = p.heads / p.kv_heads * p.queries;
        head_size_ = rounded_up(key_rows * tile_.key_row(), 64 / static_cast<index>(sizeof(T)));
        lane_ = greatest_bytes({sweep_.bytes(), rows_.bytes(), g.bias.data != nullptr ? bias_.bytes() : 0});
        arena counted;
        take(counted);
        arena taken(memory.reserve(counted.bytes()));
        take(taken);
    }

    void run() const {
        weigh_rows();
        sweep();
        if (g_.bias.data != nullptr)
            for_each_task(device_, plan_.lanes, bias_.tasks(), [&](index lane, index task) {
                bias_sums<E>(p_, g_, leaf_, numbers_, scratch(lane)).run(task);
            });
        if (g_.sink.data != nullptr) write_sinks(p_, g_, numbers_);
        if (g_.slope.data != nullptr) write_slopes(p_, g_, slopes_, plan_.links);
    }

private:
    static std::size_t greatest_bytes(std::initializer_list<std::size_t> all) {
        std::size_t most = 0;
        for (const std::size_t bytes : all) most = cache_lines(bytes) > most ? cache_lines(bytes) : most;
        return most;
    }
    index query_slots() const { return p_.heads / p_.kv_heads * sweep_.query_blocks(); }
    void take(arena& memory) {
        const index rows = p_.batch * p_.heads * p_.queries;
        const index heads = plan_.state_slots() * head_size_;
        memory.take(numbers_.shift, rows);
        memory.take(numbers_.factor, rows);
        memory.take(numbers_.delta, rows);
        memory.take(progress_, plan_.whole ? 0 : plan_.chains * query_slots());
        memory.take(slopes_, g_.slope.data == nullptr ? 0 : p_.batch * p_.heads * plan_.links);
        memory.take(dq_, heads);
        memory.take(upper_dq_, sweep_.groups_keys() ? heads : 0);
        memory.take(scratch_, static_cast<index>(lane_) * plan_.lanes);
    }
    void* scratch(index lane) const { return scratch_ + lane_ * static_cast<std::size_t>(lane); }

    void weigh_rows() const {
        const index blocks = sweep_.query_blocks();
        for_each_task(device_, plan_.lanes, p_.batch * p_.heads * blocks, [&](index lane, index task) {
            const index head = task / blocks;
            const index first = task % blocks * gradient_queries;
            gradient_rows<E>(p_, g_, leaf_, scratch(lane))
                .run(head / p_.heads, head % p_.heads, first, numbers_.from(head * p_.queries + first));
        });
    }

    void sweep() const {
        const index group = p_.heads / p_.kv_heads;
        std::atomic<bool> stopped{false};
        if (!plan_.whole)
            for (index i = 0; i < plan_.chains * query_slots(); ++i) ::new (progress_ + i) chain_progress;
        const auto run_link = [&](index lane, index slot, index chain, index link) {
            head_gradients<T> head;
            head.dq = dq_ + slot * head_size_;
            head.upper_dq = sweep_.groups_keys() ? upper_dq_ + slot * head_size_ : nullptr;
            head.numbers = numbers_.from(chain * group * p_.queries);
            head.slopes = g_.slope.data == nullptr ? nullptr : slopes_ + chain * group * plan_.links;
            head.progress = plan_.whole ? nullptr : progress_ + chain * query_slots();
            head.stopped = &stopped;
            gradient_sweep<E>(p_, g_, leaf_, scratch(lane))
                .run(chain / p_.kv_heads, chain % p_.kv_heads, link, head);
        };
        if (plan_.whole)
            for_each_task(device_, plan_.lanes, plan_.chains, [&](index lane, index chain) {
                for (index link = 0; link < plan_.links; ++link) run_link(lane, lane, chain, link);
            });
        else
            for_each_task(device_, plan_.lanes, plan_.chains * plan_.links, [&](index lane, index task) {
                const index chain = task % plan_.chains;
                run_link(lane, chain, chain, task / plan_.chains);
            });
    }

    const problem& p_;
    const exact_gradients<E>& g_;
    const gradient_leaves<E>& leaf_;
    device_ref device_;
    index lanes_;
    gradient_tile<E> tile_;
    gradient_rows<E> rows_;
    gradient_sweep<E> sweep_;
    bias_sums<E> bias_;
    chain_plan plan_;
    index head_size_;
    std::size_t lane_;
    row_numbers<T> numbers_;
    chain_progress* progress_;
    double* slopes_;
    T* dq_;
    T* upper_dq_;
    char* scratch_;
};
template <class E>
void run_backward(const exact_problem<E>& p, const exact_gradients<E>& g, device_ref device,
                  workspace& memory) {
    backward_run(p, g, device, memory).run();
}
HEED_ONCE_FOR_ELEMENTS(run_backward);

}  // namespace heed::inline HEED_ABI::detail
