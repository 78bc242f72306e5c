// SPDX-License-Identifier: MIT
// heed/kernel/cummax/scan_index.hpp: the running maximum with the index of each along its axis
#pragma once

#include <heed/kernel/cummax/scan.hpp>

namespace heed::inline HEED_ABI::detail {

// A chain of the walk with indices; a thread walks whole chains. Index is as wide as the caller's integers.
template <class E, class Index>
struct cummax_index_walk {
    using S = typename cummax_leaves<E>::T;
    using integer = typename constants<S>::integer;
    static constexpr int wide = sizeof(Index) == 8;

    const cummax_scan_form<E>& form;
    const cummax_plan& plan;
    strided<Index> indices;
    bool back;  // indices go down

    static index scratch(const cummax_plan& plan_, index step) {
        return 3 * step * plan_.pad + 3 * plan_.pad;
    }

    void operator()(index chain, index step, cummax_scratch<S> mine) const {
        const cummax_slice at(plan, chain);
        S* const state = mine.take(plan.pad);
        S* const argmax = mine.take(plan.pad);
        fill(state, plan.pad, minus_infinity<S>());
        fill(argmax, plan.pad, scalar::float_of(static_cast<integer>(back ? plan.positions - 1 : 0)));
        for (index t = 0; t < plan.positions; t += step) {
            const index n = plan.positions - t < step ? plan.positions - t : step;
            const index number = back ? plan.positions - 1 - t : t;
            Index* const to = indices.row(at.batch, at.head, t) + at.feature * indices.stride[3];
            if (form.by_lanes)
                lanes(at, t, n, number, to, state, argmax, mine);
            else
                features(at, t, n, number, to, state, argmax, mine);
        }
    }

private:
    void lanes(const cummax_slice& at, index t, index n, index number, Index* to, S* state, S* argmax,
               cummax_scratch<S> mine) const {
        cummax_lanes<S> rows;
        rows.indices = to;
        rows.index_stride = indices.stride[3];
        rows.argmax = argmax;
        rows.first = number;
        form.scan_lanes(at, t, n, form.y, state, mine.next, rows, 1 + wide);
    }
    void features(const cummax_slice& at, index t, index n, index number, Index* to, S* state, S* argmax,
                  cummax_scratch<S> mine) const {
        S* const now = mine.take(plan.pad);
        S* const x_buffer = mine.take(n * plan.pad);
        S* const y_buffer = mine.take(n * plan.pad);
        cummax_rows<S> found{mine.take(n * plan.pad), plan.pad};
        const bool there = sizeof(Index) == sizeof(S) && indices.stride[3] == 1;
        if (there) found = {reinterpret_cast<S*>(to), indices.stride[2]};
        fill(now, plan.pad, scalar::float_of(static_cast<integer>(number)));
        const S one = scalar::float_of(static_cast<integer>(back ? -1 : 1));
        const cummax_rows<const S> in[] = {
            {state, 0}, form.source(at, 0, t, n, x_buffer), {argmax, 0}, {now, 0}};
        const cummax_rows<S> out[] = {
            {state, 0}, form.io.write(form.y, at, 0, t, y_buffer), {argmax, 0}, {now, 0}, found};
        form.io.leaf->scan_index(in, out, &one, n, at.features);
        form.io.finish(form.y, at, 0, t, n, y_buffer);
        if (!there)
            form.io.leaf->write_indices[wide](found.data, found.stride, n, at.features, to, indices.stride[2],
                                              indices.stride[3]);
    }
};

template <class Int>
struct cummax_index_call : cummax_scan_call {
    HEED_CALL("cummax_with_index", "values", "x", "", "it takes along, reverse, on and use, and no mask");
    table<Int> indices;

    template <class T>
    std::array<call_extents, 1> shapes(std::string_view function, const view<const T>& x) const {
        check_extents(function, "x", x);
        for (std::size_t axis = 0; axis < 4; ++axis)
            if (indices.extents[axis] != x.extents[axis])
                fail(function, {"indices is (", indices.extents[0], ", ", indices.extents[1], ", ",
                                indices.extents[2], ", ", indices.extents[3], "), x is (", x.extents[0], ", ",
                                x.extents[1], ", ", x.extents[2], ", ", x.extents[3], ")"});
        return {x.extents};
    }
    template <class T, class... Options>
    void run(std::string_view function, call_memory& used, const view<T>& y, const view<const T>& x,
             const Options&... options) const {
        using E = storage_t<T>;
        using S = sum_t<T>;
        using Index = std::conditional_t<sizeof(Int) == 8, std::int64_t, std::int32_t>;
        used.writes("indices", bytes_of(indices));
        used.validate(options...);
        const scan_direction direction = scan_axis(function, x, options...);
        const auto [from, to, numbers] = scan_rows(direction, x, y, indices);
        cummax_plan plan;
        auto form = forward_scan_form<E>(plan, from, to, numbers);
        form.y = strided_of<E>(to);
        const cummax_index_walk<E, Index> walk{
            form,
            plan,
            {reinterpret_cast<Index*>(numbers.data),
             {numbers.strides[0], numbers.strides[1], numbers.strides[2], numbers.strides[3]}},
            direction.back};
        run_form(
            form, plan,
            [&](const device_ref device_, workspace& scratch) {
                if (plan.chains == 0 || plan.positions == 0) return;
                const index step = form.step(plan);
                index lanes = device_.lanes();
                if (lanes > plan.chains) lanes = plan.chains;
                const std::size_t each = static_cast<std::size_t>(walk.scratch(plan, step)) * sizeof(S);
                char* const base =
                    static_cast<char*>(scratch.reserve(each * static_cast<std::size_t>(lanes)));
                for_each_task(device_, lanes, plan.chains, [&](index lane, index chain) {
                    walk(chain, step, {reinterpret_cast<S*>(base + each * static_cast<std::size_t>(lane))});
                });
            },
            options...);
    }
};

}  // namespace heed::inline HEED_ABI::detail
