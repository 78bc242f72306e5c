// SPDX-License-Identifier: MIT
// heed/core/resources.hpp: where a call runs and works: what on(device) and use(workspace) gave, or one
// thread and memory of the call's own
#pragma once

#include <heed/core/device.hpp>
#include <heed/core/workspace.hpp>

namespace heed::inline HEED_ABI::detail {

// The device of on(), or this thread.
device_ref device_of(const auto&... options) {
    const auto& on = pick<option_kind::on>(options...);
    if constexpr (is_absent<decltype(on)>)
        return {};
    else
        return on.used;
}

// The workspace of use(), or the call's own.
workspace& workspace_of(workspace& own, const auto&... options) {
    const auto& use = pick<option_kind::use>(options...);
    if constexpr (is_absent<decltype(use)>)
        return own;
    else
        return *use.memory;
}

// body(device, workspace) with both.
template <class Body>
void with_resources(const Body& body, const auto&... options) {
    workspace own;
    body(device_of(options...), workspace_of(own, options...));
}

}  // namespace heed::inline HEED_ABI::detail
