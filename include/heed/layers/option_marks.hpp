// SPDX-License-Identifier: MIT
// heed/layers/option_marks.hpp: what a tape remembers of the options its forward was given
//
// A backward needs the options of its forward; forgetting one, or giving another, would be a wrong gradient
// without a word. Each kind of option that changes results (result_option_name in heed/core/option.hpp)
// leaves a mark of 64 bits on the tape: a hash of its type and of what its content() gives: numbers (a
// probability and its seed, a scale, the sides of a window), lists of numbers, and the extents of tensors. A
// function of the caller's leaves only that it is there. Devices, workspaces and what an option asks to be
// written leave nothing.
//
// An option or mask of a user's own that has members says what it holds as ours do, by a member
//     auto content() const { return std::tie(side, lengths); }
//
// Cost: some ten nanoseconds for an option, and the length of its lists. No allocation.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <ranges>
#include <string_view>
#include <tuple>
#include <type_traits>

#include <heed/core/error.hpp>
#include <heed/core/numbers.hpp>
#include <heed/core/option.hpp>
#include <heed/core/workspace.hpp>
#include <heed/mask/algebra.hpp>

namespace heed::inline HEED_ABI::detail {

inline constexpr std::uint64_t mark_factor = 0x9e3779b97f4a7c15u;

// A hash of numbers, one after the other.
class mark {
public:
    explicit mark(const void* type) { add(type); }
    std::uint64_t bits() const { return bits_ | 1; }  // never 0, which is an option that is not there

    template <class X>
    void add(const X& x) {
        if constexpr (std::is_floating_point_v<X>)
            mix(std::bit_cast<std::uint64_t>(static_cast<double>(x)));
        else if constexpr (std::is_integral_v<X> || std::is_enum_v<X>)
            mix(static_cast<std::uint64_t>(x));
        else if constexpr (std::is_pointer_v<X>)  // of a function, or of a type's name
            mix(reinterpret_cast<std::uintptr_t>(x));
        else if constexpr (requires { x.extents, x.data; })  // a table or a view
            add(x.extents);
        else if constexpr (requires { x.values.data, x.many, x.single; })  // per_batch
            x.many ? add(x.values) : add(x.single);
        else if constexpr (requires { x.data[0], x.size + 1; })  // number_span
            add_list(x.data, x.size);
        else if constexpr (std::ranges::contiguous_range<const X>)
            add_list(std::ranges::data(x), static_cast<index>(std::ranges::size(x)));
        else if constexpr (requires { std::tuple_size<X>::value; })
            std::apply([&](const auto&... part) { (add(part), ...); }, x);
        else
            static_assert(is_absent<X>,
                          "heed: content() of an option gives std::tie of numbers, enumerators, lists of "
                          "numbers and tensors; one of its parts is none of these");
    }

private:
    std::uint64_t bits_ = 0;

    void mix(std::uint64_t x) {
        bits_ = (bits_ ^ x) * mark_factor;
        bits_ ^= bits_ >> 29;
    }
    template <class Part>
    void add_list(const Part* parts, index size) {
        add(size);
        for (index i = 0; i < size; ++i) add(parts[i]);
    }
};

template <class O>
std::uint64_t mark_of(const O& o) {
    constexpr bool says = requires { o.content(); };
    static_assert(says || std::is_empty_v<O>,
                  "heed: a layer's tape remembers the options of its forward, and one of them holds members "
                  "and does not say which; give its type a member "
                  "`auto content() const { return std::tie(its members); }`");
    if constexpr (requires { o.changes_nothing(); })
        if (o.changes_nothing()) return 0;
    mark m(&type_key<O>);
    if constexpr (says) {
        if constexpr (std::is_same_v<decltype(o.content()), some_function>)
            return 1;  // its type has no name
        else
            m.add(o.content());
    }
    return m.bits();
}
// Two masks in a call are their intersection.
template <class A, class B>
std::uint64_t mark_of(const and_mask<A, B>& o) {
    return mark_of(o.a) + mark_of(o.b);
}
template <class A, class B>
std::uint64_t mark_of(const or_mask<A, B>& o) {
    return (mark_of(o.a) + mark_of(o.b)) * mark_factor;
}
template <class A>
std::uint64_t mark_of(const not_mask<A>& o) {
    return ~mark_of(o.a);
}

class option_marks {
public:
    option_marks() = default;
    template <class... Options>
    explicit option_marks(const Options&... options) {
        (add(options), ...);
    }

    // Throws where `now` are not the options of the forward.
    void compare(std::string_view function, const option_marks& now) const {
        for (std::size_t i = 0; i < marks_.size(); ++i) {
            if (marks_[i] == now.marks_[i]) continue;
            const char* const name = result_option_name(static_cast<option_kind>(i));
            constexpr const char* rule = "; a backward needs the options of its forward";
            if (now.marks_[i] == 0)
                fail(function, {"the tape's forward was given ", name, ", this call is not", rule});
            if (marks_[i] == 0) fail(function, {name, " is given, and was not to the tape's forward", rule});
            fail(function, {name, " is another than the tape's forward was given", rule});
        }
    }

private:
    std::array<std::uint64_t, static_cast<std::size_t>(option_kind::memory) + 1> marks_{};  // 0: not given

    template <class O>
    void add(const O& o) {
        if constexpr (O::kind == option_kind::bundle) {
            std::apply([&](const auto&... inner) { (add(inner), ...); }, o.options);
        } else if constexpr (O::kind == option_kind::memory) {
            const auto of = [](const auto&... inner) { return option_marks(inner...).sum(); };
            marks_[static_cast<std::size_t>(O::kind)] = std::apply(of, o.options);
        } else if constexpr (result_option_name(O::kind) != nullptr) {
            marks_[static_cast<std::size_t>(O::kind)] += mark_of(o);  // masks intersect, in any order
        }
    }
    // All as one; 0 where none is given.
    std::uint64_t sum() const {
        std::uint64_t all = 0;
        for (std::size_t i = 0; i < marks_.size(); ++i)
            if (marks_[i] != 0) all = (all ^ (marks_[i] + i)) * mark_factor | 1;
        return all;
    }
};

}  // namespace heed::inline HEED_ABI::detail
