// SPDX-License-Identifier: MIT
// heed/core/check.hpp: preconditions that every variant shares, found once per call
//
// Extents that are negative, too long or without memory; outputs that overlap an input, another output or
// themselves. A variant's own rules (which extents belong together) stand with the variant.
#pragma once

#include <array>
#include <new>
#include <string_view>

#include <heed/core/overlap.hpp>
#include <heed/core/tensor.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
byte_span bytes_of(const view<T>& v) {
    return bytes_of(v.data, v.extents, v.strides);
}
template <class T>
byte_span bytes_of(const table<T>& t) {
    return bytes_of(t.data, t.extents, t.strides);
}

// Elements that can be there: memory, and strides that end within it.
inline void check_memory(std::string_view function, std::string_view argument, const byte_span& s) {
    if (s.empty()) return;
    if (s.begin == 0) fail(function, {argument, " has no memory (its pointer is null)"});
    if (!s.fits) fail(function, {argument, " has strides that reach past the end of all memory"});
}

// An output of scores or log-sum-exp: exactly the extents needed, axes in front may be missing.
template <class X>
table<X> exact_extents(std::string_view function, std::string_view argument, const table<X>& t,
                       const std::array<index, 4>& needed, int axes) {
    for (std::size_t axis = 0; axis < 4; ++axis)
        if (t.extents[axis] != needed[axis])
            fail(function, {argument, " is (", t.extents[0], ", ", t.extents[1], ", ", t.extents[2], ", ",
                            t.extents[3], "), needs (", needed[0], ", ", needed[1], ", ", needed[2], ", ",
                            needed[3], axes == 3 ? "), the first axis left away" : ")"});
    check_memory(function, argument, bytes_of(t));
    return t;
}

// The length of an axis that a caller gives as a number.
inline void check_axis(std::string_view function, std::string_view argument, index extent) {
    if (extent < 0) fail(function, {argument, " is ", extent, ", needs a number that is not negative"});
    if (extent > longest_axis) fail(function, {argument, " is ", extent, ", needs at most 2^31 - 1"});
}

// What an error text calls the elements of an axis.
inline constexpr const char* axis_names[] = {"batch entries", "heads", "positions", "features"};

inline void check_extents(std::string_view function, std::string_view argument,
                          const std::array<index, 4>& extents, const byte_span& memory) {
    for (std::size_t axis = 0; axis < 4; ++axis) {
        if (extents[axis] < 0)
            fail(function, {argument, " has ", extents[axis], " ", axis_names[axis],
                            ", needs a number that is not negative"});
        if (extents[axis] > longest_axis)
            fail(function,
                 {argument, " has ", extents[axis], " ", axis_names[axis], ", needs at most 2^31 - 1"});
    }
    checked_product(function, {extents[0], extents[1], extents[2], extents[3]});
    check_memory(function, argument, memory);
}
template <class T>
void check_extents(std::string_view function, std::string_view argument, const view<T>& v) {
    check_extents(function, argument, v.extents, bytes_of(v));
}

// What a call reads and writes, and the one list of what an output is checked for: it has memory, every
// result an element of its own, and it shares no element with an input, with another output or with what an
// option reads. An output that replaces an input may stand exactly on it, element on element.
class call_memory {
public:
    explicit call_memory(std::string_view function) : function_(function) {}

    void reads(const char* name, const byte_span& span) { add(name, span, nullptr, false); }
    void writes(const char* name, const byte_span& span) { add(name, span, nullptr, true); }
    // `input` is the name of the one that it may stand on, "" for any.
    void replaces(const char* name, const byte_span& span, const char* input = "") {
        add(name, span, input, true);
    }

    // Options that are one table (a member `to`) stand in the list already.
    template <class... Options>
    void validate(const Options&... options) const {
        check_list();
        for (int i = 0; i < count_; ++i) {
            if (!at(i).written) continue;
            const char* shared = nullptr;
            ((shared = shared != nullptr ? shared : read_by(options, at(i).span)), ...);
            if (shared != nullptr) refuse(at(i).name, shared);
        }
    }
    // For tensors without a place in the list, a layer's weights and gradients: the name of what shares an
    // element with them, or nullptr.
    const char* written_on(const byte_span& span) const { return sharing(span, true); }
    const char* used_on(const byte_span& span) const { return sharing(span, false); }

private:
    struct part {
        byte_span span;
        const char* name;
        const char* input;  // that it may stand on
        bool written;
    };
    // Without its member's initialisers: most of the list stays empty, in calls of a few hundred nanoseconds.
    union slot {
        slot() {}
        part used;
    };
    static constexpr int most = 20;

