// SPDX-License-Identifier: MIT
// heed/state/linear.hpp: linear attention as a state that takes in keys and joins with what comes later
//
// What linear attention has seen of its keys is S, the sum of phi(k) v^T, and z, the sum of phi(k). With a
// decay or the delta rule later keys also change what came before, linearly: a part of a sequence is then
// (M, S), and a part a followed by b is (M_b M_a, M_b S_a + S_b). The empty state (I, 0) is the identity;
// any split of a sequence gives the same result up to rounding, and joining is associative.
//
//     heed::linear_state<float> state(batch, kv_heads, features, value_features);
//     state.absorb(k, v);                      the options of heed::linear_attention's rules and maps
//     state.merge(later);
//     state.finish_into(y, q);                 q and y (batch, head, query, …), no mask
//
// Memory: features x (value_features + 1) numbers a head, and features x features more once a decay or a
// delta was absorbed.
#pragma once

#include <heed/linear.hpp>

namespace heed::inline HEED_ABI {

template <class T>
class linear_state {
    static_assert(element<T>, "heed::linear_state<T>: T is float, double, Eigen::half or Eigen::bfloat16");

public:
    using sum_type = sum_t<T>;
    using tensor = Eigen::Tensor<sum_type, 4, Eigen::RowMajor>;

    // The empty state. `features` counts them after the map: those of k for elu1, relu and their like.
    linear_state(index batch, index kv_heads, index features, index value_features)
        : sums_(checked(batch, kv_heads, features, value_features), kv_heads, features, value_features + 1) {
        reset();
    }

    void reset() {
        sums_.setZero();
        transition_.resize(0, 0, 0, 0);
        relative_ = false;
    }

    // Takes in keys (batch, kv_head, position, feature) and values after all that came before. Options: a
    // feature map, decay, delta, on, use. Throws heed::error when shapes differ from the state's.
    template <class K, class V, class... Options>
    void absorb(const K& k, const V& v, const Options&... options) {
        using all = decltype(detail::all_options(options...));
        constexpr bool delta = detail::tuple_has<option_kind::delta, all>;
        static_assert(!detail::tuple_has<option_kind::normalisation, all> &&
                          !detail::tuple_has<option_kind::scale, all>,
                      "heed::linear_state::absorb: a normaliser and a scale belong to finish_into");
        const view<const T> keys(as_view(k));
        const view<const T> values(as_view(v));
        if (values.features() != value_features())
            detail::fail("linear_state::absorb",
                         {"v has ", values.features(), " features, the state has ", value_features()});
        // On copies: a call that throws leaves the state as it was.
        tensor sums = sums_;
        constexpr bool moves = delta || detail::tuple_has<option_kind::decay, all>;
        if (moves && relative_) make_absolute(sums);
        if constexpr (delta)
            take(keys, values, as_view(sums).slice_features(0, value_features()), options...);
        else
            take(keys, values, as_view(sums), normalised, options...);
        if constexpr (moves) {
            // M moves as S does where the values are zero.
            const T zero = T(0);
            tensor moved = transition_.size() == 0 ? identity_transition() : transition_;
            take(keys, view<const T>(&zero, {keys.batch(), keys.heads(), keys.positions(), features()}, {}),
                 as_view(moved), unnormalised, options...);
            transition_ = moved;
        }
        sums_ = sums;
        relative_ = relative_ || (random_features<Options> || ...);
    }

    // Joins what a later part of the sequence has seen.
    void merge(const linear_state& later) {
        for (std::size_t axis = 0; axis < 4; ++axis)
            if (sums_.dimension(axis) != later.sums_.dimension(axis))
                detail::fail("linear_state::merge",
                             {"axis ", axis, " of the other state has ", later.sums_.dimension(axis),
                              " elements, needs ", sums_.dimension(axis)});
        relative_ = relative_ || later.relative_;
        if (later.transition_.size() == 0) {
            add(later.sums_, sums_);
            return;
        }
        if (relative_) make_absolute(sums_);
        tensor joined = later.sums_;
        joined.setZero();
        later.add_moved(sums_, joined);
        add(later.sums_, joined);
        tensor moved = later.transition_;
        if (transition_.size() != 0) {
            moved.setZero();
            later.add_moved(transition_, moved);
        }
        sums_ = joined;
        transition_ = moved;
    }

