// SPDX-License-Identifier: MIT
// heed/sparse/token_pruner.hpp: tokens and heads that count little leave, layer by layer
//
// What a token counts for is the attention that all queries of all heads and layers so far paid to it, what a
// head counts for the size of its output:
//
//     I[j] += sum over h, i of weights[h, i, j]            J[h] += sum over i, f of |y[h, i, f]|
//
// After a layer the most important stay, and the others are gone from every layer that follows (a cascade):
//
//     heed::token_pruner pruner(batch, heads, tokens);
//     for (…) {                                                     the layers, on x (batch, 1, tokens, …)
//         auto y = heed::attention(q, k, v, heed::weights(w));
//         pruner.observe(w);
//         pruner.prune_tokens(0.7);                                 of those that are left
//         x = pruner.gather(x);
//     }
//
// The tokens left stand in ascending order, so causal masks hold among them; kept_tokens() says which they
// are, for heed::positions say. While a text is generated, a step adds a token and a policy bounds the cache:
//
//     pruner.append(1);  …  pruner.observe(w);
//     pruner.prune_tokens(heed::cache_policy{.sinks = 4, .important = 128, .recent = 128});
//     keys = pruner.gather(keys);
//
// Batch entries choose on their own, but keep equally many, so that tensors stay rectangular. Of equal
// importances the lower index stays. A weight that is not above 0 adds nothing, nor does a NaN: a row that
// went wrong has no vote. Sums are kept in double, in the order of heads, queries and features; they do not
// depend on the place in a batch.
//
// Cost: one pass over the weights; O(tokens left) to prune. Source: SpAtten (Wang et al., arXiv 2012.09852),
// cascade token and head pruning; the policy is the one its authors use for language models.
#pragma once

#include <cmath>
#include <limits>

#include <heed/core/broadcast.hpp>
#include <heed/core/check.hpp>
#include <heed/sparse/cascade.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

template <class X>
using gathered_element = element_of_argument<const X>;

}  // namespace detail

// Which tokens of a cache stay: the first `sinks` and the last `recent` of those it holds, and the
// `important` most important ones between them.
struct cache_policy {
    index sinks = 4, important = 128, recent = 128;
};

// T is the element type of the model: weights are float, or double where T is double.
template <class T = float>
class token_pruner {
    static_assert(element<T>, "heed::token_pruner<T>: T is float, double, Eigen::half or Eigen::bfloat16");

public:
    // All tokens and heads are there, and count for nothing yet. Throws heed::error where there is no token
    // or no head, or a number is negative or above 2^31 - 1.
    token_pruner(index batch_entries, index heads, index tokens)
        : batch_(checked_batch(batch_entries, heads, tokens)),
          tokens_(batch_, tokens),
          heads_(batch_, heads) {}

    index batch() const { return batch_; }
    index tokens() const { return tokens_.all(); }  // that ever were
    index heads() const { return heads_.all(); }
    index tokens_left() const { return tokens_.left(); }
    index heads_left() const { return heads_.left(); }

    // Which are left, ascending for each batch entry, (batch, tokens_left()) and (batch, heads_left()); and
    // what they count for so far. Valid until the next change.
    std::span<const index> kept_tokens() const { return tokens_.kept(); }
    std::span<const index> kept_heads() const { return heads_.kept(); }
    std::span<const double> token_importance() const { return tokens_.importance(); }
    std::span<const double> head_importance() const { return heads_.importance(); }

    // The weights of a layer among what is left, (batch, heads_left(), query, tokens_left()), of any number
    // of queries. Throws heed::error for other extents. Allocates nothing.
    template <class W>
    void observe(const W& weights) {
        const auto w = as_view(weights);
        using Weight = detail::element_t<decltype(w)>;
        static_assert(std::is_same_v<Weight, sum_t<T>>,
                      "heed::token_pruner<T>::observe: weights are float, or double where T is double");
        validate("token_pruner::observe", "weights", w);
        if (w.features() != tokens_left())
            detail::fail("token_pruner::observe",
                         {"weights has ", w.features(), " keys, needs the ", tokens_left(), " tokens left"});
        for (index b = 0; b < w.batch(); ++b) {
            double* const sums = tokens_.importance(b);
            for (index h = 0; h < w.heads(); ++h)
                for (index i = 0; i < w.positions(); ++i) {
                    const Weight* const row = w.data + b * w.strides[0] + h * w.strides[1] + i * w.strides[2];
                    for (index j = 0; j < w.features(); ++j) {
                        const double weight = static_cast<double>(row[j * w.strides[3]]);
                        sums[j] += weight > 0 ? weight : 0;
                    }
                }
        }
    }

