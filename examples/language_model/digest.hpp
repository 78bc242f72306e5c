// SPDX-License-Identifier: MIT
// examples/language_model/digest.hpp: FNV-1a, 64 bits: one changed byte always changes it
#pragma once

#include <cstddef>
#include <cstdint>

namespace language_model {

inline std::uint64_t digest_of(const char* bytes, std::size_t count,
                               std::uint64_t start = 0xcbf29ce484222325u) {
    for (std::size_t i = 0; i < count; ++i)
        start = (start ^ static_cast<std::uint8_t>(bytes[i])) * 0x100000001b3u;
    return start;
}

}  // namespace language_model
