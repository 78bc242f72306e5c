// SPDX-License-Identifier: MIT
// heed/state/cummax.hpp: what cummax attention has seen, as a state
//
// The maximum of every channel so far, (batch, head, 1, feature); -inf where nothing was seen.
//
//     heed::cummax_state<float> state(batch, heads, features);
//     auto y = state.attend(o, a1, a2);        a part of a stream: its output, and the state moves on
//     state.absorb(o);                         the state alone, where the output is not wanted
//     state.merge(later);                      joins what a later part has seen
//
// The empty state is the identity. merge is associative and exact: any split of a stream, absorbed in parts
// and merged in order, gives the same bits, NaN and the sign of zero included.
#pragma once

#include <heed/cummax.hpp>

namespace heed::inline HEED_ABI {

template <class T>
class cummax_state {
    static_assert(element<T>, "heed::cummax_state<T>: T is float, double, Eigen::half or Eigen::bfloat16");

public:
    using sum_type = sum_t<T>;
    using tensor = Eigen::Tensor<sum_type, 4, Eigen::RowMajor>;

    // The empty state: the identity of merge. Throws heed::error for negative extents.
    cummax_state(index batch_entries, index head_count, index feature_count)
        : maxima_(sized(batch_entries, head_count, feature_count)) {
        reset();
    }

    void reset() { maxima_.setConstant(-std::numeric_limits<sum_type>::infinity()); }

    // Takes in the positions of o, (batch, head, position, feature). on(device), use(workspace).
    template <class O, class... Options>
    void absorb(const O& o, const Options&... options) {
        constexpr bool same = std::is_same_v<detail::element_of_argument<const O>, T>;
        static_assert(same, "heed::cummax_state<T>::absorb: o holds another element type than T");
        if constexpr (detail::cummax_absorb_call::check_options<Options...>() && same)
            detail::run_largest<T>("cummax_state::absorb", as_view(o), state(maxima_), options...);
    }

    // The output of these positions, of o's kind; the state moves on. Options of cummax_attention but states.
    template <class O, class A1, class A2, class... Options>
    auto attend(const O& o, const A1& a1, const A2& a2, const Options&... options) {
        if constexpr (check_options<O, Options...>())
            return detail::make_result(detail::cummax_attend_call{}, detail::tensors(o, a1, a2),
                                       state(maxima_), options...);
    }
    template <class Y, class O, class A1, class A2, class... Options>
    void attend_into(Y&& y, const O& o, const A1& a1, const A2& a2, const Options&... options) {
        if constexpr (check_options<O, Options...>())
            detail::write_result(detail::cummax_attend_call{}, detail::tensors(std::forward<Y>(y)),
                                 detail::tensors(o, a1, a2), state(maxima_), options...);
    }

    // Joins the state of a part that comes later; the empty state changes nothing.
    void merge(const cummax_state& later) {
        for (std::size_t axis = 0; axis < 4; ++axis)
            if (maxima_.dimension(axis) != later.maxima_.dimension(axis))
                detail::fail("cummax_state::merge",
                             {"axis ", axis, " of the other state has ", later.maxima_.dimension(axis),
                              " elements, needs ", maxima_.dimension(axis)});
        const auto& leaf = detail::cummax_leaves_on_target<storage_t<sum_type>>();
        const detail::cummax_rows<const sum_type> in[] = {{maxima_.data(), 0}, {later.maxima_.data(), 0}};
        const detail::cummax_rows<sum_type> out[] = {{maxima_.data(), 0}};
        leaf.later(in, out, nullptr, 1, static_cast<index>(maxima_.size()));
    }

    // The maxima so far, (batch, head, 1, feature), in the element type. y needs memory of its own.
    template <class Y>
    void finish_into(Y&& y) const {
        const auto to = as_view(y);
        static_assert(detail::table_may_be_kept<Y>,
                      "heed::cummax_state::finish_into: y is a temporary, and the result would be gone");
        static_assert(!detail::is_read_only<Y>,
                      "heed::cummax_state::finish_into: y is written, and this tensor is const");
        for (std::size_t axis = 0; axis < 4; ++axis)
            if (to.extents[axis] != maxima_.dimension(axis))
                detail::fail("cummax_state::finish_into", {"axis ", axis, " of y has ", to.extents[axis],
                                                           " elements, needs ", maxima_.dimension(axis)});
        detail::call_memory used("cummax_state::finish_into");
        used.reads("the state", detail::bytes_of(detail::as_table(maxima_)));
        used.writes("y", detail::bytes_of(to));
        used.validate();
        using Element = detail::stored_t<decltype(to)>;
        for (index b = 0; b < to.batch(); ++b)
            for (index h = 0; h < to.heads(); ++h)
                for (index f = 0; f < to.features(); ++f)
                    to(b, h, 0, f) = static_cast<Element>(maxima_(b, h, 0, f));
    }

    const tensor& maxima() const { return maxima_; }

private:
    template <class O, class... Options>
    static constexpr bool check_options() {
        constexpr bool stateless = detail::count_of<option_kind::state, Options...> +
                                       detail::count_of<option_kind::initial_state, Options...> +
                                       detail::count_of<option_kind::final_state, Options...> ==
                                   0;
        static_assert(stateless,
                      "heed::cummax_state::attend: the state is the object's own; read it with maxima()");
        constexpr bool same = std::is_same_v<sum_t<detail::element_of_argument<const O>>, sum_type>;
        static_assert(same, "heed::cummax_state<T>::attend: o is summed in another type than T");
        return stateless && same;
    }
    static tensor sized(index batch, index heads, index features) {
        detail::check_axis("cummax_state", "batch", batch);
        detail::check_axis("cummax_state", "heads", heads);
        detail::check_axis("cummax_state", "features", features);
        detail::checked_product("cummax_state", {batch, heads, features});
        return tensor(batch, heads, 1, features);
    }

    tensor maxima_;
};

}  // namespace heed::inline HEED_ABI
