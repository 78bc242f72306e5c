// SPDX-License-Identifier: MIT
// tests/support/allocation.cpp: the replaced allocation functions behind allocation.hpp
//
// Every block gets a header that remembers whether it was allocated under a watch, so that
// `live` is right even when blocks of before are freed meanwhile. The malloc family is only
// counted and failed: its blocks are glibc's own.
#include "allocation.hpp"

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#if defined(__has_feature)
#if !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer) && !__has_feature(memory_sanitizer)
#define HEED_TESTS_COUNT_MALLOC
#endif
#else
#define HEED_TESTS_COUNT_MALLOC
#endif
#endif

#if defined(HEED_TESTS_COUNT_MALLOC)
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
}
#endif

namespace {

void* uncounted_malloc(std::size_t n) {
#if defined(HEED_TESTS_COUNT_MALLOC)
    return __libc_malloc(n);
#else
    return std::malloc(n);
#endif
}

std::atomic<bool> watching{false};
std::atomic<long> asked{0}, alive{0}, failing{-1}, epoch{0};

struct header {
    void* block;  // what std::malloc gave
    long epoch;   // the watch that saw it, 0 for none
};

// Counts one request; true when it is the one that has to fail.
bool refused() { return watching.load() && asked.fetch_add(1) == failing.load(); }

void* take(std::size_t size, std::size_t alignment) {
    const bool counted = watching.load();
    if (refused()) return nullptr;
    if (alignment < alignof(header)) alignment = alignof(header);
    if (size > SIZE_MAX - alignment - sizeof(header)) return nullptr;
    void* block = uncounted_malloc(size + alignment + sizeof(header));
    if (!block) return nullptr;
    auto address = reinterpret_cast<std::uintptr_t>(block) + sizeof(header);
    address = (address + alignment - 1) / alignment * alignment;
    auto* h = reinterpret_cast<header*>(address) - 1;
    h->block = block;
    h->epoch = counted ? epoch.load() : 0;
    if (counted) alive.fetch_add(1);
    return reinterpret_cast<void*>(address);
}

void give(void* p) noexcept {
    if (!p) return;
    const header h = *(static_cast<header*>(p) - 1);
    if (h.epoch != 0 && h.epoch == epoch.load()) alive.fetch_sub(1);
    std::free(h.block);
}

void* take_or_throw(std::size_t size, std::size_t alignment) {
    if (void* p = take(size, alignment)) return p;
#if defined(__cpp_exceptions)
    throw std::bad_alloc();
#else
    std::abort();
#endif
}

constexpr std::size_t plain = alignof(std::max_align_t);

}  // namespace

namespace support {

allocation_watch::allocation_watch(long fail_at) {
    asked = 0;
    alive = 0;
    failing = fail_at;
    epoch.fetch_add(1);
    watching = true;
}
allocation_watch::~allocation_watch() { watching = false; }
long allocation_watch::count() const { return asked.load(); }
long allocation_watch::live() const { return alive.load(); }

}  // namespace support

void* operator new(std::size_t n) { return take_or_throw(n, plain); }
void* operator new[](std::size_t n) { return take_or_throw(n, plain); }
void* operator new(std::size_t n, const std::nothrow_t&) noexcept { return take(n, plain); }
void* operator new[](std::size_t n, const std::nothrow_t&) noexcept { return take(n, plain); }
void* operator new(std::size_t n, std::align_val_t a) {
    return take_or_throw(n, static_cast<std::size_t>(a));
}
void* operator new[](std::size_t n, std::align_val_t a) {
    return take_or_throw(n, static_cast<std::size_t>(a));
}
void* operator new(std::size_t n, std::align_val_t a, const std::nothrow_t&) noexcept {
    return take(n, static_cast<std::size_t>(a));
}
void* operator new[](std::size_t n, std::align_val_t a, const std::nothrow_t&) noexcept {
    return take(n, static_cast<std::size_t>(a));
}
void operator delete(void* p) noexcept { give(p); }
void operator delete[](void* p) noexcept { give(p); }
void operator delete(void* p, std::size_t) noexcept { give(p); }
void operator delete[](void* p, std::size_t) noexcept { give(p); }
void operator delete(void* p, const std::nothrow_t&) noexcept { give(p); }
void operator delete[](void* p, const std::nothrow_t&) noexcept { give(p); }
void operator delete(void* p, std::align_val_t) noexcept { give(p); }
void operator delete[](void* p, std::align_val_t) noexcept { give(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { give(p); }
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { give(p); }
void operator delete(void* p, std::align_val_t, const std::nothrow_t&) noexcept { give(p); }
void operator delete[](void* p, std::align_val_t, const std::nothrow_t&) noexcept { give(p); }

#if defined(HEED_TESTS_COUNT_MALLOC)
// Eigen and C code allocate behind operator new's back.
extern "C" {
void* malloc(std::size_t n) noexcept { return refused() ? nullptr : __libc_malloc(n); }
void* calloc(std::size_t n, std::size_t m) noexcept { return refused() ? nullptr : __libc_calloc(n, m); }
void* aligned_alloc(std::size_t a, std::size_t n) noexcept {
    return refused() ? nullptr : __libc_memalign(a, n);
}
int posix_memalign(void** p, std::size_t a, std::size_t n) noexcept {
    if (refused()) return ENOMEM;
    *p = __libc_memalign(a, n);
    return *p ? 0 : ENOMEM;
}
}
#endif
