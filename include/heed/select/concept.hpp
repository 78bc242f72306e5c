// SPDX-License-Identifier: MIT
// heed/select/concept.hpp: what a selector is: an option that chooses keys from the data
//
// A selector stands beside the masks of a call and keeps some of the keys that they let through. One of your
// own derives from heed::selector_base and makes a mask (heed/mask/concept.hpp) of the queries and keys it
// sees, once a call:
//
//     struct loud_keys : heed::selector_base {
//         template <class T>
//         auto select(const heed::view<const T>& q, const heed::view<const T>& k) const { … a mask … }
//     };
//
// (examples/13_own_selector.cpp). It sees what masks hide too: what enters the choice of a row must not
// depend on keys that the row may not look at. attention_backward asks once more.
//
// Ours work on what the kernels are given (kernel/exact/problem.hpp). A selector checks its numbers and what
// it needs of the inputs,
//
//     selector.validate(function, inputs)                  throws heed::error
//
// and then does one of two things. One that can tell before the scores are known, from a cheap estimate,
// makes a mask out of the data, and the exact kernels run under both:
//
//     bound = selector.choose(inputs, mask, device, workspace)
//
// bound answers classify(tile) and lanes(block) as every bound mask does (mask/concept.hpp), and holds
// pointers into workspace::part::selection at most. One that needs the scores themselves runs the problem
// with a kernel of its own:
//
//     selector.run(problem, mask, device, workspace)
//
// heed::attention_backward asks a selector to choose once more. One that runs the problem has a backward if
// it can say which keys it kept, as a bound mask in the place of the one above:
//
//     bound = selector.keep(problem, device, workspace)
//
// Inputs and problem are checked and complete; `mask` is the bound mask of the call, which the problem's
// score program holds too. What a mask hides from every query of a call enters no estimate. Choices depend on
// the row (or the group of heads that shares keys), never on threads. A selector that some options would
// prove wrong has beside<Options...>() with a static_assert for each; one that writes coverage(t) says
// `guarantees_mass = true`.
#pragma once

#include <heed/kernel/exact/problem.hpp>

namespace heed::inline HEED_ABI {

// What selectors derive from.
using selector_base = detail::option<option_kind::select>;

namespace concepts {

// A selector, ours or a caller's.
template <class S>
concept selector =
    detail::option_of_kind<S, option_kind::select> &&
    (requires(const S& s, const view<const float>& x) {
        { detail::bind_mask(s.select(x, x), std::string_view(), problem_shape()) } -> bound_mask;
    } || requires(const S& s, std::string_view function, const detail::exact_inputs<float>& p) {
        s.validate(function, p);
    });

}  // namespace concepts
}  // namespace heed::inline HEED_ABI
