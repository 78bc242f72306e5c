// SPDX-License-Identifier: MIT
// tests/support/traps.hpp: no floating-point traps while a test computes with NaN or infinity by design
//
// With HEED_FPE=1 every invalid operation, division by zero and overflow ends the program. Comparing a NaN
// with < is invalid by the standard, so a case that feeds NaN has to stand without traps. Nothing else
// should: a kernel that traps on finite numbers computes with what nobody wrote, or with lanes whose result
// it throws away. Threads take over the traps of the thread that starts them. Without it, it does
// nothing.
#pragma once

namespace heed_test {

class without_traps {
public:
    explicit without_traps(bool wanted = true);
    ~without_traps();
    without_traps(const without_traps&) = delete;
    without_traps& operator=(const without_traps&) = delete;

private:
    int kept_ = 0;
};

}  // namespace heed_test
