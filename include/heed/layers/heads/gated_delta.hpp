// SPDX-License-Identifier: MIT
// heed/layers/heads/gated_delta.hpp: the gated delta rule as the inside of a multi-head layer
//
//     S = e^g S + beta k (v - (e^g S)^T k)^T        y = S^T q
//     q, k of length 1,  beta = sigmoid(b),  g = -softplus(a + decay[head])
//
//     heed::multi_head_attention<float, heed::gated_delta_heads> mha({.width = 512, .heads = 8});
//     auto y = mha(x);
//
// The input projection makes queries, keys, values and, for each key/value head and position, a and b: what
// is forgotten and how much of the difference to the state's answer is written. The offsets decay[head] are
// learned. They begin where a = 0 forgets within 10 positions in the first head and within 1000 in the last,
// in equal ratios between, so that heads start with memories of different lengths.
//
// Why softplus: for small a + decay it is e^(a + decay), so a shifts the length of a memory by a factor, up
// to keeping everything; for large ones it is a + decay itself, and one position clears the state. A
// logsigmoid(a) / 16, the other common form, keeps at 0 some 23 positions and clears nothing before a = -100.
// Keys have to have length 1 for the rule not to overshoot (beta <k, k> at most 1); queries then make y an
// average that weighs by the cosine, and y = v for a query equal to the last key written with beta = 1: the
// scale is 1 unless given. Lengths are those of sqrt(<x, x> + 1e-6), so that a row of zeros stays one;
// any other finite row may be as long as it likes, squares that overflow included.
// Published models put an activation and a short convolution before, and a norm and a gate behind: layers of
// their own.
//
// Takes scale(x), initial_state, final_state and in a backward their gradients. Causal by itself, whether or
// not heed::causal is given; no cross form. In a stream the state is carried.
//
// Source: Gated DeltaNet (arXiv 2412.06464); its decay has another factor for each head, which the offset
// stands for here.
#pragma once

#include <cmath>

#include <heed/kernel/elementwise/kernels.hpp>
#include <heed/kernel/elementwise/l2_normalize.hpp>
#include <heed/layers/heads/carried_state.hpp>
#include <heed/layers/heads/causal.hpp>
#include <heed/linear.hpp>
#include <heed/math.hpp>

namespace heed::inline HEED_ABI {

template <class T>
struct gated_delta_parameters {
    Eigen::Tensor<T, 1, Eigen::RowMajor> decay;  // (kv_head)

    gated_delta_parameters() = default;
    gated_delta_parameters(const attention_config& c, std::uint64_t) : decay(c.kv_heads) {
        for (index h = 0; h < c.kv_heads; ++h) {
            const double part =
                c.kv_heads > 1 ? static_cast<double>(h) / static_cast<double>(c.kv_heads - 1) : 0.5;
            const double positions = 10 * std::pow(100.0, part);
            decay(h) = static_cast<T>(std::log(std::expm1(1 / positions)));  // softplus gives 1 / positions
        }
    }
    template <class F, class... P>
    static void each(F&& f, P&... p) {
        visit("decay", f, p.decay...);
    }
};

struct gated_delta_heads {
    static constexpr int streams = 5;
    static constexpr bool crosses = false;

    static stream_shape stream_of(const attention_config& c, int i) {
        if (i >= 3) return {c.kv_heads, 1, false};
        return {i == 0 ? c.heads : c.kv_heads, c.head_dim, i < 2};
    }
    static index value_dim(const attention_config& c) { return c.head_dim; }
    static constexpr bool takes(option_kind kind) {
        return kind == option_kind::mask || kind == option_kind::scale || kind == option_kind::on ||
               kind == option_kind::use || kind == option_kind::initial_state ||
               kind == option_kind::final_state || kind == option_kind::initial_state_gradient ||
               kind == option_kind::final_state_gradient;
    }

    template <class T>
    using parameters = gated_delta_parameters<T>;
    template <class T>
    struct tape {
        using numbers = Eigen::Tensor<T, 3, Eigen::RowMajor>;  // (batch, kv_head, position)
        detail::l2_normalized<T> q, k;
        numbers decays, betas, d_decays, d_betas, slopes;
    };
    template <class T>
    struct stream_state {
        detail::carried_state<T> carried;
        tape<T> kept;
    };

    template <class... Options>
    static void validate(std::string_view f, const Options&... options) {
        detail::check_all_causal(f, options...);
    }

    template <class T, class... Options>
    static void forward(std::string_view f, const view<T>& y, const std::array<view<const T>, 5>& x,
                        const parameters<T>& w, tape<T>& kept, const Options&... options) {
        prepare(x, w, kept, detail::device_of(options...));
        with_rule(
            f, kept,
            [&](const auto&... o) {
                detail::write_result_as(f, detail::linear_call{}, detail::tensors(y),
                                        detail::tensors(kept.q.y, kept.k.y, x[2]), o...);
            },
            options...);
    }

