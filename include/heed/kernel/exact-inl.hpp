// SPDX-License-Identifier: MIT
// heed/kernel/exact-inl.hpp: the table of exact kernels that a target offers

namespace heed {
inline namespace HEED_ABI {
namespace HEED_SIMD {

template <class E>
detail::exact_functions<E> exact_kernels() {
    return {panel_lanes<typename block<E>::T>, &block<E>::run,     &block<E>::bytes,
            &decode<E>::part,                  &decode<E>::finish, &decode<E>::bytes};
}

}  // namespace HEED_SIMD
}  // namespace HEED_ABI
}  // namespace heed
