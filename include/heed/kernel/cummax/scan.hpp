// SPDX-License-Identifier: MIT
// heed/kernel/cummax/scan.hpp: the running maximum alone, as a form of the walk, with its index and backward
#pragma once

#include <cstdint>

#include <heed/kernel/cummax/call.hpp>

namespace heed::inline HEED_ABI::detail {

// Rows that a task walks along lanes, and positions of a step: a few long runs suit the memory.
inline constexpr index lane_rows = 4;
inline constexpr index lane_step = 2048;
// Features that a task walks at most where lanes run over features.
inline constexpr index max_features = 1024;

// Writes y where there is one; else only the state moves on.
template <class E>
struct cummax_scan_form : cummax_form<E> {
    using T = typename cummax_leaves<E>::T;
    using in_rows = cummax_rows<const T>;
    using out_rows = cummax_rows<T>;
    using cummax_form<E>::io;

    strided<const E> x;
    stored_or_sum<const E, const T> g;
    strided<E> y, dx;
    bool by_lanes = false;  // a forward whose positions are neighbours

    in_rows source(const cummax_slice& at, index head, index t, index n, T* buffer) const {
        return io.read(x, at, head, t, n, buffer);
    }
    // Positions t to t + n along lanes: where they stand, or converted into buffers, [feature][position].
    // `rows` says where indices go, if anywhere; `leaf` is which of the table's.
    void scan_lanes(const cummax_slice& at, index t, index n, const strided<E>& to, T* state, T* buffer,
                    cummax_lanes<T> rows, int leaf) const {
        rows.rows = at.features;
        rows.count = n;
        rows.max = state;
        rows.back = x.stride[2] < 0;
        const E* const from = x.row(at.batch, at.head, t) + at.feature * x.stride[3];
        E* const home =
            to.data == nullptr ? nullptr : to.row(at.batch, at.head, t) + at.feature * to.stride[3];
        if constexpr (std::is_same_v<E, T>) {
            rows.from = from, rows.from_stride = x.stride[3];
            rows.to = home, rows.to_stride = to.stride[3];
            io.leaf->scan_lanes[leaf](rows);
        } else {
            const index lowest = rows.back ? 1 - n : 0;  // where a row begins in memory
            io.leaf->widen(from + lowest, x.stride[3], 1, at.features, n, buffer, n);
            rows.from = buffer - lowest, rows.from_stride = n;
            if (home != nullptr) rows.to = buffer - lowest, rows.to_stride = n;
            io.leaf->scan_lanes[leaf](rows);
            for (index f = 0; f < at.features && home != nullptr; ++f)
                io.leaf->narrow(buffer + f * n, n, home + lowest + f * to.stride[3], 1);
        }
    }
    index step(const cummax_plan& plan) const { return by_lanes ? lane_step : cummax_step(plan); }
    static index forward_scratch(const cummax_plan& plan, index step_) { return 2 * step_ * plan.pad; }
    void forward(const cummax_plan& plan, const cummax_slice& at, index t, index n, T* state,
                 cummax_scratch<T> mine) const {
        if (by_lanes) return scan_lanes(at, t, n, y, state, mine.next, cummax_lanes<T>{}, 0);
        T* const buffer = mine.take(n * plan.pad);
        if (y.data == nullptr) return largest(*this, plan, at, t, t + n, n, state, buffer);
        T* const y_buffer = mine.take(n * plan.pad);
        const in_rows in[] = {{state, 0}, source(at, 0, t, n, buffer)};
        const out_rows out[] = {{state, 0}, io.write(y, at, 0, t, y_buffer)};
        io.leaf->scan(in, out, nullptr, n, at.features);
        io.finish(y, at, 0, t, n, y_buffer);
    }

