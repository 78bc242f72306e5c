// SPDX-License-Identifier: MIT
// heed/mask/strided.hpp: the nearest keys, and every l-th of all
//
//     |p - key| <= l, or (p - key) mod l = 0          p = query + (keys - queries)
//
// The strided pattern of the Sparse Transformer (arXiv 1904.10509), mirrored for keys ahead; heed::causal &
// strided(l) looks back.
//
// Cost: no storage, O(1) for a tile, which is answered exactly. But a tile holds every distance: a multiple
// of l costs every strip of queries (48 in float with AVX-512) nearly twice as many keys as it has queries,
// so that it pays from l = 256 up; below 128 all keys are computed.
#pragma once

#include <heed/mask/dilated.hpp>

namespace heed::inline HEED_ABI {
namespace detail {

struct strided_mask : mask_base {
    index stride;
    explicit strided_mask(index l) : stride(l) {}
    auto content() const { return std::tie(stride); }
    auto bind(std::string_view function, const problem_shape& shape) const {
        if (!(stride >= 1)) fail(function, {"strided got ", stride, ", needs a stride of 1 or more"});
        const index l = stride < longest_axis ? stride : longest_axis;
        return bound_steps{l, longest_axis / l * l, l, shape.keys - shape.queries};
    }
};

}  // namespace detail

// l keys on each side, and every l-th of all.
template <class L>
auto strided(const L& l) {
    static_assert(detail::whole_number<L>, "heed::strided: needs a whole number of keys");
    return detail::strided_mask(detail::index_of(l));
}

}  // namespace heed::inline HEED_ABI
