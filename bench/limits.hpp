// SPDX-License-Identifier: MIT
// bench/limits.hpp: what this machine can do, measured in the same run as the kernels
//
// A speed says little without the machine; a share of the machine's own limit travels. Two limits
// matter to attention: multiply-adds per second (long prompts) and bytes read per second from memory
// (decode). Both are measured on the widest instruction set the processor has, whatever flags this
// program was built with. Virtual machines change speed from second to second, so callers measure
// the limit again next to each figure instead of trusting one number from the start.
#pragma once

#include <memory>
#include <string>

namespace heed_bench {

// The widest vector units found: "avx512", "avx2", "sse2" or "neon".
std::string limits_target();

// FLOP/s of `threads` threads together; a multiply-add counts two. About 15 ms.
double float_peak(int threads = 1);
double double_peak(int threads = 1);

// Bytes per second from a buffer far larger than any cache. The buffer (512 MiB) lives as long as the
// object; a measurement takes about 0.1 s, the first one longer, since it tries several ways to read.
//
// Ordinary pages are what a tensor from malloc has; on large ones the memory's own limit shows, not the
// page walker's (on one virtual machine: 19 against 30 GB/s).
enum class pages { ordinary, large };

class read_bandwidth {
public:
    explicit read_bandwidth(pages kind = pages::ordinary);
    ~read_bandwidth();
    read_bandwidth(const read_bandwidth&) = delete;
    read_bandwidth& operator=(const read_bandwidth&) = delete;

    double measure(int threads = 1);  // bytes/s

private:
    struct buffer;
    std::unique_ptr<buffer> buffer_;
    int best_way_ = -1;  // the fastest way to read, once known
};

}  // namespace heed_bench
