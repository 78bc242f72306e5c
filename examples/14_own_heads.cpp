// SPDX-License-Identifier: MIT
// examples/14_own_heads.cpp: an attention of one's own inside of heed's layers
//
// The mean of all values so far: one stream, no weights, a state of one sum a channel.
#include <cmath>
#include <cstdio>

#include <heed/layers.hpp>

struct mean_heads : heed::heads_base {
    static constexpr int streams = 1;
    static heed::stream_shape stream_of(const heed::attention_config& c, int) {
        return {c.heads, c.head_dim, false};
    }
    static heed::index value_dim(const heed::attention_config& c) { return c.head_dim; }
    static constexpr bool takes(heed::option_kind) { return false; }
    // What a stream carries.
    template <class T>
    struct stream_state {
        Eigen::Tensor<T, 3, Eigen::RowMajor> sums{0, 0, 0};
        heed::index count = 0;
    };

    template <class T, class... Options>
    static void extend(std::string_view, const heed::view<T>& y, const std::array<heed::view<const T>, 1>& u,
                       const parameters<T>&, stream_state<T>& s, const Options&...) {
        const auto& v = u[0];
        if (s.count == 0) s.sums.resize(v.batch(), v.heads(), v.features()), s.sums.setZero();
        for (heed::index p = 0; p < v.positions(); ++p, ++s.count)
            for (heed::index b = 0; b < v.batch(); ++b)
                for (heed::index h = 0; h < v.heads(); ++h)
                    for (heed::index f = 0; f < v.features(); ++f)
                        y(b, h, p, f) = (s.sums(b, h, f) += v(b, h, p, f)) / static_cast<T>(s.count + 1);
    }
    template <class T, class... Options>
    static void forward(std::string_view f, const heed::view<T>& y,
                        const std::array<heed::view<const T>, 1>& u, const parameters<T>& w, tape<T>&,
                        const Options&...) {
        stream_state<T> fresh;
        extend(f, y, u, w, fresh);
    }
    // dv[p] = sum over q >= p of dy[q] / (q + 1).
    template <class T, class... Options>
    static void backward(std::string_view, const std::array<heed::view<T>, 1>& du,
                         const heed::view<const T>& dy, const std::array<heed::view<const T>, 1>&,
                         const heed::view<const T>&, const parameters<T>&, const tape<T>&, parameters<T>&,
                         const Options&...) {
        const auto& dv = du[0];
        for (heed::index b = 0; b < dv.batch(); ++b)
            for (heed::index h = 0; h < dv.heads(); ++h)
                for (heed::index f = 0; f < dv.features(); ++f) {
                    T sum = 0;
                    for (heed::index p = dv.positions(); p-- > 0;)
                        dv(b, h, p, f) = sum += dy(b, h, p, f) / static_cast<T>(p + 1);
                }
    }
};
static_assert(heed::concepts::heads<mean_heads>);

int main() {
    const heed::encoder_layer<double, mean_heads> layer({.attention = {.width = 8, .heads = 2}}, 1);
    Eigen::Tensor<double, 3, Eigen::RowMajor> x(1, 5, 8), dy(1, 5, 8);
    x.setRandom(), dy.setRandom();
    heed::encoder_layer<double, mean_heads>::tape tape;
    auto gradients = heed::zeros_like(layer.weights);
    const auto y = layer.forward(x, tape);
    const auto dx = layer.backward(dy, x, tape, gradients);

    // A gradient against a difference, and a stream against the whole.
    const auto loss = [&](double step) {
        auto moved = x;
        moved(0, 1, 3) += step;
        return Eigen::Tensor<double, 0, Eigen::RowMajor>((layer(moved) * dy).sum())();
    };
    const double slope = (loss(1e-6) - loss(-1e-6)) / 2e-6;
    heed::encoder_layer<double, mean_heads>::stream stream;
    const auto first = layer.extend(x, stream);
    std::printf("gradient %.6f, by differences %.6f\n", dx(0, 1, 3), slope);
    return std::fabs(dx(0, 1, 3) - slope) < 1e-6 && first(0, 4, 7) == y(0, 4, 7) ? 0 : 1;
}
