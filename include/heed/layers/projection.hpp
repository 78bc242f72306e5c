// SPDX-License-Identifier: MIT
// heed/layers/projection.hpp: y = x W + b, the linear layer
//
//     heed::projection<float> to_vocabulary(width, 256);
//     auto y = to_vocabulary(x);
//     auto dx = to_vocabulary.backward(dy, x, gradients);             gradients += those of this call
//
// x (…, position, inputs), W (inputs, outputs), b (outputs) or empty, y (…, position, outputs).
// dx = dy W^T, dW = x^T dy, db = the sum of dy's rows. Options: on(device), use(workspace).
//
// Cost: 2 rows inputs outputs flops, twice that for the backward. Allocates the result, and the panels of
// the product unless use(workspace) gives them. Throws heed::error before anything is written.
#pragma once

#include <heed/core/resources.hpp>
#include <heed/kernel/dense/product.hpp>
#include <heed/layers/apart.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

template <class T>
matrix<T> matrix_of(Eigen::Tensor<T, 2, Eigen::RowMajor>& w) {
    return {w.data(), w.dimension(0), w.dimension(1), w.dimension(1), 1};
}
template <class T>
matrix<const T> matrix_of(const Eigen::Tensor<T, 2, Eigen::RowMajor>& w) {
    return {w.data(), w.dimension(0), w.dimension(1), w.dimension(1), 1};
}
template <class T>
matrix<T> columns_of(const matrix<T>& m, index first, index count) {
    return {m.data + first * m.column_stride, m.rows, count, m.row_stride, m.column_stride};
}

// db += the sum of dy's rows: a product with a row of ones, all of which are one number.
template <class T>
void add_row_sums(T* to, const matrix<const T>& dy, device_ref device, workspace& memory) {
    const T one = 1;
    multiply<T>({to, 1, dy.columns, dy.columns, 1}, {&one, 1, dy.rows, 0, 0}, dy, nullptr, true, device,
                memory);
}

// The gradients of y = x W + b: dW and db (unless null) are added to; dx, unless without memory, is written.
template <class T>
void multiply_backward(const matrix<T>& dx, bool add_dx, const matrix<T>& dw, T* db,
                       const matrix<const T>& dy, const matrix<const T>& x, const matrix<const T>& w,
                       device_ref device, workspace& memory) {
    multiply<T>(dw, transposed(x), dy, nullptr, true, device, memory);
    if (db != nullptr) add_row_sums<T>(db, dy, device, memory);
    if (dx.data != nullptr) multiply<T>(dx, dy, transposed(w), nullptr, add_dx, device, memory);
}

template <class T>
const T* data_or_null(const parameter_vector<T>& t) {
    return t.size() > 0 ? t.data() : nullptr;
}
template <class T>
T* data_or_null(parameter_vector<T>& t) {
    return t.size() > 0 ? t.data() : nullptr;
}

// W (inputs, outputs) and a bias of as many outputs, or none.
template <class T, class P>
void check_projection(std::string_view function, const weight_path& at, const P& p, index inputs,
                      index outputs) {
    check_weight<T>(function, at.inside("weight"), p.weight, inputs, outputs);
    if (p.bias.size() > 0) check_weight<T>(function, at.inside("bias"), p.bias, outputs);
}

// Layers run on a device and in a workspace; they take no other option but those they name themselves.
template <class... Options>
constexpr bool only_resources() {
    static_assert(((is_option<Options> && (option_of_kind<Options, option_kind::on> ||
                                           option_of_kind<Options, option_kind::use>)) &&
                   ...),
                  "heed: this layer takes the options on(device) and use(workspace), and no other");
    return true;
}

}  // namespace detail

template <class T>
struct projection_parameters {
    Eigen::Tensor<T, 2, Eigen::RowMajor> weight;  // (inputs, outputs)
    Eigen::Tensor<T, 1, Eigen::RowMajor> bias;    // (outputs), or empty

    template <class F, class... P>
    static void each(F&& f, P&... p) {
        visit("weight", f, p.weight...);
        visit("bias", f, p.bias...);
    }
};

template <class T>
class projection {
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>,
                  "heed::projection<T>: T is float or double");

public:
    using parameters = projection_parameters<T>;
    parameters weights;

    projection() = default;
    projection(index inputs, index outputs, bool bias = true, std::uint64_t seed = 0) {
        if (!(inputs > 0 && outputs > 0))
            detail::fail("projection", {"is ", inputs, " x ", outputs, ", needs positive sizes"});
        weights.weight = detail::new_projection<T>(inputs, outputs, seed);
        weights.bias = detail::constant_vector<T>(bias ? outputs : 0, 0);
    }
    index inputs() const { return weights.weight.dimension(0); }
    index outputs() const { return weights.weight.dimension(1); }

    template <class X, class... Options>
    auto operator()(const X& x, const Options&... options) const {
        auto y = detail::rows_like(x, outputs());
        forward_into(detail::result_view(y), x, options...);
        return y;
    }
    template <class Y, class X, class... Options>
    requires(detail::only_resources<Options...>())
    void forward_into(Y&& y, const X& x, const Options&... options) const {
        constexpr const char* function = "projection::forward_into";
        const auto from = detail::rows_of<const T>(function, "x", x);
        const auto to = detail::written_rows<T, Y>(function, "y", y);
        detail::check_width(function, "x", from.width, inputs());
        detail::check_like(function, "y", to, "x", from, outputs());
        detail::check_projection<T>(function, {}, weights, inputs(), outputs());
        detail::check_results<T>(function, weights, {{"y", to}}, {{"x", from}});
        workspace own;
        detail::multiply<T>(to.as_matrix(), from.as_matrix(), detail::matrix_of(weights.weight),
                            detail::data_or_null(weights.bias), false, detail::device_of(options...),
                            detail::memory_of(own, options...));
    }

    template <class Dy, class X, class... Options>
    auto backward(const Dy& dy, const X& x, parameters& gradients, const Options&... options) const {
        auto dx = detail::rows_like(x, inputs());
        backward_into(detail::result_view(dx), dy, x, gradients, options...);
        return dx;
    }
    template <class Dx, class Dy, class X, class... Options>
    requires(detail::only_resources<Options...>())
    void backward_into(Dx&& dx, const Dy& dy, const X& x, parameters& gradients,
                       const Options&... options) const {
        constexpr const char* function = "projection::backward_into";
        const auto from = detail::rows_of<const T>(function, "x", x);
        const auto up = detail::rows_of<const T>(function, "dy", dy);
        const auto to = detail::written_rows<T, Dx>(function, "dx", dx);
        detail::check_width(function, "x", from.width, inputs());
        detail::check_like(function, "dy", up, "x", from, outputs());
        detail::check_like(function, "dx", to, "x", from, inputs());
        detail::check_projection<T>(function, {}, weights, inputs(), outputs());
        detail::check_gradients<T>(function, weights, gradients, {{"dx", to}}, {{"dy", up}, {"x", from}});
        workspace own;
        detail::multiply_backward<T>(to.as_matrix(), false, detail::matrix_of(gradients.weight),
                                     detail::data_or_null(gradients.bias), up.as_matrix(), from.as_matrix(),
                                     detail::matrix_of(weights.weight), detail::device_of(options...),
                                     detail::memory_of(own, options...));
    }
};

}  // namespace heed::inline HEED_ABI