    template <class T, class... Options>
    static void backward(std::string_view f, const std::array<view<T>, 5>& d, const view<const T>& dy,
                         const std::array<view<const T>, 5>& x, const view<const T>&, const parameters<T>& w,
                         tape<T>& kept, parameters<T>& gradients, const Options&... options) {
        fit_like(kept.d_decays, kept.decays);
        fit_like(kept.d_betas, kept.betas);
        const auto run = [&](const auto&... o) {
            detail::write_result_as(f, detail::linear_backward_call{}, detail::tensors(d[0], d[1], d[2]),
                                    detail::tensors(kept.q.y, kept.k.y, x[2], dy),
                                    decay_gradient(kept.d_decays), delta_gradient(kept.d_betas), o...);
        };
        detail::without<option_kind::final_state>([&](const auto&... o) { with_rule(f, kept, run, o...); },
                                                  options...);
        const detail::device_ref device = detail::device_of(options...);
        kept.q.backward(d[0], device);
        kept.k.backward(d[1], device);
        fit_like(kept.slopes, kept.decays);
        each_block(x[3], device, [&](index b, index first, index n) {
            gather(x[3], b, first, n, &w.decay, kept.slopes);
            for (index h = 0; h < x[3].heads(); ++h) {
                T* const da = &kept.slopes(b, h, first);
                detail::elementwise_leaves_on_target<T>().sigmoid(da, n);
                for (index p = 0; p < n; ++p) da[p] *= -kept.d_decays(b, h, first + p);
            }
            for (index p = first; p < first + n; ++p)
                for (index h = 0; h < x[3].heads(); ++h) {
                    d[3](b, h, p, 0) = kept.slopes(b, h, p);
                    d[4](b, h, p, 0) =
                        kept.d_betas(b, h, p) * detail::scalar::sigmoid_slope(x[4](b, h, p, 0));
                }
        });
        for (index h = 0; h < x[3].heads(); ++h) {
            double sum = 0;
            for (index b = 0; b < x[3].batch(); ++b)
                for (index p = 0; p < x[3].positions(); ++p) sum += static_cast<double>(kept.slopes(b, h, p));
            gradients.decay(h) += static_cast<T>(sum);
        }
    }

    template <class T, class... Options>
    static void check_backward(std::string_view f, const std::array<view<const T>, 5>& x,
                               const Options&... options) {
        detail::check_state_extents<T>(f, {x[1].batch(), x[1].heads(), x[1].features(), x[2].features()},
                                       options...);
    }

    template <class T, class... Options>
    static void extend(std::string_view f, const view<T>& y, const std::array<view<const T>, 5>& x,
                       const parameters<T>& w, stream_state<T>& s, const Options&... options) {
        detail::check_stream_options<Options...>();
        prepare(x, w, s.kept, detail::device_of(options...));
        s.carried.advance({x[1].batch(), x[1].heads(), x[1].features(), x[2].features()}, [&](auto& sums) {
            with_rule(
                f, s.kept,
                [&](const auto&... o) {
                    detail::write_result_as(f, detail::linear_call{}, detail::tensors(y),
                                            detail::tensors(s.kept.q.y, s.kept.k.y, x[2]), state(sums), o...);
                },
                options...);
        });
    }

private:
    static constexpr double least_square = 1e-6;  // added to the square of a length

    // f(batch entry, first position, positions) for all positions, a block at a time.
    template <class T, class F>
    static void each_block(const view<const T>& x, detail::device_ref device, const F& f) {
        constexpr index block = 64;
        const index blocks = (x.positions() + block - 1) / block;
        detail::for_each_task(device, device.lanes(), x.batch() * blocks, [&](index, index task) {
            const index first = task % blocks * block;
            f(task / blocks, first, (math::min)(block, x.positions() - first));
        });
    }
    // The numbers of positions, which stand far apart, to rows of heads, with an offset for each head.
    template <class T>
    static void gather(const view<const T>& x, index b, index first, index n,
                       const std::type_identity_t<Eigen::Tensor<T, 1, Eigen::RowMajor>>* offsets,
                       typename tape<T>::numbers& to) {
        for (index p = first; p < first + n; ++p)
            for (index h = 0; h < x.heads(); ++h)
                to(b, h, p) = offsets == nullptr ? x(b, h, p, 0) : x(b, h, p, 0) + (*offsets)(h);
    }
    template <class Tensor>
    static void fit_like(Tensor& t, const Tensor& like) {
        detail::fit(t, like.dimension(0), like.dimension(1), like.dimension(2));
    }

    // Rows of length 1, decays and betas.
    template <class T>
    static void prepare(const std::array<view<const T>, 5>& x, const parameters<T>& w, tape<T>& kept,
                        detail::device_ref device) {
        kept.q.forward(x[0], static_cast<T>(least_square), device);
        kept.k.forward(x[1], static_cast<T>(least_square), device);
        detail::fit(kept.decays, x[3].batch(), x[3].heads(), x[3].positions());
        fit_like(kept.betas, kept.decays);
        const detail::elementwise_leaves<T>& leaf = detail::elementwise_leaves_on_target<T>();
        each_block(x[3], device, [&](index b, index first, index n) {
            gather(x[3], b, first, n, &w.decay, kept.decays);
            gather(x[4], b, first, n, nullptr, kept.betas);
            for (index h = 0; h < x[3].heads(); ++h) {
                leaf.log_decay(&kept.decays(b, h, first), n);
                leaf.sigmoid(&kept.betas(b, h, first), n);
            }
        });
    }

    // run(options…) with those of the rule.
    template <class T, class Run, class... Options>
    static void with_rule(std::string_view f, const tape<T>& kept, const Run& run,
                          const Options&... options) {
        const auto gated = [&](const auto&... o) {
            run(causal, decay(kept.decays), delta(kept.betas), o...);
        };
        detail::with_causal(
            f,
            [&](const auto&... o) {
                if constexpr (detail::count_of<option_kind::scale, std::remove_cvref_t<decltype(o)>...> == 0)
                    gated(heed::scale(1), o...);
                else
                    gated(o...);
            },
            options...);
    }
};

}  // namespace heed::inline HEED_ABI
