// SPDX-License-Identifier: MIT
// heed/layers/residual.hpp: y = x + drop(branch), what stands around every branch of a layer
//
// drop() is that of heed/score/dropout.hpp on (batch, position, feature): a number is kept or dropped by a
// hash of the seed, the branch and its index, so the backward drops the same ones whatever the threads. Kept
// numbers are divided by 1 - p. Without the option dropout(p, seed) nothing is dropped.
#pragma once

#include <heed/kernel/layers/row_blocks.hpp>
#include <heed/layers/parameters.hpp>
#include <heed/layers/rows.hpp>

namespace heed::inline HEED_ABI::detail {

// y = drop(branch), plus x unless that is null. y may be either.
template <class T, class Dropout>
void drop_rows(const dense_rows<T>& y, const T* x, const T* branch, const Dropout& option, index dropout_site,
               device_ref device) {
    const branch_leaves<T>& leaf = branch_leaves_on_target<T>();
    const index width = y.width;
    if constexpr (is_absent<Dropout>) {
        for_each_row_block(device, y.rows(), width, [&](index first, index count) {
            const index at = first * width;
            if (x == nullptr) {
                if (branch != y.data) copy(branch + at, y.data + at, count * width);
                return;
            }
            const element_rows<const T> in[] = {{x + at, width}, {branch + at, width}};
            const element_rows<T> out[] = {{y.data + at, width}};
            leaf.add(in, out, nullptr, count, width);
        });
    } else {
        const dropout_option drop(option.probability,
                                  seed_for(option.seed, static_cast<std::uint64_t>(dropout_site)));
        for (index b = 0; b < y.batch; ++b) {
            const auto keep = drop.of({static_cast<std::int32_t>(b), 0, 0, 0});
            for_each_row_block(device, y.positions, width, [&](index first, index count) {
                const index at = (b * y.positions + first) * width;
                leaf.drop(keep, static_cast<T>(drop.factor()), first, x == nullptr ? nullptr : x + at,
                          branch + at, count, width, y.data + at);
            });
        }
    }
}

// y = x + drop(branch), all of one shape; y may be x or branch. `dropout_site` numbers the branches of a
// layer: each drops its own numbers. Of the options, dropout(p, seed) and on(device) count.
template <class T, class... Options>
void add_branch(const dense_rows<T>& y, const std::type_identity_t<dense_rows<const T>>& x,
                const std::type_identity_t<dense_rows<const T>>& branch, index dropout_site,
                const Options&... options) {
    drop_rows<T>(y, x.data, branch.data, pick<option_kind::dropout>(options...), dropout_site,
                 device_of(options...));
}
// y = a + b, without dropout; y may be either.
template <class T>
void add_rows(const dense_rows<T>& y, const std::type_identity_t<dense_rows<const T>>& a,
              const std::type_identity_t<dense_rows<const T>>& b, device_ref device = {}) {
    drop_rows<T>(y, a.data, b.data, absent(), 0, device);
}
// The gradient of the branch, d_branch = drop(dy), from the same site and options; that of x is dy. The
// two may be one.
template <class T, class... Options>
void drop_backward(const dense_rows<T>& d_branch, const std::type_identity_t<dense_rows<const T>>& dy,
                   index dropout_site, const Options&... options) {
    drop_rows<T>(d_branch, nullptr, dy.data, pick<option_kind::dropout>(options...), dropout_site,
                 device_of(options...));
}
// For a layer that takes the option: refuses a number that is no probability.
template <class... Options>
void check_dropout(std::string_view function, const Options&... options) {
    const auto& option = pick<option_kind::dropout>(options...);
    if constexpr (!is_absent<decltype(option)>) option.validate(function);
}

}  // namespace heed::inline HEED_ABI::detail
