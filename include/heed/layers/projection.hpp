// SPDX-License-Identifier: MIT
// heed/layers/projection.hpp: y = x W + b, the linear layer
//
//     heed::projection<float> to_vocabulary({.inputs = width, .outputs = 256}, seed);
//     auto y = to_vocabulary(x);
//     auto dx = to_vocabulary.backward(dy, x, gradients);             gradients += those of this call
//
// x (…, position, inputs), W (inputs, outputs), b (outputs) or empty, y (…, position, outputs).
// dx = dy W^T, dW = x^T dy, db = the sum of dy's rows. Options: on(device), use(workspace).
//
// Its backward reads nothing but x, so there is no tape. All calls: heed/layers/calls.hpp.
//
// Cost: 2 rows inputs outputs flops, twice that for the backward. Works in the panels of the product.
#pragma once

#include <heed/kernel/dense/product.hpp>
#include <heed/layers/apart.hpp>
#include <heed/layers/calls.hpp>

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
void add_row_sums(T* to, const matrix<const T>& dy, device_ref device, workspace& scratch) {
    const T one = 1;
    multiply<T>({to, 1, dy.columns, dy.columns, 1}, {&one, 1, dy.rows, 0, 0}, dy, nullptr, true, device,
                scratch);
}

// The gradients of y = x W + b: dW and db (unless null) are added to; dx, unless without memory, is written.
template <class T>
void multiply_backward(const matrix<T>& dx, bool add_dx, const matrix<T>& dw, T* db,
                       const matrix<const T>& dy, const matrix<const T>& x, const matrix<const T>& w,
                       device_ref device, workspace& scratch) {
    multiply<T>(dw, transposed(x), dy, nullptr, true, device, scratch);
    if (db != nullptr) add_row_sums<T>(db, dy, device, scratch);
    if (dx.data != nullptr) multiply<T>(dx, dy, transposed(w), nullptr, add_dx, device, scratch);
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

}  // namespace detail

struct projection_config {
    index inputs = 0;
    index outputs = 0;
    bool bias = true;

    bool operator==(const projection_config&) const = default;
};

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

namespace detail {

template <class T>
struct projection_parts : layer_facts {
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>,
                  "heed::projection<T>: T is float or double");
    static constexpr literal name{"projection"};
    static constexpr bool keeps_tape = false;
    using value = T;
    using config_type = projection_config;
    using parameters = projection_parameters<T>;
    using tape = tapeless;
    projection_config config_;

    projection_parts() = default;
    explicit projection_parts(const projection_config& c) : config_(c) {
        if (!(c.inputs > 0 && c.outputs > 0))
            fail("projection", {"is ", c.inputs, " x ", c.outputs, ", needs positive sizes"});
        checked_product("projection", c.inputs, c.outputs);
    }
    parameters start(std::uint64_t seed) const {
        return {new_projection<T>(config_.inputs, config_.outputs, seed),
                constant_vector<T>(config_.bias ? config_.outputs : 0, 0)};
    }
    index input_width() const { return config_.inputs; }
    index output_width() const { return config_.outputs; }

    template <class... Options>
    static constexpr bool options() {
        return only_resources<Options...>();
    }

    template <class... Options>
    void check_forward(std::string_view f, const parameters& w, const forward_rows<T>& r,
                       const Options&...) const {
        check_rows(f, r, config_.inputs, config_.outputs);
        check_projection<T>(f, {}, w, config_.inputs, config_.outputs);
        check_results<T>(f, w, {{"y", r.y}}, {{"x", r.x}});
    }
    template <class... Options>
    void run_forward(std::string_view, const parameters& w, const forward_rows<T>& r, tape*,
                     workspace& scratch, const Options&... options) const {
        multiply<T>(r.y.as_matrix(), r.x.as_matrix(), matrix_of(w.weight), data_or_null(w.bias), false,
                    device_of(options...), scratch);
    }
    template <class... Options>
    void check_backward(std::string_view f, const parameters& w, const backward_rows<T>& r, const tape&,
                        const parameters& g, const Options&...) const {
        check_rows(f, r, config_.inputs, config_.outputs);
        check_projection<T>(f, {}, w, config_.inputs, config_.outputs);
        check_gradients<T>(f, w, g, {{"dx", r.dx}}, {{"dy", r.dy}, {"x", r.x}});
    }
    template <class... Options>
    void run_backward(std::string_view, const parameters& w, const backward_rows<T>& r, tape&, parameters& g,
                      workspace& scratch, const Options&... options) const {
        multiply_backward<T>(r.dx.as_matrix(), false, matrix_of(g.weight), data_or_null(g.bias),
                             r.dy.as_matrix(), r.x.as_matrix(), matrix_of(w.weight), device_of(options...),
                             scratch);
    }
};

}  // namespace detail

template <class T>
class projection : public detail::layer_calls<projection<T>, detail::projection_parts<T>> {
public:
    using detail::layer_calls<projection<T>, detail::projection_parts<T>>::layer_calls;
};

}  // namespace heed::inline HEED_ABI
