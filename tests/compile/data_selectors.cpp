// SPDX-License-Identifier: MIT
// tests/compile/data_selectors.cpp: selectors of keys that are called with the wrong types
//
// Each case is one mistake a user makes; the .cmake file beside it holds the sentence the compiler must say.
#include <heed/heed.hpp>
#include <heed/sparse.hpp>

#include <vector>

using tensor4 = Eigen::Tensor<float, 4, Eigen::RowMajor>;

struct everything {
    tensor4 q{1, 2, 3, 4}, k{1, 2, 5, 4}, v{1, 2, 5, 4}, y{1, 2, 3, 4};
    std::vector<int> numbers{1, 2};
};

void call(everything& e) {
#define ATTEND(...) heed::attention_into(e.y, e.q, e.k, e.v, __VA_ARGS__)
#ifdef HEED_CASE_vertical_slash_of_share
    ATTEND(heed::vertical_slash(0.1, 0.2));
#endif
#ifdef HEED_CASE_vertical_slash_of_range
    ATTEND(heed::vertical_slash(e.numbers, 100));
#endif
#ifdef HEED_CASE_entropy_budget_of_share
    ATTEND(heed::entropy_budget(0.1f, 0.5f));
#endif
#ifdef HEED_CASE_entropy_budget_of_text
    ATTEND(heed::entropy_budget("64", "128"));
#endif
#ifdef HEED_CASE_entropy_budget_kappa_of_text
    ATTEND(heed::entropy_budget(64, 128, "1"));
#endif
#ifdef HEED_CASE_lsh_of_share
    ATTEND(heed::lsh(2, 0.5, 1));
#endif
#ifdef HEED_CASE_lsh_seed_of_real
    ATTEND(heed::lsh(2, 16, 0.5));
#endif
#ifdef HEED_CASE_two_selectors
    ATTEND(heed::lsh(2, 16, 1), heed::vertical_slash(30, 100));
#endif
#ifdef HEED_CASE_selector_as_mask
    ATTEND(heed::causal & heed::vertical_slash(30, 100));
#endif
    ATTEND(heed::causal, heed::vertical_slash(30u, 100L));
}
