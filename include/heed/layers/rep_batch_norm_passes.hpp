// SPDX-License-Identifier: MIT
// heed/layers/rep_batch_norm_passes.hpp: the passes that heed/layers/rep_batch_norm.hpp is made of
//
// The batch's statistics take two passes: means of the features, then the sums of d = x - mean and of d^2,
// which correct what the means were rounded by (see heed/kernel/layers/norm-inl.hpp).
#pragma once

#include <cmath>

#include <heed/layers/layer_norm.hpp>

namespace heed::inline HEED_ABI {

template <class T>
struct rep_batch_norm_parameters {
    layer_norm_parameters<T> layer;
    layer_norm_parameters<T> batch;
    Eigen::Tensor<T, 1, Eigen::RowMajor> eta;  // (1), starts as 1

    template <class F, class... P>
    static void each(F&& f, P&... p) {
        visit("layer", f, p.layer...);
        visit("batch", f, p.batch...);
        visit("eta", f, p.eta...);
    }
};

// Of each feature; learnt, but not by gradients. A checkpoint holds them too.
template <class T>
struct running_statistics {
    Eigen::Tensor<T, 1, Eigen::RowMajor> mean;      // (width), starts as zeros
    Eigen::Tensor<T, 1, Eigen::RowMajor> variance;  // (width), starts as ones

    template <class F, class... P>
    static void each(F&& f, P&... p) {
        visit("mean", f, p.mean...);
        visit("variance", f, p.variance...);
    }
};

// What the backward reads: the statistics of rows and of features, and lambda.
template <class T>
struct rep_batch_norm_tape {
    double lambda = 0;
    index rows = 0;
    layer_norm_tape<T> layer;
    Eigen::Tensor<T, 1, Eigen::RowMajor> batch{0}, work{0};
};

namespace detail {

// Of each feature: mean, what it was rounded by, 1 / deviation, and weight / deviation.
template <class T>
struct feature_statistics {
    static constexpr index count = 4;
    T* mean;
    T* rest;
    T* inverse;
    T* scale;
    feature_statistics(T* numbers, index width)
        : mean(numbers), rest(numbers + width), inverse(numbers + 2 * width), scale(numbers + 3 * width) {}
};

// One number for each feature, the same for all rows.
template <class T>
element_rows<const T> for_all_rows(const T* numbers) {
    return {numbers, 0};
}

template <class T>
struct rep_batch_norm_passes {
    using parameters = rep_batch_norm_parameters<T>;
    using features = feature_statistics<T>;
    using rows = dense_rows<T>;
    using const_rows = dense_rows<const T>;

    static void check_weights(std::string_view f, const parameters& w, const running_statistics<T>& running,
                              index width) {
        const weight_path at, measured{"running", nullptr};
        layer_norm_parts<T>::check_weights(f, at.inside("layer"), w.layer, width);
        layer_norm_parts<T>::check_weights(f, at.inside("batch"), w.batch, width);
        check_weight<T>(f, at.inside("eta"), w.eta, 1);
        check_weight<T>(f, measured.inside("mean"), running.mean, width);
        check_weight<T>(f, measured.inside("variance"), running.variance, width);
    }
    // Refuses a tape of a forward of other rows.
    static void check_tape(std::string_view f, const rep_batch_norm_tape<T>& kept, index count, index width) {
        if (kept.rows != count) fail(f, {"tape holds a forward of ", kept.rows, " rows, x has ", count});
        if (kept.batch.dimension(0) != features::count * width && count > 0)
            fail(f, {"tape holds a forward of a width of ", kept.batch.dimension(0) / features::count,
                     ", x has ", width});
        const index of_layer = kept.lambda > 0 ? count : 0;
        if (kept.layer.mean.dimension(0) != of_layer)
            fail(f, {"tape holds statistics of ", kept.layer.mean.dimension(0), " rows, needs ", of_layer});
    }

