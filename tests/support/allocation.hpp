// SPDX-License-Identifier: MIT
// tests/support/allocation.hpp: counts allocations and makes the n-th one fail
//
// Link tests/support/allocation.cpp to use it: that file replaces operator new (all forms) and,
// with glibc and no sanitizer, malloc and its relatives too, so that an allocation made behind
// operator new's back counts as well.
#pragma once

namespace support {

// Counts from construction to destruction, in every thread. One at a time.
class allocation_watch {
public:
    // fail_at = n: the n-th allocation (from 0) fails, and only that one; -1: none.
    explicit allocation_watch(long fail_at = -1);
    ~allocation_watch();
    allocation_watch(const allocation_watch&) = delete;
    allocation_watch& operator=(const allocation_watch&) = delete;
    long count() const;  // allocations asked for since construction
    long live() const;   // of those that operator new gave out, not yet freed
};

}  // namespace support
