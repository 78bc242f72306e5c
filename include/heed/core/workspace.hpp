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

namespace heed::inline HEED_ABI {

class workspace {
public:
    // Scratch, and what a call learns before it works there: the keys that a selector chose, and numbers of
    // its rows.
    enum class part { scratch, selection, rows };

    workspace() = default;
    explicit workspace(std::size_t bytes) { reserve(bytes); }
    workspace(const workspace&) = delete;
    workspace& operator=(const workspace&) = delete;
    workspace(workspace&&) noexcept = default;
    workspace& operator=(workspace&&) noexcept = default;

    // Bytes held now: the extra memory of the largest call so far.
    std::size_t bytes() const noexcept { return blocks_[0].bytes + blocks_[1].bytes + blocks_[2].bytes; }

    // At least this many bytes, aligned to a cache line. What was there before is gone after growing; the
    // other part stays. Throws std::bad_alloc; the part is then empty and can be used again.
    void* reserve(std::size_t bytes, part which = part::scratch) {
        block& b = blocks_[static_cast<std::size_t>(which)];
        if (bytes > b.bytes) {
            b = block();
            b = block(bytes);
        }
        return b.memory;
    }

    void release() noexcept {
        for (block& b : blocks_) b = block();
    }

    static constexpr std::size_t alignment = 64;

private:
    struct block {
        void* memory = nullptr;
        std::size_t bytes = 0;

        block() = default;
        explicit block(std::size_t n) : memory(::operator new(n, std::align_val_t{alignment})), bytes(n) {}
        block(block&& other) noexcept
            : memory(std::exchange(other.memory, nullptr)), bytes(std::exchange(other.bytes, 0)) {}
        block& operator=(block&& other) noexcept {
            std::swap(memory, other.memory);
            std::swap(bytes, other.bytes);
            return *this;
        }
        ~block() {
            if (memory != nullptr) ::operator delete(memory, std::align_val_t{alignment});
        }
    };
    block blocks_[3];
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

}  // namespace heed::inline HEED_ABI