    // The statistics of x's features, and the running ones moved towards them.
    static void measure(const const_rows& x, const parameters& w, double epsilon, double momentum,
                        const features& to, running_statistics<T>& running, device_ref device,
                        workspace& scratch) {
        const index n = x.rows();
        const index width = x.width;
        const double count = static_cast<double>(n);
        const auto add = sum_rows_on_target<T>();
        const auto moments = batch_norm_leaves_on_target<T>().moments;
        clear(to.mean, 3 * width);
        add_over_rows<1, T>({to.mean}, n, width, device, scratch,
                            [&](index first, index n_rows, T* const(&sum)[1]) {
                                add(x.data + first * width, n_rows, width, width, sum[0]);
                            });
        for (index i = 0; i < width; ++i)
            to.mean[i] = static_cast<T>(static_cast<double>(to.mean[i]) / count);
        add_over_rows<2, T>({to.rest, to.inverse}, n, width, device, scratch,
                            [&](index first, index n_rows, T* const(&sum)[2]) {
                                const element_rows<const T> in[] = {
                                    {x.data + first * width, width},
                                    for_all_rows<T>(to.mean),
                                    for_all_rows<T>(sum[0]),
                                    for_all_rows<T>(sum[1]),
                                };
                                const element_rows<T> out[] = {{sum[0], 0}, {sum[1], 0}};
                                moments(in, out, nullptr, n_rows, width);
                            });
        for (index i = 0; i < width; ++i) {
            const double rest = static_cast<double>(to.rest[i]) / count;
            const double squares = static_cast<double>(to.inverse[i]) / count;
            const double variance = (math::max)(squares - rest * rest, 0.0);
            const double inverse = 1 / std::sqrt(variance + epsilon);
            to.rest[i] = static_cast<T>(rest);
            to.inverse[i] = static_cast<T>(inverse);
            to.scale[i] = static_cast<T>(static_cast<double>(w.batch.weight(i)) * inverse);
            const auto move = [&](T& average, double value) {
                average = static_cast<T>(static_cast<double>(average) * (1 - momentum) + value * momentum);
            };
            move(running.mean(i), static_cast<double>(to.mean[i]) + rest);
            move(running.variance(i), n > 1 ? variance * (count / (count - 1)) : variance);
        }
    }

    static void recall(const parameters& w, const running_statistics<T>& running, double epsilon,
                       const features& to) {
        for (index i = 0; i < running.mean.dimension(0); ++i) {
            const double inverse = 1 / std::sqrt(static_cast<double>(running.variance(i)) + epsilon);
            to.mean[i] = running.mean(i);
            to.rest[i] = 0;
            to.inverse[i] = static_cast<T>(inverse);
            to.scale[i] = static_cast<T>(static_cast<double>(w.batch.weight(i)) * inverse);
        }
    }

    static void write(const rows& y, const const_rows& x, const parameters& w, double lambda, double epsilon,
                      const features& f, const row_statistics<T>& of_rows, device_ref device) {
        const index width = x.width;
        const auto normalise = norm_leaves_on_target<T>().forward;
        const auto leaf = batch_norm_leaves_on_target<T>().output[lambda > 0 ? 1 : 0];
        const T numbers[] = {w.eta(0), static_cast<T>(lambda)};
        for_each_row_block(device, x.rows(), width, [&](index first, index count) {
            const T* const from = x.data + first * width;
            T* const to = y.data + first * width;
            if (lambda > 0)
                normalise(from, count, width, w.layer.weight.data(), w.layer.bias.data(),
                          static_cast<T>(epsilon), to, of_rows.from(first));
            if (lambda >= 1) return;
            const element_rows<const T> in[] = {
                {from, width},
                for_all_rows<T>(f.mean),
                for_all_rows<T>(f.rest),
                for_all_rows<T>(f.scale),
                for_all_rows<T>(w.batch.bias.data()),
                {to, width},
            };
            const element_rows<T> out[] = {{to, width}};
            leaf(in, out, numbers, count, width);
        });
    }

    // g += factor x
    static void add_scaled(double factor, const T* x, parameter_vector<T>& g) {
        for (index i = 0; i < g.dimension(0); ++i) g(i) += static_cast<T>(factor * static_cast<double>(x[i]));
    }

