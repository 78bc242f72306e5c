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
        const index rows = p.batch * p.heads * p.queries;
        const index group = p.heads / p.kv_heads;
        const index places = plan_.chains * group * sweep_.query_blocks();
        head_size_ = rounded_up(group * p.queries * tile_.key_row(), 64 / static_cast<index>(sizeof(T)));
        lane_ = cache_lines(sweep_.bytes());
        if (g.bias.data != nullptr && cache_lines(bias_.bytes()) > lane_) lane_ = cache_lines(bias_.bytes());
        const std::size_t row_bytes = cache_lines(static_cast<std::size_t>(rows) * sizeof(T));
        const std::size_t turns = plan_.whole ? 0 : static_cast<std::size_t>(places) * sizeof(chain_progress);
        const std::size_t slopes =
            g.slope.data == nullptr
                ? 0
                : cache_lines(static_cast<std::size_t>(p.batch * p.heads * plan_.links) * sizeof(double));
        const std::size_t heads =
            static_cast<std::size_t>(plan_.state_slots()) * static_cast<std::size_t>(head_size_) * sizeof(T);
        const std::size_t uppers = sweep_.groups_keys() ? heads : 0;
        if (cache_lines(rows_.bytes()) > lane_) lane_ = cache_lines(rows_.bytes());
        char* at = static_cast<char*>(memory.reserve(3 * row_bytes + turns + slopes + heads + uppers +
                                                     lane_ * static_cast<std::size_t>(plan_.lanes)));
        const auto next = [&](std::size_t bytes) {
            char* const here = at;
            at += bytes;
            return here;
        };
        for (T** x : {&numbers_.shift, &numbers_.factor, &numbers_.delta})
            *x = reinterpret_cast<T*>(next(row_bytes));
        progress_ = next(turns);
        slopes_ = reinterpret_cast<double*>(next(slopes));
        dq_ = reinterpret_cast<T*>(next(heads));
        upper_dq_ = uppers == 0 ? nullptr : reinterpret_cast<T*>(next(uppers));
        scratch_ = at;
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
        auto* const progress = reinterpret_cast<chain_progress*>(progress_);
        const index places = group * sweep_.query_blocks();
        if (!plan_.whole)
            for (index i = 0; i < plan_.chains * places; ++i) ::new (progress + i) chain_progress;
        const auto run_link = [&](index lane, index slot, index chain, index link) {
            head_gradients<T> head;
            head.dq = dq_ + slot * head_size_;
            head.upper_dq = upper_dq_ == nullptr ? nullptr : upper_dq_ + slot * head_size_;
            head.numbers = numbers_.from(chain * group * p_.queries);
            head.slopes = g_.slope.data == nullptr ? nullptr : slopes_ + chain * group * plan_.links;
            head.progress = plan_.whole ? nullptr : progress + chain * places;
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
    char* progress_;
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
