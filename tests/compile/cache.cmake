# SPDX-License-Identifier: MIT
heed_must_not_compile(cache_of_double MESSAGE "heed::kv_cache<T>: T is float, Eigen::half, Eigen::bfloat16, heed::int8")
heed_must_not_compile(append_double MESSAGE "heed::kv_cache<T>::append: k and v hold float or T itself; convert them")
heed_must_not_compile(append_double_values MESSAGE "heed::kv_cache<T>::append: k and v hold float or T itself")
heed_must_not_compile(append_half_to_bfloat16 MESSAGE "heed::kv_cache<T>::append: k and v hold float or T itself")
heed_must_not_compile(append_double_shared MESSAGE "heed::kv_cache<T>::append: k and v hold float or T itself")
heed_must_not_compile(append_vector MESSAGE "a std::vector, std::array or std::span does not say its extents")
heed_must_not_compile(int4_of_float MESSAGE "heed::kv_cache<T>::to_int4: needs a cache of heed::int8")
