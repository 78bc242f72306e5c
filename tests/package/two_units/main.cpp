// SPDX-License-Identifier: MIT
#include <cstdio>

bool plain();
bool wide();

int main() {
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
        std::puts("SKIPPED: this machine has no AVX2 to run the wide unit");
        return 77;
    }
    const bool plain_right = plain(), wide_right = wide();
    std::printf("plain unit %s, AVX2 unit %s\n", plain_right ? "right" : "wrong",
                wide_right ? "right" : "wrong");
    return plain_right && wide_right ? 0 : 1;
}
