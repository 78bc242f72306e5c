// SPDX-License-Identifier: MIT
// Compiled twice, with different -m flags; UNIT names the function.
//
// The tensors are maps: Eigen's own allocation differs between such units (it aligns to the widest vector
// of the unit) while its functions share their names, so a tensor made in one may be freed as in the
// other. That is Eigen's to solve, with EIGEN_MAX_ALIGN_BYTES; heed must be right without it.
#include <heed/attention.hpp>

#include <array>
#include <cmath>
#include <cstddef>

// Equal keys give equal weights, so every output is the mean of the values: here (keys - 1) / 2 + feature.
bool UNIT() {
    constexpr std::size_t heads = 2, queries = 70, keys = 131, features = 24;
    static std::array<float, heads * queries * features> query, output, causal_output;
    static std::array<float, keys * features> key, value;
    query.fill(0.5f);
    key.fill(0.25f);
    for (std::size_t i = 0; i < keys * features; ++i) value[i] = float(i / features + i % features);

    using map = Eigen::TensorMap<Eigen::Tensor<float, 4, Eigen::RowMajor>>;
    const Eigen::array<Eigen::Index, 4> per_query{1, heads, queries, features}, per_key{1, 1, keys, features};
    map q(query.data(), per_query), k(key.data(), per_key), v(value.data(), per_key);
    map y(output.data(), per_query), z(causal_output.data(), per_query);
    heed::attention_into(y, q, k, v);
    heed::attention_into(z, q, k, v, heed::causal_from(0));

    for (std::size_t i = 0; i < heads * queries * features; ++i) {
        const float feature = float(i % features), row = float(i / features % queries);
        if (std::abs(output[i] - feature - 0.5f * float(keys - 1)) > 1e-3f) return false;
        if (std::abs(causal_output[i] - feature - 0.5f * row) > 1e-3f) return false;
    }
    return true;
}
