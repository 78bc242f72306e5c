// SPDX-License-Identifier: MIT
// heed/kernel/rotary.hpp: the checks and the loop of rotary position embedding
//
// One angle serves every head of a position, so the loop goes head by head over rows of `pairs` angles.
// Memory bound: four multiplications for two elements read and written, plain loops that a compiler may
// vectorise.
#pragma once

#include <heed/core/call.hpp>
#include <heed/core/numbers.hpp>

namespace heed::inline HEED_ABI::detail {

struct interleaved_option : option<option_kind::pairing> {};

template <class Int>
struct positions_option : option<option_kind::positions> {
    number_span<Int> ids;
    explicit positions_option(const number_span<Int>& i) : ids(i) {}
};

// The row of the caches that belongs to a position: the position itself, or its id.
template <class Int>
struct cache_rows {
    number_span<Int> ids{};
    index batch_stride = 0;
    index operator()(index batch, index position) const {
        return ids.data == nullptr ? position : ids[batch * batch_stride + position];
    }
};

// Where the two elements of pair i stand: i * step and i * step + gap.
struct pairing {
    index step;
    index gap;
};

// One row; y may be x. The sine's sign turns the other way round for the backward.
template <class S, class T, class C, class D>
void rotate_row(T* y, index y_stride, const T* x, index x_stride, const C* cos, index cos_stride,
                const D* sin, index sin_stride, S sign, index pairs, pairing p, index features) {
    for (index i = 0; i < pairs; ++i) {
        const S c = static_cast<S>(cos[i * cos_stride]);
        const S s = sign * static_cast<S>(sin[i * sin_stride]);
        const S a = static_cast<S>(x[i * p.step * x_stride]);
        const S b = static_cast<S>(x[(i * p.step + p.gap) * x_stride]);
        y[i * p.step * y_stride] = static_cast<T>(a * c - b * s);
        y[(i * p.step + p.gap) * y_stride] = static_cast<T>(b * c + a * s);
    }
    for (index f = 2 * pairs; f < features; ++f) y[f * y_stride] = x[f * x_stride];
}

template <class C>
void check_cache(std::string_view function, std::string_view argument, const view<C>& t, const char* input,
                 const call_extents& x, bool has_ids) {
    const index batch = x[0], rows = x[2], features = x[3];
    if (!(t.extents[0] == 1 && (t.extents[1] == 1 || (t.extents[1] == batch && !has_ids))))
        fail(function,
             {argument, " is (", t.extents[0], ", ", t.extents[1], ", ", t.extents[2], ", ", t.extents[3],
              has_ids ? "), needs (position, pairs) to look ids up in"
                      : "), needs (position, pairs) or (batch, position, pairs)"});
    if (!has_ids && t.extents[2] < rows)
        fail(function,
             {argument, " has ", t.extents[2], " positions, needs the ", rows, " of ", input, " or more"});
    if (2 * t.extents[3] > features)
        fail(function, {argument, " has ", t.extents[3], " angles a position, needs at most half of the ",
                        features, " features of ", input});
}

// y = x turned by angles whose sine is multiplied by `sign`; `input` is what an error text calls x.
template <class T, class C, class D, class... Options>
void rotate(std::string_view function, const char* input, call_memory& used, const view<T>& y,
            const view<const T>& x, const view<C>& cos, const view<D>& sin, sum_t<T> sign,
            const Options&... options) {
    using S = sum_t<T>;
    const auto& positions_ = pick<option_kind::positions>(options...);
    constexpr bool has_ids = !is_absent<decltype(positions_)>;
    check_cache(function, "cos", cos, input, x.extents, has_ids);
    check_cache(function, "sin", sin, input, x.extents, has_ids);
    for (std::size_t axis = 1; axis < 4; ++axis)
        if (sin.extents[axis] != cos.extents[axis])
            fail(function, {"sin is (", sin.extents[1], ", ", sin.extents[2], ", ", sin.extents[3],
                            "), cos is (", cos.extents[1], ", ", cos.extents[2], ", ", cos.extents[3], ")"});
    const auto row_of = [&] {
        if constexpr (has_ids) {
            const auto& ids = positions_.ids;
            using Int = element_t<decltype(ids)>;
            const index n = x.positions();
            if (!(ids.size == n || ids.size == x.batch() * n))
                fail(function, {"positions has ", ids.size, " ids, needs ", n, " or ", x.batch(), " x ", n});
            for (index i = 0; i < ids.size; ++i)
                if (!(ids[i] >= 0 && ids[i] < cos.extents[2]))
                    fail(function, {"positions[", i, "] is ", ids[i], ", needs a row of the ", cos.extents[2],
                                    " of cos and sin"});
            used.reads("the positions", bytes_of(ids.data, {1, 1, 1, ids.size}, {0, 0, 0, 1}));
            return cache_rows<Int>{ids, ids.size == n ? 0 : n};
        } else {
            return cache_rows<int>{};
        }
    }();
    used.validate();

    const index pairs = cos.extents[3];
    const bool neighbours = !is_absent<decltype(pick<option_kind::pairing>(options...))>;
    const pairing pair = neighbours ? pairing{2, 1} : pairing{1, pairs};
    const index cos_batch = cos.extents[1] == 1 ? 0 : cos.strides[1];
    const index sin_batch = sin.extents[1] == 1 ? 0 : sin.strides[1];
    if (x.size() == 0) return;
    const auto head = [&](index, index task) {
        const index b = task / x.heads();
        const index h = task % x.heads();
        for (index n = 0; n < x.positions(); ++n) {
            const index row = row_of(b, n);
            rotate_row<S>(&y(b, h, n, 0), y.strides[3], &x(b, h, n, 0), x.strides[3],
                          cos.data + b * cos_batch + row * cos.strides[2], cos.strides[3],
                          sin.data + b * sin_batch + row * sin.strides[2], sin.strides[3], sign, pairs, pair,
                          x.features());
        }
    };
    const device_ref device_ = device_of(options...);
    for_each_task(device_, device_.lanes(), x.batch() * x.heads(), head);
}

}  // namespace heed::inline HEED_ABI::detail
