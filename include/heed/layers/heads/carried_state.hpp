// SPDX-License-Identifier: MIT
// heed/layers/heads/carried_state.hpp: the state of linear attention in a stream
#pragma once

#include <heed/core/check.hpp>
#include <heed/core/option.hpp>
#include <heed/core/tensor.hpp>

namespace heed::inline HEED_ABI::detail {

// (batch, kv_head, feature, value feature), and z in one more column where the sums are divided by it.
template <class T>
struct carried_state {
    Eigen::Tensor<T, 4, Eigen::RowMajor> sums{0, 0, 0, 0};

    // call(sums), which begin at zero. A first call that throws leaves none.
    template <class Call>
    void advance(const std::array<index, 4>& extents, const Call& call) {
        if (sums.size() > 0) return call(sums);
        const auto [batch, heads, features, columns] = extents;
        Eigen::Tensor<T, 4, Eigen::RowMajor> fresh(batch, heads, features, columns);
        fresh.setZero();
        call(fresh);
        sums = std::move(fresh);
    }
};

// The gradients of the first and the last state, which a backward asks for, are of a state's extents.
template <class T, class... Options>
void check_state_extents(std::string_view f, const std::array<index, 4>& extents, const Options&... options) {
    const auto fits = [&](const char* name, const auto& given) {
        if constexpr (!is_absent<decltype(given)>) exact_extents(f, name, given.to, extents, 4);
    };
    fits("the initial state's gradient", pick<option_kind::initial_state_gradient>(options...));
    fits("the final state's gradient", pick<option_kind::final_state_gradient>(options...));
}

template <class... Options>
constexpr void check_stream_options() {
    static_assert(
        count_of<option_kind::initial_state, Options...> + count_of<option_kind::final_state, Options...> ==
            0,
        "heed::multi_head_attention::extend: the stream carries the state; leave initial_state and "
        "final_state away");
}

}  // namespace heed::inline HEED_ABI::detail
