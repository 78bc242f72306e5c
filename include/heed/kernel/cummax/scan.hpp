// SPDX-License-Identifier: MIT
// heed/kernel/cummax/scan.hpp: the running maximum alone, as a form of the walk, with its index and backward
#pragma once

#include <cstdint>

#include <heed/kernel/cummax/backward.hpp>
#include <heed/kernel/cummax/call.hpp>
#include <heed/kernel/cummax/kernels.hpp>

namespace heed {
inline namespace HEED_ABI {
namespace detail {

// Writes y where there is one; else only the state moves on.
template <class E>
struct cummax_scan_form : cummax_form<E> {
    using T = typename cummax_leaves<E>::T;
    using in_rows = cummax_rows<const T>;
    using out_rows = cummax_rows<T>;
    using cummax_form<E>::io;

    strided<const E> x, g;
    strided<E> y, dx;

    in_rows source(const cummax_place& at, index head, index t, index n, T* room) const {
        return io.read(x, at, head, t, n, room);
    }
    void largest(const cummax_plan& plan, const cummax_place& at, index first, index last, index step_,
                 T* most, T* room) const {
        this->largest_of(*this, plan, at, first, last, step_, most, room);
    }
    static index step(const cummax_plan& plan) { return cummax_step(plan); }
    static index forward_scratch(const cummax_plan& plan, index step_) { return 2 * step_ * plan.pad; }
    void forward(const cummax_plan& plan, const cummax_place& at, index t, index n, T* state,
                 cummax_scratch<T> mine) const {
        T* const room = mine.take(n * plan.pad);
        if (y.data == nullptr) return largest(plan, at, t, t + n, n, state, room);
        T* const room_y = mine.take(n * plan.pad);
        const in_rows in[] = {{state, 0}, source(at, 0, t, n, room)};
        const out_rows out[] = {{state, 0}, io.write(y, at, 0, t, room_y)};
        io.leaf->scan(in, out, nullptr, n, at.features);
        io.finish(y, at, 0, t, n, room_y);
    }

    static constexpr index rooms = 4;
    static constexpr index sums = 0;
    static index backward_scratch(const cummax_plan&) { return 0; }
    void gradients(const cummax_plan& plan, const cummax_place& at, index t, index n, T*, T* de, double*, T*,
                   cummax_scratch<T>) const {
        io.leaf->widen(g.row(at.batch, at.head, t) + at.feature * g.stride[3], g.stride[2], g.stride[3], n,
                       at.features, de, plan.pad);
    }
    out_rows target(const cummax_plan&, const cummax_place& at, index h, index t, T* room) const {
        return io.write(dx, at, h, t, room);
    }
    void routed(const cummax_plan&, const cummax_place& at, index h, index t, index n, out_rows to, T*,
                cummax_scratch<T>) const {
        io.finish(dx, at, h, t, n, to.data);
    }
};

using cummax_scan_options =
    cummax_options<option_kind::along, option_kind::direction, option_kind::on, option_kind::use>;

template <class E, class T>
cummax_scan_form<E> scan_form(const view<const T>& x, cummax_plan& plan) {
    plan = cummax_plan(x.batch(), x.heads(), x.positions(), x.features(), false, 128);
    cummax_scan_form<E> form;
    form.io.leaf = &cummax_leaves_on_target<E>();
    form.io.pad = plan.pad;
    form.x = strided_of<E>(x);
    return form;
}

template <class T, class... Options>
void run_cummax(std::string_view function, const view<T>& y, const view<const T>& x,
                const Options&... options) {
    using E = storage_t<T>;
    check_extents(function, "x", x);
    check_same_extents(function, "y", y, "x", x);
    call_memory memory(function);
    memory.reads("x", bytes_of(x));
    memory.replaces("y", bytes_of(y));
    memory.validate(options...);
    const along::axis axis = axis_of(function, x.positions(), x.heads(), options...);
    constexpr bool back = count_of < option_kind::direction, Options... >> 0;
    cummax_plan plan;
    auto form = scan_form<E>(turned(x, axis, back), plan);
    form.y = strided_of<E>(turned(y, axis, back));
    with_resources([&](const auto* device_, workspace& w) { walk_forward(form, plan, {}, device_, w); },
                   options...);
}

template <class T, class... Options>
void run_cummax_backward(std::string_view function, const view<T>& dx, const view<const T>& dy,
                         const view<const T>& x, const Options&... options) {
    using E = storage_t<T>;
    check_extents(function, "x", x);
    check_same_extents(function, "dy", dy, "x", x);
    check_same_extents(function, "dx", dx, "x", x);
    call_memory memory(function);
    memory.reads("x", bytes_of(x));
    memory.reads("dy", bytes_of(dy));
    memory.writes("dx", bytes_of(dx));
    memory.validate(options...);
    const along::axis axis = axis_of(function, x.positions(), x.heads(), options...);
    constexpr bool back = count_of < option_kind::direction, Options... >> 0;
    cummax_plan plan;
    auto form = scan_form<E>(turned(x, axis, back), plan);
    form.g = strided_of<E>(turned(dy, axis, back));
    form.dx = strided_of<E>(turned(dx, axis, back));
    with_resources(
        [&](const auto* device_, workspace& w) {
            double* none = nullptr;
            walk_backward(form, plan, {}, device_, w, none);
        },
        options...);
}

// The state alone: the maximum of x joins it.
template <class T, class... Options>
void run_largest(std::string_view function, const view<const T>& x, const Options&... options) {
    using E = storage_t<T>;
    check_extents(function, "o", x);
    call_memory memory(function);
    memory.reads("o", bytes_of(x));
    const auto states = states_of<sum_t<T>>(function, x.extents, memory, options...);
    memory.validate();
    cummax_plan plan;
    const auto form = scan_form<E>(x, plan);
    with_resources([&](const auto* device_, workspace& w) { walk_forward(form, plan, states, device_, w); },
                   options...);
}

// Values and indices; a thread walks whole chains.
template <class T, class Int, class... Options>
void run_cummax_with_index(std::string_view function, const view<T>& y, const table<Int>& indices,
                           const view<const T>& x, const Options&... options) {
    using E = storage_t<T>;
    using S = sum_t<T>;
    check_extents(function, "x", x);
    check_same_extents(function, "values", y, "x", x);
    for (std::size_t axis = 0; axis < 4; ++axis)
        if (indices.extents[axis] != x.extents[axis])
            fail(function, {"indices is (", indices.extents[0], ", ", indices.extents[1], ", ",
                            indices.extents[2], ", ", indices.extents[3], "), x is (", x.extents[0], ", ",
                            x.extents[1], ", ", x.extents[2], ", ", x.extents[3], ")"});
    call_memory memory(function);
    memory.reads("x", bytes_of(x));
    memory.replaces("values", bytes_of(y));
    memory.writes("indices", bytes_of(indices));
    memory.validate(options...);
    const along::axis axis = axis_of(function, x.positions(), x.heads(), options...);
    constexpr bool back = count_of < option_kind::direction, Options... >> 0;
    cummax_plan plan;
    auto form = scan_form<E>(turned(x, axis, back), plan);
    form.y = strided_of<E>(turned(y, axis, back));
    table<Int> to = indices;
    if (axis == along::axis::head)
        std::swap(to.extents[1], to.extents[2]), std::swap(to.strides[1], to.strides[2]);
    if (axis == along::axis::feature)
        std::swap(to.extents[2], to.extents[3]), std::swap(to.strides[2], to.strides[3]);
    const auto run = [&](const auto* device_, workspace& w) {
        if (plan.chains == 0 || plan.positions == 0) return;
        const index step = cummax_step(plan);
        const index room = step * plan.pad;
        index lanes = lanes_of(device_);
        if (lanes > plan.chains) lanes = plan.chains;
        const std::size_t each = static_cast<std::size_t>(3 * room + 3 * plan.pad) * sizeof(S);
        char* const base = static_cast<char*>(w.reserve(each * static_cast<std::size_t>(lanes)));
        for_each_task(device_, lanes, plan.chains, [&](index lane, index chain) {
            const cummax_place at(plan, chain);
            cummax_scratch<S> mine{reinterpret_cast<S*>(base + each * static_cast<std::size_t>(lane))};
            S* const state = mine.take(plan.pad);
            S* const place = mine.take(plan.pad);
            S* const now = mine.take(plan.pad);
            S* const room_x = mine.take(room);
            S* const room_y = mine.take(room);
            S* const places = mine.take(room);
            using integer = typename constants<S>::integer;
            fill(state, plan.pad, minus_infinity<S>());
            fill(place, plan.pad, scalar::float_of(integer{0}));
            fill(now, plan.pad, scalar::float_of(static_cast<integer>(back ? plan.positions - 1 : 0)));
            const S one = scalar::float_of(static_cast<integer>(back ? -1 : 1));
            for (index t = 0; t < plan.positions; t += step) {
                const index n = plan.positions - t < step ? plan.positions - t : step;
                const cummax_rows<const S> in[] = {
                    {state, 0}, form.source(at, 0, t, n, room_x), {place, 0}, {now, 0}};
                const cummax_rows<S> out[] = {{state, 0},
                                              form.io.write(form.y, at, 0, t, room_y),
                                              {place, 0},
                                              {now, 0},
                                              {places, plan.pad}};
                form.io.leaf->scan_index(in, out, &one, n, at.features);
                form.io.finish(form.y, at, 0, t, n, room_y);
                for (index r = 0; r < n; ++r) {
                    const index position = back ? plan.positions - 1 - t - r : t + r;
                    Int* const row = to.data + at.batch * to.strides[0] + at.head * to.strides[1] +
                                     position * to.strides[2] + at.feature * to.strides[3];
                    for (index f = 0; f < at.features; ++f)
                        row[f * to.strides[3]] = static_cast<Int>(scalar::bits_of(places[r * plan.pad + f]));
                }
            }
        });
    };
    with_resources(run, options...);
}

}  // namespace detail
}  // namespace HEED_ABI
}  // namespace heed