    const part& at(int i) const { return parts_[i].used; }
    void add(const char* name, const byte_span& span, const char* input, bool written) {
        ::new (&parts_[count_++].used) part{span, name, input, written};
    }
    template <class O>
    static const char* read_by(const O& o, const byte_span& output) {
        if constexpr (requires { o.to.data; })
            return nullptr;
        else
            return overlapped_by(o, output);
    }
    [[noreturn]] void refuse(const char* output, const char* other) const {
        fail(function_, {output, " overlaps ", other, ", needs memory of its own"});
    }
    void check_list() const {
        for (int i = 0; i < count_; ++i) {
            check_memory(function_, at(i).name, at(i).span);
            if (at(i).written) check_distinct(at(i));
        }
        for (int i = 0; i < count_; ++i)
            for (int j = 0; at(i).written && j < count_; ++j) {
                const part &out = at(i), &other = at(j);
                if (j == i || (other.written && j > i) || !overlap(out.span, other.span)) continue;
                const bool may_replace = !other.written && out.input != nullptr &&
                                         (*out.input == 0 || std::string_view(out.input) == other.name);
                if (!may_replace) refuse(out.name, other.name);
                if (!same_elements(out.span, other.span))
                    fail(function_, {out.name, " overlaps ", other.name, ", needs to be ", other.name,
                                     " itself or memory of its own"});
            }
    }
    void check_distinct(const part& p) const {
        if (!overlaps_itself(p.span)) return;
        const auto stride = [&](int axis) { return p.span.strides[axis] / p.span.size; };
        fail(function_,
             {p.name, " has strides (", stride(0), ", ", stride(1), ", ", stride(2), ", ", stride(3),
              ") with which its elements overlap, needs an element of its own for every result"});
    }
    const char* sharing(const byte_span& span, bool only_written) const {
        for (int i = 0; i < count_; ++i)
            if ((at(i).written || !only_written) && overlap(at(i).span, span)) return at(i).name;
        return nullptr;
    }

    std::string_view function_;
    slot parts_[most];
    int count_ = 0;
};

// A tensor with the extents of another: a gradient and what it is the gradient of.
template <class A, class B>
void check_same_extents(std::string_view function, std::string_view name, const view<A>& x,
                        std::string_view other, const view<B>& needed) {
    check_extents(function, name, x);
    for (std::size_t axis = 0; axis < 4; ++axis)
        if (x.extents[axis] != needed.extents[axis])
            fail(function, {name, " has ", x.extents[axis], " ", axis_names[axis], ", ", other, " has ",
                            needed.extents[axis]});
}

// The extents of the output of q, k and v, which fit together.
template <class T>
std::array<std::array<index, 4>, 1> check_shapes(std::string_view function, const view<T>& q,
                                                 const view<T>& k, const view<T>& v) {
    check_extents(function, "q", q);
    check_extents(function, "k", k);
    check_extents(function, "v", v);
    if (k.batch() != q.batch()) fail(function, {"k has ", k.batch(), " batch entries, q has ", q.batch()});
    if (v.batch() != q.batch()) fail(function, {"v has ", v.batch(), " batch entries, q has ", q.batch()});
    if (v.heads() != k.heads()) fail(function, {"v has ", v.heads(), " heads, k has ", k.heads()});
    if (!(q.heads() == 0 || (k.heads() > 0 && q.heads() % k.heads() == 0)))
        fail(function, {"q has ", q.heads(), " heads, needs a multiple of the ", k.heads(), " of k and v"});
    if (v.positions() != k.positions())
        fail(function, {"v has ", v.positions(), " positions, k has ", k.positions()});
    if (k.features() != q.features())
        fail(function, {"k has ", k.features(), " features, q has ", q.features()});
    if (q.features() <= 0) fail(function, {"q has 0 features, needs at least 1"});
    if (v.features() <= 0) fail(function, {"v has 0 features, needs at least 1"});
    checked_product(function, {q.batch(), q.heads(), q.positions(), v.features()});
    return {{{q.batch(), q.heads(), q.positions(), v.features()}}};
}

// The extents of the gradients of q, k and v: their own. dy is that of the output.
template <class T, class DY>
std::array<std::array<index, 4>, 3> check_gradient_shapes(std::string_view function, const view<T>& q,
                                                          const view<T>& k, const view<T>& v,
                                                          const view<DY>& dy) {
    check_same_extents(function, "dy", dy, "the output",
                       view<T>(nullptr, check_shapes(function, q, k, v)[0], {}));
    return {q.extents, k.extents, v.extents};
}

}  // namespace heed::inline HEED_ABI::detail