    // dx = the part that came through the layer norm; `work` holds 3 width numbers.
    static void layer_backward(const rows& dx, const const_rows& dy, const const_rows& x, const parameters& w,
                               double lambda, const row_statistics<T>& of_rows, T* work, parameters& g,
                               device_ref device, workspace& scratch) {
        const index width = x.width;
        T* const gain = work;
        T* const sums[] = {work + width, work + 2 * width};
        for (index i = 0; i < width; ++i)
            gain[i] = static_cast<T>(lambda * static_cast<double>(w.layer.weight(i)));
        clear(sums[0], 2 * width);
        const auto leaf = norm_leaves_on_target<T>().backward;
        add_over_rows(sums, x.rows(), width, device, scratch,
                      [&](index first, index count, T* const(&add)[2]) {
                          const index at = first * width;
                          leaf(dy.data + at, x.data + at, of_rows.from(first), count, width, gain,
                               dx.data + at, add[0], add[1]);
                      });
        add_scaled(lambda, sums[0], g.layer.weight);
        add_scaled(lambda, sums[1], g.layer.bias);
    }

    // dx = or += the part that came through the batch norm and around it; `work` holds 3 width numbers.
    static void batch_backward(const rows& dx, const const_rows& dy, const const_rows& x, const parameters& w,
                               double lambda, const features& f, T* work, parameters& g, device_ref device,
                               workspace& scratch) {
        const index width = x.width;
        const double share = 1 - lambda;
        T* const scale = work;
        T* const sums[] = {work + width, work + 2 * width};  // of dy and of dy x'
        clear(sums[0], 2 * width);
        const batch_norm_leaves<T>& leaf = batch_norm_leaves_on_target<T>();
        add_over_rows(sums, x.rows(), width, device, scratch,
                      [&](index first, index count, T* const(&add)[2]) {
                          const element_rows<const T> in[] = {
                              {dy.data + first * width, width}, {x.data + first * width, width},
                              for_all_rows<T>(f.mean),          for_all_rows<T>(f.rest),
                              for_all_rows<T>(f.inverse),       for_all_rows<T>(add[0]),
                              for_all_rows<T>(add[1]),
                          };
                          const element_rows<T> out[] = {{add[0], 0}, {add[1], 0}};
                          leaf.sums(in, out, nullptr, count, width);
                      });
        add_scaled(share, sums[0], g.batch.bias);
        add_scaled(share, sums[1], g.batch.weight);
        double d_eta = 0;  // the sum of dy x = dy (x' deviation + mean)
        for (index i = 0; i < width; ++i) {
            const double mean = static_cast<double>(f.mean[i]) + static_cast<double>(f.rest[i]);
            d_eta += static_cast<double>(sums[1][i]) / static_cast<double>(f.inverse[i]) +
                     static_cast<double>(sums[0][i]) * mean;
            scale[i] = static_cast<T>(share * static_cast<double>(f.scale[i]));
            sums[0][i] = static_cast<T>(static_cast<double>(sums[0][i]) / static_cast<double>(x.rows()));
            sums[1][i] = static_cast<T>(static_cast<double>(sums[1][i]) / static_cast<double>(x.rows()));
        }
        g.eta(0) += static_cast<T>(share * d_eta);
        const T numbers[] = {static_cast<T>(share * static_cast<double>(w.eta(0)))};
        for_each_row_block(device, x.rows(), width, [&](index first, index count) {
            T* const to = dx.data + first * width;
            const element_rows<const T> in[] = {
                {dy.data + first * width, width}, {x.data + first * width, width}, for_all_rows<T>(f.mean),
                for_all_rows<T>(f.rest),          for_all_rows<T>(f.inverse),      for_all_rows<T>(scale),
                for_all_rows<T>(sums[0]),         for_all_rows<T>(sums[1]),        {to, width},
            };
            const element_rows<T> out[] = {{to, width}};
            leaf.gradient[lambda > 0 ? 1 : 0](in, out, numbers, count, width);
        });
    }
};

}  // namespace detail
}  // namespace heed::inline HEED_ABI
