// SPDX-License-Identifier: MIT
// heed/layers/option_marks.hpp: what a tape remembers of the options its forward was given
//
// A backward needs the options of its forward; forgetting one, or giving another, would be a wrong gradient
// without a word. Each kind of option that changes results leaves a mark of 64 bits on the tape: its type,
// the numbers it holds (a probability and its seed, a scale, the sides of a window, lengths and ids), and the
// extents of its tensors. A function of the caller's has no mark but that it is there. Devices, workspaces
// and what an option asks to be written leave none.
//
// An option type of a user's own may say what it holds by a member `std::uint64_t mark() const`.
//
// Cost: some ten nanoseconds for an option, and the length of its lists. No allocation.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <string_view>
#include <tuple>
#include <type_traits>

#include <heed/core/error.hpp>
#include <heed/core/numbers.hpp>
#include <heed/core/option.hpp>
#include <heed/core/workspace.hpp>
#include <heed/mask/algebra.hpp>

namespace heed::inline HEED_ABI::detail {

struct marked_kind {
    option_kind kind;
    const char* name;
};
inline constexpr marked_kind marked_kinds[] = {
    {option_kind::mask, "mask"},
    {option_kind::scale, "scale"},
    {option_kind::softcap, "softcap"},
    {option_kind::score, "score"},
    {option_kind::alibi, "alibi"},
    {option_kind::bias, "bias"},
    {option_kind::sinks, "sinks"},
    {option_kind::probability, "probability"},
    {option_kind::dropout, "dropout"},
    {option_kind::select, "the selector of keys"},
    {option_kind::state, "state"},
    {option_kind::initial_state, "initial_state"},
    {option_kind::features, "the feature map"},
    {option_kind::normalisation, "normalised or unnormalised"},
    {option_kind::decay, "decay"},
    {option_kind::delta, "delta"},
    {option_kind::heads_mode, "across_heads or heads_apart"},
    {option_kind::hybrid, "hybrid"},
    {option_kind::along, "along"},
    {option_kind::direction, "reverse"},
    {option_kind::exponential, "the exponential"},
    {option_kind::native_blocks, "native_blocks"},
    {option_kind::compressed, "compressed"},
    {option_kind::memory, "for_memory"},
};
constexpr int marked_place(option_kind kind) {
    int place = 0;
    for (const marked_kind& m : marked_kinds) {
        if (m.kind == kind) return place;
        ++place;
    }
    return -1;
}

// The numbers of an option, one after the other, as 64 bits.
class mark {
public:
    explicit mark(const void* type) { add(reinterpret_cast<std::uintptr_t>(type)); }
    std::uint64_t bits() const { return bits_ | 1; }  // never 0, which is an option that is not there

    template <class X>
    void add(const X& x) {
        if constexpr (std::is_floating_point_v<X>)
            mix(std::bit_cast<std::uint64_t>(static_cast<double>(x)));
        else if constexpr (std::is_integral_v<X> || std::is_enum_v<X>)
            mix(static_cast<std::uint64_t>(x));
        else if constexpr (requires { x.extents, x.rank; })  // a table
            for (const index extent : x.extents) add(extent);
        else if constexpr (requires { x.values.data, x.many, x.single; })  // per_batch
            x.many ? add(x.values) : add(x.single);
        else if constexpr (requires { x.data[0], x.size + 1; })  // number_span
            add_list(x.data, x.size);
    }
    // A member that a type may have.
    template <class O>
    void add_members(const O& o);

private:
    std::uint64_t bits_ = 0;

