// SPDX-License-Identifier: MIT
// bench/text_input.cpp: hashed n-gram embeddings, sinusoidal positions, seeded projections
#include "text_input.hpp"

#include <array>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <utility>

#include "random.hpp"

namespace heed_bench {
namespace {

constexpr int width = 128;  // features of a token before the projections
constexpr int longest = 4;  // bytes in the longest n-gram

using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

matrix projection(std::uint64_t seed, size columns) {
    matrix w(width, columns);
    for (size i = 0; i < w.size(); ++i)
        w.data()[i] = normal(seed + std::uint64_t(i)) / std::sqrt(float(width));
    return w;
}

matrix tokens(const std::string& text, std::size_t start, size positions) {
    const std::size_t n = text.size();
    matrix x(positions, width);
    for (size p = 0; p < positions; ++p) {
        auto row = x.row(p);
        for (size i = 0; i < width / 2; ++i) {  // wavelengths from 2 pi to 10,000 x 2 pi positions
            const double angle = double(p) * std::pow(1e-4, 2.0 * double(i) / width);
            row[2 * i] = float(std::sin(angle));
            row[2 * i + 1] = float(std::cos(angle));
        }
        std::uint64_t hash = 0;
        for (int length = 1; length <= longest; ++length) {
            const std::size_t back = std::size_t(length - 1);
            const auto byte = static_cast<unsigned char>(text[(start + std::size_t(p) + n - back % n) % n]);
            hash = mix(hash ^ (byte + 256u * unsigned(length)));
            const float weight = 1.0f / std::sqrt(float(length));
            for (int i = 0; i < width; ++i) row[i] += weight * normal(hash + std::uint64_t(i));
        }
        row *= std::sqrt(float(width)) / row.norm();
    }
    return x;
}

using plane = Eigen::Map<matrix>;

plane head_of(tensor& t, size batch, size head) {
    const size rows = t.dimension(2), columns = t.dimension(3);
    return plane(t.data() + (batch * t.dimension(1) + head) * rows * columns, rows, columns);
}

}  // namespace

text_input text_input::from_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    text_input input;
    input.path_ = path;
    input.text_.assign(std::istreambuf_iterator<char>(file), {});
    if (!file) throw std::runtime_error("cannot read the text " + path);
    if (input.text_.empty()) throw std::runtime_error("the text " + path + " is empty");
    return input;
}

std::string text_input::name() const {
    return path_.substr(path_.find_last_of('/') + 1) + " (" + std::to_string((text_.size() + 500) / 1000) +
           " KB)";
}

problem text_input::make(const shape& s) const {
    constexpr std::uint64_t seed = 0x68656564;
    constexpr float shared = 0.5f;  // correlation of a key projection with its query projection
    const size group = s.heads / s.kv_heads;
    problem p{s, tensor(s.batch, s.heads, s.queries, s.head_dim),
              tensor(s.batch, s.kv_heads, s.keys, s.head_dim),
              tensor(s.batch, s.kv_heads, s.keys, s.head_dim)};
    for (size b = 0; b < s.batch; ++b) {
        const matrix x = tokens(text_, std::size_t(b) * text_.size() / std::size_t(s.batch), s.keys);
        for (size kv = 0; kv < s.kv_heads; ++kv) {
            const auto draw = [&](int which, size head) {
                return projection(mix(seed + std::uint64_t(which)) + (std::uint64_t(head) << 32), s.head_dim);
            };
            const matrix common = draw(0, kv);
            const float rest = std::sqrt(1 - shared);
            const float part = std::sqrt(shared);
            head_of(p.k, b, kv).noalias() = x * (part * common + rest * draw(1, kv));
            head_of(p.v, b, kv).noalias() = x * draw(2, kv);
            for (size head = kv * group; head < (kv + 1) * group; ++head) {
                const float temperature = 1 + 2 * (float(head) + 0.5f) / float(s.heads);
                const matrix w = temperature * (part * common + rest * draw(3, head));
                head_of(p.q, b, head).noalias() = x.bottomRows(s.queries) * w;
            }
        }
    }
    return p;
}

problem white_noise(const shape& s) {
    problem p{s, tensor(s.batch, s.heads, s.queries, s.head_dim),
              tensor(s.batch, s.kv_heads, s.keys, s.head_dim),
              tensor(s.batch, s.kv_heads, s.keys, s.head_dim)};
    std::uint64_t key = 0;
    for (tensor* t : {&p.q, &p.k, &p.v})
        for (size i = 0; i < t->size(); ++i) t->data()[i] = normal(key++);
    return p;
}

}  // namespace heed_bench
