// SPDX-License-Identifier: MIT
// heed/kernel/layers/branch-inl.hpp: a branch added to what it left, some of its numbers dropped

namespace heed {
inline namespace HEED_ABI {
namespace HEED_SIMD {

struct add_value {
    static constexpr int reads = 2, writes = 1;
    template <class V>
    static HEED_INLINE void apply(const V* x, V* y, const element_of<V>*) {
        y[0] = x[0] + x[1];
    }
};

// One pack of a row: the factor or 0 for each number. A dropped number is 0 whatever it was.
template <class T>
HEED_INLINE pack<T> kept_factors(const detail::dropout_option::kept& keep, T factor, std::int32_t query,
                                 std::int32_t first) {
    constexpr int w = lanes_of<T>;
    T factors[w];
    HEED_KEEP_LOOP
    for (int l = 0; l < w; ++l) factors[l] = keep({0, 0, query, first + l}) ? factor : T(0);
    return load(factors);
}
template <class T>
HEED_NOINLINE void drop_rows(const detail::dropout_option::kept& keep, T factor, index first, const T* x,
                             const T* branch, index rows, index n, T* y) {
    constexpr int w = lanes_of<T>;
    const pack<T> zero = set<pack<T>>(0);
    for (index r = 0; r < rows; ++r, branch += n, y += n) {
        for (index f = 0; f < n; f += w) {
            const index left = n - f;
            const pack<T> factors = kept_factors(keep, factor, static_cast<std::int32_t>(first + r),
                                                 static_cast<std::int32_t>(f));
            pack<T> b = load_or(branch + f, left, T(0));
            b = choose(factors > zero, b * factors, zero);
            if (x != nullptr) b = b + load_or(x + r * n + f, left, T(0));
            store_some(y + f, left, b);
        }
    }
}

template <class T>
const detail::branch_leaves<T>& branch_leaves() {
    static constexpr detail::branch_leaves<T> table{&elementwise<add_value, T>, &drop_rows<T>};
    return table;
}

}  // namespace HEED_SIMD
}  // namespace HEED_ABI
}  // namespace heed
