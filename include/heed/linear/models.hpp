// SPDX-License-Identifier: MIT
// heed/linear/models.hpp: known models, spelled as options of linear attention
//
//     retention                 decay 1 - 2^(-5 - h) of head h                          arXiv 2307.08621
//     lightning(layer, layers)  log decay -(8 / H)(1 - layer / layers)(h + 1)           arXiv 2307.14995
//     gated_linear(g)           a decay for each key feature                            arXiv 2312.06635
//     mamba2(g)                 a decay for each head; q = C, k = B, v = x dt, g = A dt arXiv 2405.21060
//     delta_net(beta)           the delta rule, keys of length 1                        arXiv 2406.06484
//     gated_delta_net(g, beta)  both                                                    arXiv 2412.06464
//     efficient                 softmax of q over features, of k over positions         arXiv 1812.01243
//
// All are causal but the last. The gates, norms and convolutions around them are layers of their own.
#pragma once

#include <cmath>
#include <tuple>

#include <heed/linear/features.hpp>
#include <heed/linear/rules.hpp>
#include <heed/mask/band.hpp>
#include <heed/score/scale.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

// The decay of a head that is the same at every position: a function of the head and their number.
struct head_decay {
    double (*log_decay)(double head, double heads, double x);
    double x = 0;
    index heads = 1;

    static void read(const void* context, index, index h, index, index rows, index, index n, double* to) {
        const auto& d = *static_cast<const head_decay*>(context);
        const double g = d.log_decay(static_cast<double>(h), static_cast<double>(d.heads), d.x);
        for (index i = 0; i < rows * n; ++i) to[i] = g;
    }
};
struct head_decay_option : option<option_kind::decay> {
    head_decay rule;
    constexpr explicit head_decay_option(const head_decay& r) : rule(r) {}
    auto content() const { return std::tie(rule.log_decay, rule.x); }
    bool by_feature() const { return false; }
    number_source bind(std::string_view, std::array<index, 3> positions, index) {
        rule.heads = positions[1];
        number_source source;
        source.context = &rule;
        source.read = &head_decay::read;
        return source;
    }
};

inline double retention_decay(double head, double, double) { return std::log1p(-std::exp2(-5 - head)); }
inline double lightning_decay(double head, double heads, double depth) {
    return -8 / heads * (1 - depth) * (head + 1);
}

template <class... Options>
auto bundle_of(const Options&... options) {
    return option_bundle<Options...>{std::tuple<Options...>(options...)};
}

using causal_option = std::remove_const_t<decltype(causal)>;

}  // namespace detail

inline constexpr detail::option_bundle<detail::causal_option, detail::head_decay_option> retention{
    {causal, detail::head_decay_option({&detail::retention_decay})}};

// Layer counts from 0; the last layers forget least.
inline auto lightning(index layer, index layers) {
    if (!(layers > 0 && layer >= 0 && layer <= layers))
        detail::fail("lightning", {"layer is ", layer, " of ", layers, ", needs 0 <= layer <= layers"});
    return detail::bundle_of(
        causal, detail::head_decay_option(
                    {&detail::lightning_decay, static_cast<double>(layer) / static_cast<double>(layers)}));
}

template <class X>
auto gated_linear(X&& g) {
    return detail::bundle_of(causal, decay(std::forward<X>(g)));
}
template <class X>
auto mamba2(X&& g) {
    return detail::bundle_of(causal, decay(std::forward<X>(g)));
}
template <class X>
auto delta_net(X&& beta) {
    return detail::bundle_of(causal, delta(std::forward<X>(beta)));
}
template <class G, class X>
auto gated_delta_net(G&& g, X&& beta) {
    return detail::bundle_of(causal, decay(std::forward<G>(g)), delta(std::forward<X>(beta)));
}

inline constexpr detail::option_bundle<detail::named_features<detail::named_map::softmax_positions>,
                                       detail::normalisation_option<false>>
    efficient{{{}, {}}};

}  // namespace heed::inline HEED_ABI
