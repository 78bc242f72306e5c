// SPDX-License-Identifier: MIT
// heed/layers/parameters.hpp: what a layer learned, as plain tensors with names
//
// A layer's parameters are a struct of Eigen tensors; its gradients, and an optimiser's moments, are structs
// of the same type. Whoever updates, saves or prints them visits all at once:
//
//     auto gradients = heed::zeros_like(layer.weights);
//     heed::for_each_parameter([](const std::string& name, auto& w, auto& g) { w -= w.constant(0.1f) * g; },
//                              layer.weights, gradients);
//
// A struct of a user's own takes part by a member of this form; its members are tensors, structs that have
// one, and vectors of them:
//
//     template <class F, class... P>
//     static void each(F&& f, P&... p) {
//         heed::visit("gain", f, p.gain...);
//         heed::visit("layers", f, p.layers...);                     layers.0.…, layers.1.…
//     }
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <heed/core/tensor.hpp>
#include <heed/core/workspace.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

template <class P>
inline constexpr bool is_vector = false;
template <class P, class A>
inline constexpr bool is_vector<std::vector<P, A>> = true;

}  // namespace detail

// The name of a tensor as the names on the way to it: put together only where somebody reads it.
class parameter_name {
public:
    parameter_name(const char* own) : own_(own) {}
    parameter_name(const std::string& own) : own_(own) {}
    // Both have to outlive it; outer is a single name.
    parameter_name(const parameter_name& outer, const parameter_name& inner)
        : own_(outer.own_), inner_(&inner) {}

    operator std::string() const {
        std::string whole(own_);
        for (const parameter_name* n = inner_; n != nullptr; n = n->inner_) {
            if (!whole.empty()) whole += '.';
            whole += n->own_;
        }
        return whole;
    }

private:
    std::string_view own_;
    const parameter_name* inner_ = nullptr;
};

// f(name, tensors...) for each tensor of the members p of several structs of one type.
template <class F, class P, class... Others>
void visit(const parameter_name& name, F&& f, P& p, Others&... others) {
    using Members = std::remove_const_t<P>;
    if constexpr (detail::eigen_tensor<Members>) {
        f(name, p, others...);
    } else if constexpr (detail::is_vector<Members>) {
        for (std::size_t i = 0; i < p.size(); ++i) {
            const auto under = [&](const parameter_name& inner, auto&... t) {
                f(parameter_name(name, inner), t...);
            };
            visit(std::to_string(i), under, p[i], others[i]...);
        }
    } else {
        Members::each([&](const parameter_name& inner, auto&... t) { f(parameter_name(name, inner), t...); },
                      p, others...);
    }
}

// f(name, tensors...) for each tensor, name a std::string; the structs are of one type (some may be const).
template <class F, class... P>
void for_each_parameter(F&& f, P&... p) {
    visit("", [&](const parameter_name& name, auto&... t) { f(std::string(name), t...); }, p...);
}

namespace detail {

// The same for those who read no names.
template <class F, class... P>
void for_each_tensor(F&& f, P&... p) {
    visit("", [&](const parameter_name&, auto&... t) { f(t...); }, p...);
}

}  // namespace detail

template <class P>
void set_zero(P& p) {
    detail::for_each_tensor([](auto& t) { t.setZero(); }, p);
}

// A struct of the same shapes, all zero: gradients, or an optimiser's moments.
template <class P>
P zeros_like(const P& p) {
    P zeros = p;
    set_zero(zeros);
    return zeros;
}

// How many numbers there are to learn.
template <class P>
index parameter_count(const P& p) {
    index count = 0;
    detail::for_each_tensor([&](const auto& t) { count += static_cast<index>(t.size()); }, p);
    return count;
}

namespace detail {

// Uniform numbers in [-1, 1), a function of the seed and of the number `at` alone.
inline double uniform(std::uint64_t seed, std::uint64_t at) {
    std::uint64_t x = seed * 0x9e3779b97f4a7c15u + at;
    for (int round = 0; round < 2; ++round) {
        x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
        x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
        x ^= x >> 31;
    }
    return static_cast<double>(x >> 11) * (2.0 / 9007199254740992.0) - 1;
}

// Another seed for each part that needs numbers of its own.
inline std::uint64_t seed_for(std::uint64_t seed, std::uint64_t part) {
    return (seed ^ (part + 1) * 0xd6e8feb86659fd93u) * 0xff51afd7ed558ccdu;
}

// A matrix of `inputs` rows as linear layers usually start: uniform, of variance gain / inputs.
template <class Tensor>
void fill_projection(Tensor& w, std::uint64_t seed, double gain = 1) {
    using T = typename Tensor::Scalar;
    const double limit = std::sqrt(3 * gain / static_cast<double>(w.dimension(0) > 0 ? w.dimension(0) : 1));
    for (index i = 0; i < static_cast<index>(w.size()); ++i)
        w.data()[i] = static_cast<T>(limit * uniform(seed, static_cast<std::uint64_t>(i)));
}

template <class T>
using parameter_vector = Eigen::Tensor<T, 1, Eigen::RowMajor>;
template <class T>
using parameter_matrix = Eigen::Tensor<T, 2, Eigen::RowMajor>;

template <class T>
parameter_vector<T> constant_vector(index size, T value) {
    parameter_vector<T> v(size);
    v.setConstant(value);
    return v;
}
template <class T>
parameter_matrix<T> new_projection(index inputs, index outputs, std::uint64_t seed) {
    checked_product("projection", inputs, outputs);
    parameter_matrix<T> w(inputs, outputs);
    fill_projection(w, seed);
    return w;
}

// Sizes a tensor that a tape keeps from call to call.
template <class Tensor, class... Int>
void fit(Tensor& t, Int... extents) {
    t.resize(Eigen::array<Eigen::Index, sizeof...(Int)>{static_cast<Eigen::Index>(extents)...});
}

// A tensor's numbers on the tape, or without a tape in the call's scratch.
template <class Tape, class Tensor, class... Int>
auto* tape_or_scratch(Tape* tape, Tensor Tape::* member, call_rows& rows, Int... extents) {
    using T = typename Tensor::Scalar;
    if (tape == nullptr) return rows.take<T>((std::size_t{1} * ... * static_cast<std::size_t>(extents)));
    fit(tape->*member, extents...);
    return (tape->*member).data();
}

// A part of the tape, or without a tape none.
template <class Tape, class Part>
Part* part_of(Tape* tape, Part Tape::* member) {
    return tape == nullptr ? nullptr : &(tape->*member);
}

// Where a tensor stands among a layer's weights; put together only for an error.
struct weight_path {
    const char* own = "weights";
    const weight_path* outer = nullptr;

    weight_path inside(const char* name) const { return {name, this}; }
    std::string text() const { return outer == nullptr ? own : outer->text() + '.' + own; }
};

// Weights may be loaded from elsewhere, so each call checks that they have the extents of the layer.
template <class T>
void check_weight(std::string_view function, const weight_path& at, const parameter_matrix<T>& w, index rows,
                  index columns) {
    if (w.dimension(0) != rows || w.dimension(1) != columns)
        fail(function, {std::string_view(at.text()), " is ", w.dimension(0), " x ", w.dimension(1),
                        ", needs ", rows, " x ", columns});
}
template <class T>
void check_weight(std::string_view function, const weight_path& at, const parameter_vector<T>& w,
                  index size) {
    if (w.dimension(0) != size)
        fail(function, {std::string_view(at.text()), " has ", w.dimension(0), " entries, needs ", size});
}

}  // namespace detail
}  // namespace heed::inline HEED_ABI
