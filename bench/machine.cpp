// SPDX-License-Identifier: MIT
// bench/machine.cpp: /proc, sysctl and scheduling affinity
#include "machine.hpp"

#include <algorithm>
#include <fstream>
#include <thread>

#ifdef __linux__
#include <sched.h>
#endif
#ifdef __APPLE__
#include <sys/sysctl.h>
#endif

namespace heed_bench {

std::string cpu_model() {
#ifdef __APPLE__
    char name[256];
    std::size_t size = sizeof name;
    if (sysctlbyname("machdep.cpu.brand_string", name, &size, nullptr, 0) == 0) return name;
#endif
    std::ifstream info("/proc/cpuinfo");
    for (std::string line; std::getline(info, line);)
        if (line.rfind("model name", 0) == 0) {
            const std::size_t value = line.find_first_not_of(": \t", line.find(':'));
            if (value != std::string::npos) return line.substr(value);
        }
    return "unknown processor";
}

namespace {

std::vector<int> allowed_cpus() {
    std::vector<int> list;
#ifdef __linux__
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        for (int i = 0; i < CPU_SETSIZE; ++i)
            if (CPU_ISSET(i, &set)) list.push_back(i);
#endif
    if (list.empty())
        for (unsigned i = 0; i < std::max(1u, std::thread::hardware_concurrency()); ++i)
            list.push_back(int(i));
    return list;
}

const std::vector<int> cpus_at_start = allowed_cpus();  // pin() narrows the answer later

}  // namespace

std::vector<int> cpus() { return cpus_at_start; }

void pin([[maybe_unused]] int count) {
#ifdef __linux__
    cpu_set_t set;
    CPU_ZERO(&set);
    for (std::size_t i = 0; i < cpus_at_start.size() && int(i) < count; ++i) CPU_SET(cpus_at_start[i], &set);
    sched_setaffinity(0, sizeof set, &set);
#endif
}

std::string compiler() {
#ifdef __clang__
    return "clang++ " __clang_version__;
#else
    return "g++ " __VERSION__;
#endif
}

}  // namespace heed_bench