    // What the queries read from all keys so far. Options: the feature map, normalised (the default, with
    // features elu1) or unnormalised, scale, on, use. Query head h reads state h / (heads / kv_heads).
    template <class Y, class Q, class... Options>
    void finish_into(Y&& y, const Q& q, const Options&... options) const {
        static_assert(std::is_same_v<detail::element_of_argument<const Q>, T>,
                      "heed::linear_state<T>::finish_into: q holds another element type than T");
        detail::write_result(detail::read_linear_state_call<T, sum_type>{{}, as_view(sums_)},
                             detail::tensors(std::forward<Y>(y)), detail::tensors(q), options...);
    }

    // (batch, kv_head, feature, value feature), z in the last column (zero after a delta rule); of favor,
    // rows may have another form (heed/linear/features.hpp).
    const tensor& sums() const { return sums_; }
    // (batch, kv_head, feature, feature), without elements while no decay or delta was absorbed.
    const tensor& transition() const { return transition_; }

private:
    template <class O>
    static constexpr bool random_features = std::is_same_v<O, detail::favor_features>;

    index features() const { return static_cast<index>(sums_.dimension(2)); }
    index value_features() const { return static_cast<index>(sums_.dimension(3)) - 1; }

    // A causal call without query heads: only the state moves.
    template <class... Options>
    static void take(const view<const T>& k, const view<const T>& v, const view<sum_type>& into,
                     const Options&... options) {
        const view<const T> no_queries(nullptr, {k.batch(), 0, k.positions(), k.features()});
        const view<T> no_outputs(nullptr, {k.batch(), 0, k.positions(), v.features()});
        if constexpr (detail::tuple_has<option_kind::mask, decltype(detail::all_options(options...))>)
            linear_attention_into(no_outputs, no_queries, k, v, state(into), options...);
        else
            linear_attention_into(no_outputs, no_queries, k, v, state(into), causal, options...);
    }

    // Rows of favor as the sums they stand for, and such rows added to others.
    void make_absolute(tensor& sums) const {
        detail::make_absolute(sums.data(), static_cast<index>(sums.size()), value_features());
    }
    void add(const tensor& sums, tensor& to) const {
        if (relative_)
            detail::merge_relative(to.data(), sums.data(), static_cast<index>(to.size()), value_features());
        else
            to += sums;
    }

    tensor identity_transition() const {
        index size = static_cast<index>(sizeof(sum_type));
        for (const int axis : {0, 1, 2, 2})
            size = detail::checked_product("linear_state::absorb", size,
                                           static_cast<index>(sums_.dimension(axis)));
        tensor m(sums_.dimension(0), sums_.dimension(1), sums_.dimension(2), sums_.dimension(2));
        m.setZero();
        for (index i = 0; i < static_cast<index>(m.size()); i += features() * features())
            for (index f = 0; f < features(); ++f) m.data()[i + f * features() + f] = 1;
        return m;
    }
    // to += M x, head by head.
    void add_moved(const tensor& x, tensor& to) const {
        const index n = features();
        const index columns = static_cast<index>(x.dimension(3));
        for (index head = 0; n > 0 && head < static_cast<index>(transition_.size()) / (n * n); ++head)
            for (index r = 0; r < n; ++r)
                for (index i = 0; i < n; ++i) {
                    const sum_type m = transition_.data()[(head * n + r) * n + i];
                    for (index c = 0; c < columns; ++c)
                        to.data()[(head * n + r) * columns + c] += m * x.data()[(head * n + i) * columns + c];
                }
    }

    // Each extent and the bytes of all can be counted; the batch comes back.
    static index checked(index batch, index kv_heads, index features, index value_features) {
        const char* const names[] = {"batch", "kv_heads", "features", "value_features"};
        const index extents[] = {batch, kv_heads, features, value_features};
        for (int axis = 0; axis < 4; ++axis) {
            if (extents[axis] < 0)
                detail::fail("linear_state",
                             {names[axis], " is ", extents[axis], ", needs a number that is not negative"});
            if (extents[axis] > longest_axis - 1)
                detail::fail("linear_state",
                             {names[axis], " is ", extents[axis], ", needs at most 2^31 - 2"});
        }
        index size = static_cast<index>(sizeof(sum_type));
        for (const index extent : {batch, kv_heads, features, value_features + 1})
            size = detail::checked_product("linear_state", size, extent);
        return batch;
    }

    tensor sums_;
    tensor transition_;
    bool relative_ = false;  // rows may have the form of kernel/linear/relative.hpp
};

}  // namespace heed::inline HEED_ABI