    // The output of a layer's heads before they are joined, (batch, heads_left(), query, feature).
    template <class Y>
    void observe_output(const Y& output) {
        const auto y = as_view(output);
        using Element = detail::element_t<decltype(y)>;
        static_assert(std::is_same_v<Element, T> || std::is_same_v<Element, sum_t<T>>,
                      "heed::token_pruner<T>::observe_output: y holds another element type than T");
        validate("token_pruner::observe_output", "y", y);
        for (index b = 0; b < y.batch(); ++b)
            for (index h = 0; h < y.heads(); ++h) {
                double& sum = heads_.importance(b)[h];
                for (index i = 0; i < y.positions(); ++i)
                    for (index f = 0; f < y.features(); ++f) {
                        const double size =
                            (std::abs)(static_cast<double>(static_cast<sum_t<T>>(y(b, h, i, f))));
                        sum += size > 0 ? size : 0;
                    }
            }
    }

    // The most important tokens stay: this share of those that are left, rounded up (a share within its own
    // rounding of a whole number is that number), or so many. Throws heed::error for a share outside (0, 1],
    // a number below 1 or above tokens_left().
    template <class F>
    void prune_tokens(F fraction) {
        tokens_.keep_best(0, tokens_left(), share("token_pruner::prune_tokens", fraction, tokens_left()));
    }
    void prune_tokens_to(index count) {
        tokens_.keep_best(0, tokens_left(),
                          counted("token_pruner::prune_tokens_to", count, tokens_left(), "tokens"));
    }
    // Nothing leaves while the policy has room for all. Throws heed::error for negative numbers and for a
    // policy that keeps nothing.
    void prune_tokens(const cache_policy& policy) {
        constexpr const char* function = "token_pruner::prune_tokens";
        const index sinks = checked(policy.sinks, "sinks", 0, function);
        const index important = checked(policy.important, "important", 0, function);
        const index recent = checked(policy.recent, "recent", 0, function);
        if (sinks + important + recent == 0)
            detail::fail(function, {"the policy keeps 0 tokens, needs at least 1"});
        const index first = (std::min)(sinks, tokens_left());
        const index last = (std::max)(first, tokens_left() - recent);
        tokens_.keep_best(first, last, (std::min)(important, last - first));
    }

    // The same for heads.
    template <class F>
    void prune_heads(F fraction) {
        heads_.keep_best(0, heads_left(), share("token_pruner::prune_heads", fraction, heads_left()));
    }
    void prune_heads_to(index count) {
        heads_.keep_best(0, heads_left(),
                         counted("token_pruner::prune_heads_to", count, heads_left(), "heads"));
    }

    // So many new tokens come behind the others, with importance 0.
    void append(index count) {
        constexpr const char* function = "token_pruner::append";
        checked(count, "count", 0, function);
        if (tokens() + count > longest_axis)
            detail::fail(function, {"there would be ", tokens() + count, " tokens, needs at most 2^31 - 1"});
        detail::checked_product(function, batch_, tokens_left() + count);
        tokens_.append(count);
    }

    // The rows of the tokens that are left, (batch, any heads, tokens_left(), feature), of x's kind. x holds
    // a row for each token there ever was, or for each that was left before the latest pruning. Throws
    // heed::error for another number of rows. gather allocates the result, gather_into nothing; y and x share
    // no element.
    template <class X>
    auto gather(const X& x) const {
        return gathered("token_pruner::gather", x, 2, tokens_);
    }
    template <class Y, class X>
    void gather_into(Y&& y, const X& x) const {
        gathered_into("token_pruner::gather_into", std::forward<Y>(y), x, 2, tokens_);
    }

