// SPDX-License-Identifier: MIT
// bench/page.hpp: how a page begins that needs nothing else: title and style sheet, light and dark
#pragma once

#include <string>

namespace heed_bench {

// Up to and with <body>. The classes s0 to s7 colour a series.
std::string page_head(const std::string& title);
inline constexpr int page_colours = 8;

}  // namespace heed_bench
