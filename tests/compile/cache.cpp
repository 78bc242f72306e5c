// SPDX-License-Identifier: MIT
// tests/compile/cache.cpp: caches of keys and values that must not compile
//
// Each case is one mistake a user makes; the .cmake file beside it holds the sentence the compiler must say.
#include <vector>

#include <heed/kv_cache.hpp>
#include <heed/sparse.hpp>

using tensor4 = Eigen::Tensor<float, 4, Eigen::RowMajor>;
using double4 = Eigen::Tensor<double, 4, Eigen::RowMajor>;
using half4 = Eigen::Tensor<Eigen::half, 4, Eigen::RowMajor>;

struct everything {
    tensor4 k{1, 2, 5, 4};
    double4 wide{1, 2, 5, 4};
    half4 narrow{1, 2, 5, 4};
    std::vector<int> lengths{5};
    std::vector<float> numbers{1, 2, 3};
    heed::kv_cache<float> cache{1, 2, 4};
    heed::kv_cache<Eigen::bfloat16> bfloat16_cache{1, 2, 4};
    heed::kv_cache<heed::int8> int8_cache{1, 2, 4, {.shared = true}};
};

void call(everything& e) {
    e.cache.append(e.k, e.k, e.lengths);
    e.int8_cache.append(e.k, e.lengths);
    const heed::kv_cache<heed::int4> smaller = e.int8_cache.to_int4();
#ifdef HEED_CASE_cache_of_double
    heed::kv_cache<double> cache(1, 2, 4);
#endif
#ifdef HEED_CASE_append_double
    e.cache.append(e.wide, e.wide);
#endif
#ifdef HEED_CASE_append_double_values
    e.int8_cache.append(e.k, e.wide, e.lengths);
#endif
#ifdef HEED_CASE_append_half_to_bfloat16
    e.bfloat16_cache.append(e.narrow, e.narrow);
#endif
#ifdef HEED_CASE_append_double_shared
    e.int8_cache.append(e.wide);
#endif
#ifdef HEED_CASE_append_vector
    e.cache.append(e.numbers, e.numbers);
#endif
#ifdef HEED_CASE_attend_double
    (void)heed::attention(e.wide, e.cache);
#endif
#ifdef HEED_CASE_attend_with_selector
    (void)heed::attention(e.k, e.cache, heed::top_fraction(0.5));
#endif
#ifdef HEED_CASE_int4_of_float
    (void)e.cache.to_int4();
#endif
}
