// SPDX-License-Identifier: MIT
// heed/kernel/gates/gates-inl.hpp: sigmoids and decays of a row of numbers

#ifndef HEED_KERNEL_GATES_GATES_INL
#define HEED_KERNEL_GATES_GATES_INL

#include <heed/kernel/lanes-inl.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
struct gate_leaves {
    void (*sigmoid)(T* x, index n);
    void (*decay)(T* x, index n);
};

}  // namespace heed::inline HEED_ABI::detail

#define HEED_FOREACH <heed/kernel/gates/gates-inl.hpp>
#include <heed/simd/foreach_target.hpp>
#endif

#ifdef HEED_REGION
namespace heed::inline HEED_ABI::HEED_SIMD {

// ln(1 + x) for x in [0, 1]: what 1 + x loses of x, its logarithm loses in the same ratio.
template <class V>
HEED_INLINE V log_of_one_and(V x) {
    const V one = set<V>(1);
    const V sum = x + one;
    const V taken = sum - one;
    const V ratio = log(sum) / choose(taken == set<V>(0), one, taken);
    return choose(taken == set<V>(0), x, x * ratio);
}

struct sigmoid_gate {
    template <class V>
    static HEED_INLINE V of(V x) {
        return sigmoid(x);
    }
};
// -softplus(x) = ln sigmoid(-x)
struct decay_gate {
    template <class V>
    static HEED_INLINE V of(V x) {
        const V zero = set<V>(0);
        const V magnitude = choose(x < zero, -x, x);
        return -(choose(x < zero, zero, x) + log_of_one_and(exp_of_negative(-magnitude)));
    }
};

template <class Gate, class T>
HEED_NOINLINE void gate_row(T* x, index n) {
    for (index i = 0; i < n; i += lanes_of<T>)
        store_some(x + i, n - i, Gate::of(load_or<T>(x + i, n - i, T(0))));
}

template <class T>
const detail::gate_leaves<T>& gate_leaves() {
    static constexpr detail::gate_leaves<T> table{
        .sigmoid = &gate_row<sigmoid_gate, T>,
        .decay = &gate_row<decay_gate, T>,
    };
    return table;
}

}  // namespace heed::inline HEED_ABI::HEED_SIMD
#include <heed/simd/region_end.hpp>
#endif
