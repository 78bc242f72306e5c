// SPDX-License-Identifier: MIT
// heed/score/bias.hpp: a tensor added to the scores, s = s + bias
//
// The tensor broadcasts right-aligned to (batch, head, query, key); -inf hides the key. A sum that would
// overflow stops at the largest finite number, so that only -inf itself hides.
#pragma once

#include <heed/core/broadcast.hpp>
#include <heed/mask/read_block.hpp>
#include <heed/score/concept.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

template <class S>
struct bound_bias {
    table<const S> values;

    template <class T>
    struct added {
        T values[most_rows][most_lanes];
        HEED_INLINE T operator()(T s, at, lane_pos x) const { return bounded_sum(s, values[x.row][x.lane]); }
    };
    template <class T>
    added<T> lanes(const lane_block& block) const {
        added<T> a;
        const S* first = values.data + block.first.batch * values.strides[0] +
                         block.first.head * values.strides[1] + block.first.query * values.strides[2] +
                         block.first.key * values.strides[3];
        read_block(block, first, values.strides[2], values.strides[3], a.values);
        return a;
    }
};

template <class S>
struct bias_option : option<option_kind::bias> {
    table<const S> values;
    explicit bias_option(const table<const S>& v) : values(v) {}
    auto content() const { return std::tie(values); }
    const char* overlapped(const byte_span& output) const {
        return overlap(output, bytes_of(values.data, values.extents, values.strides)) ? "bias" : nullptr;
    }
    bound_bias<S> bind(std::string_view function, const problem_shape& shape) const {
        return {broadcast(function, "bias", values, shape)};
    }
};

}  // namespace detail

// Float, double, half or bfloat16. Keeps a reference to the tensor.
template <class X>
auto bias(X&& values) {
    static_assert(detail::says_its_extents<X>());
    static_assert(detail::has_elements<X>,
                  "heed::bias: needs a tensor that has its elements in memory; an expression has to be "
                  "evaluated first, a function is heed::score(f)");
    static_assert(detail::table_may_be_kept<X>,
                  "heed::bias: the tensor is a temporary and would be gone; give it a name");
    auto t = detail::as_table(values);
    using S = detail::element_t<decltype(t)>;
    static_assert(element<S>, "heed::bias: needs a tensor of numbers; a tensor of bool is heed::mask(t)");
    return detail::bias_option<S>({t.data, t.extents, t.strides, t.rank});
}

}  // namespace heed::inline HEED_ABI
