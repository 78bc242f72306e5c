// SPDX-License-Identifier: MIT
// heed/core/check.hpp: preconditions that every variant shares, found once per call
//
// Extents that are negative, too long or without memory; outputs that overlap an input, another output or
// themselves. A variant's own rules (which extents belong together) stand with the variant.
#pragma once

#include <array>
#include <initializer_list>
#include <string_view>
#include <utility>

#include <heed/core/overlap.hpp>
#include <heed/core/tensor.hpp>

namespace heed {
inline namespace HEED_ABI {
namespace detail {

// An output of scores or log-sum-exp: exactly the extents needed, axes in front may be missing.
template <class X>
table<X> exact_extents(std::string_view function, std::string_view argument, const table<X>& t,
                       const std::array<index, 4>& needed, int axes) {
    for (std::size_t axis = 0; axis < 4; ++axis)
        if (t.extents[axis] != needed[axis])
            fail(function, {argument, " is (", t.extents[0], ", ", t.extents[1], ", ", t.extents[2], ", ",
                            t.extents[3], "), needs (", needed[0], ", ", needed[1], ", ", needed[2], ", ",
                            needed[3], axes == 3 ? "), the first axis left away" : ")"});
    return t;
}

template <class T>
byte_span bytes_of(const view<T>& v) {
    return bytes_of(v.data, v.extents, v.strides);
}
template <class T>
byte_span bytes_of(const table<T>& t) {
    return bytes_of(t.data, t.extents, t.strides);
}

// What an error text calls the elements of an axis.
inline constexpr const char* axis_names[] = {"batch entries", "heads", "positions", "features"};

template <class T>
void check_extents(std::string_view function, std::string_view argument, const view<T>& v) {
    index size = 1;
    for (std::size_t axis = 0; axis < 4; ++axis) {
        if (v.extents[axis] < 0)
            fail(function, {argument, " has ", v.extents[axis], " ", axis_names[axis],
                            ", needs a number that is not negative"});
        if (v.extents[axis] > longest_axis)
            fail(function,
                 {argument, " has ", v.extents[axis], " ", axis_names[axis], ", needs at most 2^31 - 1"});
        size = checked_product(function, size, v.extents[axis]);
    }
    if (!(v.data != nullptr || size == 0)) fail(function, {argument, " has no memory (its pointer is null)"});
}

// What a call writes: each output has elements of its own, shared with no input and no other output.
struct written_list {
    static constexpr int most = 7;
    const char* names[most];
    byte_span spans[most];
    int count = 0;

    void add(const char* name, const byte_span& span) {
        names[count] = name;
        spans[count++] = span;
    }
    void validate(std::string_view function,
                  std::initializer_list<std::pair<const char*, byte_span>> inputs) const {
        for (int i = 0; i < count; ++i) {
            check_distinct_elements(function, names[i], spans[i]);
            for (const auto& [name, span] : inputs) check_overlap(function, names[i], spans[i], name, span);
            for (int j = 0; j < i; ++j) check_overlap(function, names[i], spans[i], names[j], spans[j]);
        }
    }
    void check_read_by_options(std::string_view function, const auto&... options) const {
        for (int i = 0; i < count; ++i)
            detail::check_read_by_options(function, names[i], spans[i], options...);
    }
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

// q, k, v (and y) fit together.
template <class Y, class Q>
void check_shapes(std::string_view function, const view<Q>& q, const view<Q>& k, const view<Q>& v,
                  const view<Y>* y) {
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
    if (y == nullptr) return;
    check_extents(function, "y", *y);
    if (!(y->batch() == q.batch()))
        fail(function, {"y has ", y->batch(), " batch entries, q has ", q.batch()});
    if (!(y->heads() == q.heads())) fail(function, {"y has ", y->heads(), " heads, q has ", q.heads()});
    if (!(y->positions() == q.positions()))
        fail(function, {"y has ", y->positions(), " positions, q has ", q.positions()});
    if (!(y->features() == v.features()))
        fail(function, {"y has ", y->features(), " features, v has ", v.features()});
    const byte_span out = bytes_of(*y);
    check_distinct_elements(function, "y", out);
    if (!(same_elements(out, bytes_of(q)) || !overlap(out, bytes_of(q))))
        fail(function, {"y overlaps q, needs to be q itself or memory of its own"});
    check_overlap(function, "y", out, "k", bytes_of(k));
    check_overlap(function, "y", out, "v", bytes_of(v));
}

}  // namespace detail
}  // namespace HEED_ABI
}  // namespace heed
