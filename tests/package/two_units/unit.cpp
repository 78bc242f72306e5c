// SPDX-License-Identifier: MIT
// Compiled twice, with different -m flags; UNIT names the function.
#include <heed/attention.hpp>

#include <cmath>

// Equal keys give equal weights, so every output is the mean of the values: here (keys - 1) / 2 + feature.
bool UNIT() {
  constexpr int queries = 70, keys = 131, features = 24;
  Eigen::Tensor<float, 4, Eigen::RowMajor> q(1, 2, queries, features), k(1, 1, keys, features),
      v(1, 1, keys, features);
  q.setConstant(0.5f);
  k.setConstant(0.25f);
  for (int key = 0; key < keys; ++key)
    for (int feature = 0; feature < features; ++feature) v(0, 0, key, feature) = float(key + feature);
  const Eigen::Tensor<float, 4, Eigen::RowMajor> y = heed::attention(q, k, v);
  const Eigen::Tensor<float, 4, Eigen::RowMajor> z = heed::attention(q, k, v, heed::causal_from(0));
  for (int head = 0; head < 2; ++head)
    for (int query = 0; query < queries; ++query)
      for (int feature = 0; feature < features; ++feature) {
        if (std::abs(y(0, head, query, feature) - float(feature) - 65.0f) > 1e-3f) return false;
        if (std::abs(z(0, head, query, feature) - float(feature) - 0.5f * float(query)) > 1e-3f) return false;
      }
  return true;
}
