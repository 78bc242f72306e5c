// SPDX-License-Identifier: MIT
// heed/linear/rules.hpp: how the state of linear attention changes from one position to the next
//
//     linear         S = S + k v^T
//     gated          S = e^g S + k v^T                       decay(g)
//     delta          S = S + beta k (v - S^T k)^T            delta(beta)
//     gated delta    the same on e^g S                       both
//
// g are logarithms, at most 0 in every model (above, a state grows): (batch, kv_head, position), or with one
// for each key feature (batch, kv_head, position, feature). beta is (batch, kv_head, position). Extents of 1
// repeat; axes in front may be missing. Tensors are kept by reference.
#pragma once

#include <string_view>

#include <heed/linear/sources.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

template <class G>
struct decay_option : option<option_kind::decay> {
    table<const G> logs;
    explicit decay_option(const table<const G>& t) : logs(t) {}
    auto content() const { return std::tie(logs); }
    bool by_feature() const { return logs.rank == 4; }
    const char* overlapped(const byte_span& output) const {
        return overlap(output, bytes_of(logs.data, logs.extents, logs.strides)) ? "the decay" : nullptr;
    }

    number_source bind(std::string_view function, std::array<index, 3> positions, index features) {
        spread(function, "the decay", logs, positions, by_feature() ? features : 1, by_feature());
        return source_of(logs);
    }
};

template <class G>
struct delta_option : option<option_kind::delta> {
    table<const G> betas;
    explicit delta_option(const table<const G>& t) : betas(t) {}
    auto content() const { return std::tie(betas); }
    const char* overlapped(const byte_span& output) const {
        return overlap(output, bytes_of(betas.data, betas.extents, betas.strides)) ? "beta" : nullptr;
    }

    number_source bind(std::string_view function, std::array<index, 3> positions, index) {
        if (betas.rank == 4) fail(function, {"beta has four axes, needs (batch, kv_head, position)"});
        spread(function, "beta", betas, positions, 1, false);
        return source_of(betas);
    }
};

template <bool Normalised>
struct normalisation_option : option<option_kind::normalisation> {
    static constexpr bool normalised = Normalised;
};

}  // namespace detail

// Logarithms of decays.
template <class X>
auto decay(X&& g) {
    const auto t = detail::read_table(std::forward<X>(g));
    return detail::decay_option<detail::element_t<decltype(t)>>(t);
}
// How much of the difference between v and what the state answers for k is written.
template <class X>
auto delta(X&& beta) {
    const auto t = detail::read_table(std::forward<X>(beta));
    return detail::delta_option<detail::element_t<decltype(t)>>(t);
}

// Divide by the sum of <phi(q), phi(k)> plus 1e-10, or not.
inline constexpr detail::normalisation_option<true> normalised{};
inline constexpr detail::normalisation_option<false> unnormalised{};

// Backward: also write the gradients of the decays and of beta, (batch, kv_head, position) or
// (batch, kv_head, position, feature), of float (double for double).
template <class X>
auto decay_gradient(X&& t) {
    return detail::writing<option_kind::decay_gradient>(std::forward<X>(t));
}
template <class X>
auto delta_gradient(X&& t) {
    return detail::writing<option_kind::delta_gradient>(std::forward<X>(t));
}

}  // namespace heed::inline HEED_ABI
