// SPDX-License-Identifier: MIT
// heed/layers/heads/memory_sums.hpp: linear attention's sums over a memory, for a stream
//
// Without a causal mask all queries of linear attention read the same state, S and z over all keys. While
// keys and values stay as they are, the first call makes it, at the cost of a whole forward, and the next
// ones read it: 2 features d_v flops a query, however long the memory is, and the bits of the whole forward.
// It takes features (d_v + 1) numbers a head, and is made anew by a call with another feature map.
#pragma once

#include <heed/core/resources.hpp>
#include <heed/linear.hpp>

namespace heed::inline HEED_ABI::detail {

// Is a feature map the same as another of its type, count and seed? Of one with captures there is no telling.
template <class O>
inline constexpr bool is_known_map = true;
template <class F, class Derivative>
inline constexpr bool is_known_map<callable_features<F, Derivative>> = std::is_empty_v<F>;

template <class T>
class memory_sums {
public:
    // Keys or values have changed.
    void forget() { made_ = false; }

    // Writes y, of queries over keys and values that stay the same until forget().
    template <class... Options>
    void attend(std::string_view function, const view<T>& y, const std::array<view<const T>, 3>& qkv,
                const std::tuple<Options...>& options) {
        linear_setup<T, std::tuple<Options...>> setup(function, options, qkv[0], qkv[1], qkv[2]);
        linear_problem<T>& p = setup.problem;
        p.y = stored_or_sum_of<T>(y);
        const auto run = [&](const auto& body) {
            std::apply([&](const auto&... o) { with_resources(body, o...); }, options);
        };
        const origin now{p.key_map.map, p.features, p.seed, p.normalised};
        const bool keeps = p.keys > 0 && (is_known_map<Options> && ...);
        if (keeps && made_ && now == made_by_) {
            p.initial = strided_of<const T>(as_view(std::as_const(sums_)));
            if (p.relative) p.initial_shift = strided_of<const T>(as_view(std::as_const(shifts_)));
            p.over_positions = false;  // what such a map asks of all keys stands in the sums
            run([&](const device_ref device, workspace& scratch) { read_state(p, device, scratch); });
            return;
        }
        made_ = false;
        if (keeps) {
            fit(sums_, p.batch, p.kv_heads, p.features, p.state_columns());
            p.last = strided_of<T>(as_view(sums_));
            if (p.relative) {
                fit(shifts_, p.batch, p.kv_heads, p.features, 1);
                p.last_shift = strided_of<T>(as_view(shifts_));
            }
        }
        run([&](const device_ref device, workspace& scratch) { run_linear(p, device, scratch); });
        made_ = keeps;
        made_by_ = now;
    }

private:
    // What tells apart the maps that keys went through.
    struct origin {
        feature_map_function<T> map = nullptr;
        index features = 0;
        std::uint64_t seed = 0;
        bool normalised = false;
        bool operator==(const origin&) const = default;
    };

    Eigen::Tensor<T, 4, Eigen::RowMajor> sums_{0, 0, 0, 0};  // (batch, kv_head, feature, value feature and z)
    Eigen::Tensor<T, 4, Eigen::RowMajor> shifts_{0, 0, 0, 0};  // h (batch, kv_head, feature, 1)
    origin made_by_;
    bool made_ = false;
};

}  // namespace heed::inline HEED_ABI::detail
