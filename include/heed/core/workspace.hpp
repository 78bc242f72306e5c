// SPDX-License-Identifier: MIT
// heed/core/workspace.hpp: memory for one call at a time
//
// Pass one with `use(workspace)` and calls stop allocating once it has grown to the largest of them.
// Two calls at the same time need two workspaces.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

#include <heed/core/option.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

class call_rows;

// Its address tells a type from all others.
template <class T>
inline constexpr char type_key = 0;

}  // namespace detail

class workspace {
public:
    // Scratch, and what a call learns before it works there: the keys that a selector chose.
    enum class part { scratch, selection };

    workspace() = default;
    explicit workspace(std::size_t bytes) { reserve(bytes); }
    workspace(const workspace&) = delete;
    workspace& operator=(const workspace&) = delete;
    workspace(workspace&&) noexcept = default;
    workspace& operator=(workspace&&) noexcept = default;

    // Bytes held now: the extra memory of the largest call so far, without what kept() holds.
    std::size_t bytes() const noexcept {
        std::size_t sum = blocks_[0].bytes + blocks_[1].bytes;
        for (const block& b : rows_) sum += b.bytes;
        return sum;
    }

    // At least this many bytes, aligned to a cache line. What was there before is gone after growing; the
    // other part stays. Throws std::bad_alloc; the part is then empty and can be used again.
    void* reserve(std::size_t bytes, part which = part::scratch) {
        block& b = blocks_[which == part::selection ? 1 : 0];
        if (bytes > b.bytes) {
            b = block();
            b = block(bytes);
        }
        return b.memory;
    }

    void release() noexcept {
        for (block& b : blocks_) b = block();
        rows_.clear();
        kept_.clear();
    }

    // One object of a type, made by the first call that asks; for what a call works in and nobody reads
    // later.
    template <class T>
    T& kept() {
        for (const kept_object& k : kept_)
            if (k.type == &detail::type_key<T>) return *static_cast<T*>(k.object.get());
        kept_.push_back({&detail::type_key<T>, std::make_shared<T>()});
        return *static_cast<T*>(kept_.back().object.get());
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
    block blocks_[2];

    friend detail::call_rows;
    // Rows that stay while calls within a call use the scratch: taken one behind the other from blocks that
    // never move.
    struct rows_end {
        std::size_t block = 0, used = 0;
    };
    std::vector<block> rows_;
    rows_end rows_end_;
    struct kept_object {
        const void* type;
        std::shared_ptr<void> object;
    };
    std::vector<kept_object> kept_;
};

namespace detail {

inline std::size_t cache_lines(std::size_t bytes) {
    return (bytes + workspace::alignment - 1) / workspace::alignment * workspace::alignment;
}

// Memory that a call works in until it ends: the last to be taken is the first to be free again.
class call_rows {
public:
    // The outermost of a call gathers blocks for the next call, unless the workspace ends with it.
    explicit call_rows(workspace& memory, bool gathers = false)
        : memory_(memory), before_(memory.rows_end_), gathers_(gathers) {}
    call_rows(const call_rows&) = delete;
    call_rows& operator=(const call_rows&) = delete;
    ~call_rows() {
        memory_.rows_end_ = before_;
        if (gathers_ && before_.block == 0 && before_.used == 0 && memory_.rows_.size() > 1) gather();
    }

    template <class T>
    T* take(std::size_t count) {
        return static_cast<T*>(take_bytes(cache_lines(count * sizeof(T))));
    }

private:
    workspace& memory_;
    workspace::rows_end before_;
    bool gathers_;

    void* take_bytes(std::size_t bytes) {
        auto& end = memory_.rows_end_;
        auto& all = memory_.rows_;
        while (end.block < all.size() && all[end.block].bytes - end.used < bytes) end = {end.block + 1, 0};
        if (end.block == all.size()) all.push_back(workspace::block(bytes));
        void* const at = static_cast<char*>(all[end.block].memory) + end.used;
        end.used += bytes;
        return at;
    }
    // One block for all; without memory for it there are none, and the next call takes its own.
    void gather() noexcept {
        std::size_t bytes = 0;
        for (const auto& b : memory_.rows_) bytes += b.bytes;
        memory_.rows_.clear();
        void* const whole = ::operator new(bytes, std::align_val_t{workspace::alignment}, std::nothrow);
        if (whole == nullptr) return;
        workspace::block one;
        one.memory = whole;
        one.bytes = bytes;
        memory_.rows_.push_back(std::move(one));  // within the capacity of before
    }
};

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