    // The same along the heads: (batch, heads_left(), any positions, feature).
    template <class X>
    auto gather_heads(const X& x) const {
        return gathered("token_pruner::gather_heads", x, 1, heads_);
    }
    template <class Y, class X>
    void gather_heads_into(Y&& y, const X& x) const {
        gathered_into("token_pruner::gather_heads_into", std::forward<Y>(y), x, 1, heads_);
    }

private:
    static index checked(index number, const char* name, index min, const char* function = "token_pruner") {
        if (!(number >= min && number <= longest_axis))
            detail::fail(function, {name, " is ", number, ", needs a number from ", min, " to 2^31 - 1"});
        return number;
    }

    // All sizes are looked at before the first list is made.
    static index checked_batch(index batch, index heads, index tokens) {
        checked(batch, "batch", 0);
        detail::checked_product("token_pruner", batch, checked(tokens, "tokens", 1));
        detail::checked_product("token_pruner", batch, checked(heads, "heads", 1));
        return batch;
    }

    static index counted(const char* function, index count, index left, const char* what) {
        if (!(count >= 1 && count <= left))
            detail::fail(function,
                         {"count is ", count, ", needs a number from 1 to the ", left, " ", what, " left"});
        return count;
    }

    template <class F>
    static index share(const char* function, F fraction, index left) {
        static_assert(std::is_floating_point_v<F>,
                      "heed::token_pruner: needs a fraction such as 0.5; a number of tokens or heads is "
                      "prune_tokens_to(count) or prune_heads_to(count)");
        if (!(fraction > 0 && fraction <= 1))
            detail::fail(function, {"fraction is ", fraction, ", needs a number above 0 and at most 1"});
        constexpr double rounding = 2 * static_cast<double>(std::numeric_limits<F>::epsilon());
        const double exact = static_cast<double>(fraction) * static_cast<double>(left);
        return std::clamp<index>(static_cast<index>(std::ceil(exact * (1 - rounding))), 1, left);
    }

    template <class X>
    void check_batch(const char* function, const char* argument, const view<X>& x) const {
        detail::check_extents(function, argument, x);
        if (x.batch() != batch())
            detail::fail(function, {argument, " has ", x.batch(), " batch entries, needs ", batch()});
    }
    template <class X>
    void validate(const char* function, const char* argument, const view<X>& x) const {
        check_batch(function, argument, x);
        if (x.heads() != heads_left())
            detail::fail(function,
                         {argument, " has ", x.heads(), " heads, needs the ", heads_left(), " left"});
    }

    template <class X>
    auto gathered(const char* function, const X& x, std::size_t axis, const detail::cascade& list) const {
        const view<const detail::gathered_element<X>> from(as_view(x));
        check_rows(function, from, axis, list);
        std::array<index, 4> extents = from.extents;
        extents[axis] = list.left();
        auto y = detail::result_of<X>::make(extents);
        list.gather(from, detail::result_of<X>::view_of(y), axis);
        return y;
    }
    template <class Y, class X>
    void gathered_into(const char* function, Y&& y, const X& x, std::size_t axis,
                       const detail::cascade& list) const {
        const auto to = as_view(y);
        const view<const detail::gathered_element<X>> from(as_view(x));
        static_assert(detail::table_may_be_kept<Y>,
                      "heed::token_pruner: y is a temporary, and the result would be gone; give it a name");
        static_assert(std::is_same_v<detail::stored_t<decltype(to)>, detail::gathered_element<X>>,
                      "heed::token_pruner: y is written and holds x's element type; this tensor is const, or "
                      "holds another");
        check_rows(function, from, axis, list);
        detail::check_extents(function, "y", to);
        for (std::size_t i = 0; i < 4; ++i)
            if (const index needed = i == axis ? list.left() : from.extents[i]; to.extents[i] != needed)
                detail::fail(function,
                             {"axis ", i, " of y has ", to.extents[i], " elements, needs ", needed});
        detail::call_memory used(function);
        used.reads("x", detail::bytes_of(from));
        used.writes("y", detail::bytes_of(to));
        used.validate();
        list.gather(from, to, axis);
    }

    template <class E>
    void check_rows(const char* function, const view<const E>& x, std::size_t axis,
                    const detail::cascade& list) const {
        check_batch(function, "x", x);
        if (!list.has_rows(x.extents[axis]))
            detail::fail(function,
                         {"x has ", x.extents[axis], axis == 2 ? " positions" : " heads", ", needs the ",
                          list.before(), " before the latest pruning or all ", list.all()});
    }

    index batch_;
    detail::cascade tokens_, heads_;
};

}  // namespace heed::inline HEED_ABI
