// SPDX-License-Identifier: MIT
// bench/format.hpp: numbers as a person reads them; "-" for what was not measured
#pragma once

#include <cmath>
#include <cstdio>
#include <string>

namespace heed_bench {

inline std::string fixed(double x, int digits) {
    if (!std::isfinite(x)) return std::isnan(x) ? "-" : "inf";
    char text[64];
    std::snprintf(text, sizeof text, "%.*f", digits, x);
    return text;
}

// Three significant digits, never in exponent form: 0.0123, 1.23, 12.3, 12345.
inline std::string three_digits(double x) {
    if (!std::isfinite(x) || x == 0) return fixed(x, 0);
    const int magnitude = int(std::floor(std::log10(std::abs(x) * 1.0005)));
    return fixed(x, std::max(0, 2 - magnitude));
}

inline std::string percent(double share) { return std::isfinite(share) ? fixed(100 * share, 1) + " %" : "-"; }
inline std::string times(double ratio) {
    return std::isfinite(ratio) ? fixed(ratio, ratio < 10 ? 2 : 1) + "x" : "-";
}

// A relative error, over many orders of magnitude: 0.25, 3.1e-07.
inline std::string relative(double x) {
    if (!std::isfinite(x) || x == 0 || x >= 1e-3) return three_digits(x);
    char text[32];
    std::snprintf(text, sizeof text, "%.1e", x);
    return text;
}

inline std::string duration(double seconds) {
    if (!std::isfinite(seconds)) return "-";
    if (seconds < 1e-6) return three_digits(seconds * 1e9) + " ns";
    if (seconds < 1e-3) return three_digits(seconds * 1e6) + " us";
    if (seconds < 1) return three_digits(seconds * 1e3) + " ms";
    return three_digits(seconds) + " s";
}

inline std::string byte_count(double bytes) {
    if (!std::isfinite(bytes)) return "-";
    if (bytes < 1024) return fixed(bytes, 0) + " B";
    if (bytes < 1024 * 1024) return three_digits(bytes / 1024) + " KiB";
    return three_digits(bytes / (1024 * 1024)) + " MiB";
}

}  // namespace heed_bench
