// SPDX-License-Identifier: MIT
// heed/kernel/psa/kernels.hpp: the leaves of progressive sparse attention, compiled for every target
#pragma once

#include <heed/kernel/rows/run.hpp>
#include <heed/kernel/select/threshold.hpp>
#include <heed/kernel/sparse/polynomial.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
struct psa_leaves {
    T (*weigh)(T* s, index n, T m, const exponential_numbers<T>& e);
    void (*exponents)(T* s, index n, bool hidden, const exponential_numbers<T>& e);
    T(*weight_gradients)
    (const T* s, const T* w, index n, T m, T dot, T inverse, T* d, const exponential_numbers<T>& e);
    void (*exponent_gradients)(const T* s, const T* w, index n, T dot, T inverse, T* d,
                               const exponential_numbers<T>& e);
    T (*dot)(const T* a, const T* b, index n);
    // out[i] = <x, rows[keys[i]]>; out has room for whole packs.
    void (*chosen_dots)(const T* x, const number_rows<T>& rows, const std::int32_t* keys, index count,
                        index n, T* out);
    // to[keys[i]] += factors[i] x
    void (*add_to_chosen)(const T* factors, const T* x, const std::int32_t* keys, index count, index n,
                          T* to);
};

}  // namespace heed::inline HEED_ABI::detail

#define HEED_FOREACH <heed/kernel/psa/leaves-inl.hpp>
#include <heed/simd/foreach_target.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
const psa_leaves<T>& psa_leaves_on_target() {
    HEED_RETURN_ON_TARGET(psa_leaves<T>());
}
HEED_ONCE_FOR_SUMS(psa_leaves_on_target);

}  // namespace heed::inline HEED_ABI::detail