    void mix(std::uint64_t x) {
        bits_ = (bits_ ^ x) * 0x9e3779b97f4a7c15u;
        bits_ ^= bits_ >> 29;
    }
    template <class Int>
    void add_list(const Int* data, index size) {
        add(size);
        for (index i = 0; i < size; ++i) add(data[i]);
    }
};

// The one place that knows what the members of options are called.
template <class O>
void mark::add_members(const O& o) {
    const auto each = [&](const auto&... x) { (add(x), ...); };
    if constexpr (requires { o.probability; }) each(o.probability, o.seed);        // dropout
    if constexpr (requires { o.factor; }) each(o.factor);                          // scale
    if constexpr (requires { o.cap; }) each(o.cap);                                // softcap
    if constexpr (requires { o.left, o.right; }) each(o.left, o.right, o.offset);  // causal, window, …_from
    if constexpr (requires { o.end + 1; }) each(o.end);                            // prefix
    if constexpr (requires { o.lengths; }) each(o.lengths);                        // key_lengths
    if constexpr (requires { o.queries, o.keys; }) each(o.queries, o.keys);        // documents, packed
    if constexpr (requires { o.parents; }) each(o.parents);                        // tree
    if constexpr (requires { o.dilation.value; })                                  // neighbourhood
        for (const auto* axes : {&o.extents, &o.window, &o.dilation})
            for (const index x : axes->value) add(x);
    if constexpr (requires { o.width, o.step; }) each(o.width, o.step);    // dilated
    if constexpr (requires { o.stride + 1; }) each(o.stride);              // strided
    if constexpr (requires { o.length, o.last; }) each(o.length, o.last);  // fixed
    if constexpr (requires { o.side, o.block; }) each(o.side, o.block);
    if constexpr (requires { o.count, o.block, o.seed; }) each(o.block);  // random_blocks
    if constexpr (requires { o.count + 1; }) each(o.count);               // favor
    if constexpr (requires { o.seed + 1; }) each(o.seed);
    if constexpr (requires { o.k + 1; }) each(o.k);  // top_k
    if constexpr (requires { o.fraction + 1; }) each(o.fraction);
    if constexpr (requires { o.vertical, o.slash; }) each(o.vertical, o.slash);
    if constexpr (requires { o.tau + 1; }) each(o.tau);
    if constexpr (requires { o.budget + 1; }) each(o.budget);
    if constexpr (requires { o.threshold + 1; }) each(o.threshold);
    if constexpr (requires { o.window + 1; }) each(o.window);
    if constexpr (requires { o.of; }) each(o.of);                          // along
    if constexpr (requires { o.single, o.many; }) each(o.single, o.many);  // hybrid
    if constexpr (requires { o.values.extents; }) each(o.values);          // bias
    if constexpr (requires { o.slopes; }) each(o.slopes);
    if constexpr (requires { o.logits; }) each(o.logits);
    if constexpr (requires { o.visible; }) each(o.visible);
    if constexpr (requires { o.logs; }) each(o.logs);
    if constexpr (requires { o.betas; }) each(o.betas);
    if constexpr (requires { o.to.extents; }) each(o.to);
    if constexpr (requires { o.rule.x; }) each(o.rule.x);  // lightning
    if constexpr (requires { o.rule.rounds; }) each(o.rule.rounds, o.rule.buckets, o.rule.seed);
    if constexpr (requires { o.rule.kappa; }) each(o.rule.min_keys, o.rule.max_keys, o.rule.kappa);
    if constexpr (requires { o.settings.sparsify_keys; })  // psa
        each(o.settings.fraction, o.settings.reading, o.settings.clamp, o.settings.sparsify_queries,
             o.settings.sparsify_keys);
    if constexpr (requires { o.compress_block; })  // native_blocks
        each(o.compress_block, o.compress_stride, o.select_block, o.select_count, o.window);
}

// Options that hold a function, whose type is another wherever it is written down.
template <class O>
concept holds_function = requires(const O& o) { o.f; };

template <class O>
std::uint64_t mark_of(const O& o) {
    if constexpr (requires { o.mark(); }) {
        return o.mark() | 1;
    } else if constexpr (holds_function<O>) {
        return 1;
    } else {
        if constexpr (O::kind == option_kind::dropout)
            if (o.probability == 0) return 0;  // drops nothing
        mark m(&type_key<O>);
        m.add_members(o);
        return m.bits();
    }
}
// Two masks in a call are their intersection.
template <class A, class B>
std::uint64_t mark_of(const and_mask<A, B>& o) {
    return mark_of(o.a) + mark_of(o.b);
}
template <class A, class B>
std::uint64_t mark_of(const or_mask<A, B>& o) {
    return (mark_of(o.a) + mark_of(o.b)) * 0x9e3779b97f4a7c15u;
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

    // Are `now` the options of the forward?
    void compare(std::string_view function, const option_marks& now) const {
        for (std::size_t i = 0; i < marks_.size(); ++i) {
            if (marks_[i] == now.marks_[i]) continue;
            const char* const name = marked_kinds[i].name;
            constexpr const char* rule = "; a backward needs the options of its forward";
            if (now.marks_[i] == 0)
                fail(function, {"the tape's forward was given ", name, ", this call is not", rule});
            if (marks_[i] == 0) fail(function, {name, " is given, and was not to the tape's forward", rule});
            fail(function, {name, " is another than the tape's forward was given", rule});
        }
    }

private:
    std::array<std::uint64_t, std::size(marked_kinds)> marks_{};  // 0: not given

    template <class O>
    void add(const O& o) {
        if constexpr (O::kind == option_kind::bundle) {
            std::apply([&](const auto&... inner) { (add(inner), ...); }, o.options);
        } else if constexpr (O::kind == option_kind::memory) {
            const auto of = [](const auto&... inner) { return option_marks(inner...).sum(); };
            marks_[static_cast<std::size_t>(marked_place(O::kind))] = std::apply(of, o.options);
        } else if constexpr (constexpr int place = marked_place(O::kind); place >= 0) {
            marks_[static_cast<std::size_t>(place)] += mark_of(o);  // masks intersect, in any order
        }
    }
    // All as one; 0 where none is given.
    std::uint64_t sum() const {
        std::uint64_t all = 0;
        for (std::size_t i = 0; i < marks_.size(); ++i)
            if (marks_[i] != 0) all = (all ^ (marks_[i] + i)) * 0x9e3779b97f4a7c15u | 1;
        return all;
    }
};

}  // namespace heed::inline HEED_ABI::detail
