// SPDX-License-Identifier: MIT
// heed/core/workspace.hpp: memory for one call at a time
//
// Pass one with `use(workspace)` and calls stop allocating once it has grown to the largest of them.
// Two calls at the same time need two workspaces.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>
#include <type_traits>
#include <utility>

#include <heed/core/option.hpp>

namespace heed {
inline namespace HEED_ABI {

class workspace {
public:
    workspace() = default;
    explicit workspace(std::size_t bytes) { reserve(bytes); }
    workspace(const workspace&) = delete;
    workspace& operator=(const workspace&) = delete;
    workspace(workspace&& other) noexcept
        : memory_(std::exchange(other.memory_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
    workspace& operator=(workspace&& other) noexcept {
        std::swap(memory_, other.memory_);
        std::swap(bytes_, other.bytes_);
        return *this;
    }
    ~workspace() { release(); }

    // Bytes held now: the extra memory of the largest call so far.
    std::size_t bytes() const noexcept { return bytes_; }

    // At least this many bytes, aligned to a cache line. What was there before is gone after growing.
    // Throws std::bad_alloc; the workspace is then empty and can be used again.
    void* reserve(std::size_t bytes) {
        if (bytes > bytes_) {
            release();
            memory_ = ::operator new (bytes, std::align_val_t{alignment});
            bytes_ = bytes;
        }
        return memory_;
    }

    void release() noexcept {
        if (memory_ != nullptr) ::operator delete (memory_, std::align_val_t{alignment});
        memory_ = nullptr;
        bytes_ = 0;
    }

    static constexpr std::size_t alignment = 64;

private:
    void* memory_ = nullptr;
    std::size_t bytes_ = 0;
};

namespace detail {

inline std::size_t cache_lines(std::size_t bytes) {
    return (bytes + workspace::alignment - 1) / workspace::alignment * workspace::alignment;
}

struct use_option : option<option_kind::use> {
    workspace* memory;
    explicit use_option(workspace& w) : memory(&w) {}
};

}  // namespace detail

// Work in this memory; once it has grown to the call's need, the call allocates nothing.
template <class W>
auto use(W&& w) {
    static_assert(
        std::is_convertible_v<W, workspace&>,
        "heed::use: needs a heed::workspace with a name that is not const; a temporary saves nothing");
    return detail::use_option(w);
}

}  // namespace HEED_ABI
}  // namespace heed