    static constexpr index buffers = 4;
    static constexpr bool keeps_source = true;
    void gradients(const cummax_plan&, const cummax_slice& at, index t, index n, T*, T* de, double*, T*,
                   cummax_scratch<T>) const {
        io.copy(g, at, 0, t, n, de);
    }
    out_rows target(const cummax_plan&, const cummax_slice& at, index h, index t, T* buffer) const {
        return io.write(dx, at, h, t, buffer);
    }
    void routed(const cummax_plan&, const cummax_slice& at, index h, index t, index n, out_rows to, T*,
                cummax_scratch<T>) const {
        io.finish(dx, at, h, t, n, to.data);
    }
};

// Do lanes run over positions? Where they are neighbours, in all tensors of a forward.
template <class T, class... Others>
bool along_lanes(const view<T>& x, const Others&... others) {
    const index stride = x.strides[2];
    return (stride == 1 || stride == -1) && (x.strides[3] != 1 || x.features() == 1) &&
           ((others.strides[2] == stride) && ...);
}

template <class E, class T>
cummax_scan_form<E> scan_form(const view<const T>& x, index together, cummax_plan& plan) {
    plan = cummax_plan(x.batch(), x.heads(), x.positions(), x.features(), false, together);
    cummax_scan_form<E> form;
    form.x = strided_of<E>(x);
    return form;
}

// A forward over x; the others are what it writes.
template <class E, class T, class... Others>
cummax_scan_form<E> forward_scan_form(cummax_plan& plan, const view<const T>& x, const Others&... others) {
    const bool by_lanes = along_lanes(x, others...);
    auto form = scan_form<E>(x, by_lanes ? lane_rows : features_together(max_features, x, others...), plan);
    form.by_lanes = by_lanes;
    return form;
}

// What a scan runs along, and in which direction.
struct scan_direction {
    along::axis axis;
    bool back;
};
template <class T, class... Options>
scan_direction scan_axis(std::string_view function, const view<const T>& x, const Options&... options) {
    constexpr int reversed_times = count_of<option_kind::direction, Options...>;
    return {axis_of(function, x.positions(), x.heads(), options...), reversed_times > 0};
}
// Tensors whose positions are the elements of the axis, others joined where all hold them as one.
template <class... X>
std::tuple<X...> scan_rows(const scan_direction& d, const X&... x) {
    std::tuple<X...> rows(permuted(x, d.axis, d.back)...);
    std::apply([](auto&... each) { join_rows(each...); }, rows);
    return rows;
}

struct cummax_scan_call : cummax_call {
    HEED_CALL("cummax", "y", "x", "", "it takes along, reverse, on and use, and no mask");
    static constexpr bool takes(option_kind kind) {
        return is_among(kind,
                        {option_kind::along, option_kind::direction, option_kind::on, option_kind::use});
    }
    template <class T, class... Options>
    static void run(std::string_view function, call_memory& used, const view<T>& y, const view<const T>& x,
                    const Options&... options) {
        using E = storage_t<T>;
        used.validate(options...);
        const auto [from, to] = scan_rows(scan_axis(function, x, options...), x, y);
        cummax_plan plan;
        auto form = forward_scan_form<E>(plan, from, to);
        form.y = strided_of<E>(to);
        run_forward(form, plan, {}, options...);
    }
};

struct cummax_scan_backward_call : cummax_scan_call {
    HEED_CALL("cummax_backward", "dx", "x", "dy", "it takes along, reverse, on and use, and no mask");
    static constexpr const char* replaces = nullptr;
    template <class T, class DY, class... Options>
    static void run(std::string_view function, call_memory& used, const view<T>& dx, const view<const T>& x,
                    const view<DY>& dy, const Options&... options) {
        using E = storage_t<T>;
        used.validate(options...);
        const auto [from, g, to] = scan_rows(scan_axis(function, x, options...), x, dy, dx);
        cummax_plan plan;
        auto form = scan_form<E>(from, features_together(128, from, g, to), plan);
        form.g = stored_or_sum_of<T>(g);
        form.dx = strided_of<E>(to);
        run_backward(form, plan, {}, [](const double*) {}, options...);
    }
};

// The state alone: the maximum of x joins it.
struct cummax_absorb_call : cummax_call {
    HEED_CALL("cummax_state::absorb", "", "o", "", "it takes on and use");
    static constexpr bool takes(option_kind kind) {
        return is_among(kind, {option_kind::on, option_kind::use});
    }
};
template <class T, class... Options>
void run_largest(std::string_view function, const view<const T>& x, const Options&... options) {
    using E = storage_t<T>;
    check_extents(function, "o", x);
    call_memory used(function);
    used.reads("o", bytes_of(x));
    const auto states = states_of<sum_t<T>>(function, used, state_extents(x.extents), options...);
    used.validate();
    cummax_plan plan;
    auto form = forward_scan_form<E>(plan, x);
    run_forward(form, plan, states, options...);
}

}  // namespace heed::inline HEED_ABI::detail
