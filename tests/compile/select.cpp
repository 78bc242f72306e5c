// SPDX-License-Identifier: MIT
// tests/compile/select.cpp: selections by scores that must not compile
//
// Each case is one mistake a user makes; the .cmake file beside it holds the sentence the compiler must say.
#include <heed/heed.hpp>

using tensor4 = Eigen::Tensor<float, 4, Eigen::RowMajor>;

struct everything {
    tensor4 q{1, 2, 3, 4}, k{1, 2, 3, 4}, v{1, 2, 3, 4}, y{1, 2, 3, 4};
    std::vector<float> scores = {1, 2, 3};
    std::vector<int> indices = {1, 2, 3};
};

void call(everything& e) {
#define ATTEND(...) heed::attention_into(e.y, e.q, e.k, e.v, __VA_ARGS__)
#ifdef HEED_CASE_top_k_of_fractions
    ATTEND(heed::top_k(0.5));
#endif
#ifdef HEED_CASE_top_k_of_numbers
    ATTEND(heed::top_k(e.indices));
#endif
#ifdef HEED_CASE_top_fraction_of_text
    ATTEND(heed::top_fraction("0.25"));
#endif
#ifdef HEED_CASE_local_of_fractions
    ATTEND(heed::local_plus_top(0.25, 512));
#endif
#ifdef HEED_CASE_two_selectors
    ATTEND(heed::top_k(3), heed::top_fraction(0.5));
#endif
#ifdef HEED_CASE_selector_and_mask
    ATTEND(heed::causal & heed::top_k(3));
#endif
#ifdef HEED_CASE_select_of_integers
    (void)heed::select_top_k(e.indices, 2, e.indices);
#endif
#ifdef HEED_CASE_select_of_pointers
    (void)heed::select_top_k(e.scores.data(), 2, e.indices);
#endif
#ifdef HEED_CASE_select_a_share
    (void)heed::select_top_k(e.scores, 0.5, e.indices);
#endif
#ifdef HEED_CASE_select_to_numbers
    (void)heed::select_top_k(e.scores, 2, e.scores);
#endif
#ifdef HEED_CASE_select_to_long
    {
        std::vector<std::int64_t> indices(3);
        (void)heed::select_top_k(e.scores, 2, indices);
    }
#endif
#ifdef HEED_CASE_select_to_const
    {
        const std::vector<int> indices(3);
        (void)heed::select_top_k(e.scores, 2, indices);
    }
#endif
    ATTEND(heed::causal, heed::top_fraction(0.5));
    (void)heed::select_top_k(e.scores, 2, e.indices);
}
