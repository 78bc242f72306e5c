// SPDX-License-Identifier: MIT
// tests/support/psa_call.hpp: the oracle's progressive sparse attention as an option of a call
#pragma once

#include <heed/select/psa.hpp>

#include "psa_reference.hpp"

namespace support {

inline heed::psa_settings settings_of(const reference::psa& s) {
    heed::psa_settings x;
    x.fraction = s.fraction;
    x.reading = s.how == reference::reading::literal  ? heed::psa_reading::literal
                : s.how == reference::reading::masked ? heed::psa_reading::masked
                                                      : heed::psa_reading::intended;
    x.coefficients = s.pi.a;
    x.clamp = s.pi.clamp;
    x.sparsify_queries = s.of_queries;
    x.sparsify_keys = s.of_keys;
    return x;
}

}  // namespace support
