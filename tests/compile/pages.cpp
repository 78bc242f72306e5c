// SPDX-License-Identifier: MIT
// tests/compile/pages.cpp: selections of pages that must not compile
//
// Each case is one mistake a user makes; the .cmake file beside it holds the sentence the compiler must say.
#include <heed/heed.hpp>

using tensor4 = Eigen::Tensor<float, 4, Eigen::RowMajor>;
using double4 = Eigen::Tensor<double, 4, Eigen::RowMajor>;

struct everything {
    tensor4 q{1, 4, 3, 4}, k{1, 2, 5, 4}, v{1, 2, 5, 4}, y{1, 4, 3, 4}, bias{1, 4, 3, 5};
    double4 wide{1, 2, 5, 4};
    Eigen::Tensor<float, 3, Eigen::RowMajor> kept{1, 4, 3};
    Eigen::Tensor<double, 3, Eigen::RowMajor> wide_kept{1, 4, 3};
    heed::page_bounds<float> bounds{1, 2, 4, 16};
    heed::page_bounds<double> wide_bounds{1, 2, 4, 16};
};

void call(everything& e) {
#define CALL(...) heed::attention_into(e.y, e.q, e.k, e.v, __VA_ARGS__)
#ifdef HEED_CASE_bounds_of_half
    heed::page_bounds<Eigen::half> bounds(1, 2, 4, 16);
#endif
#ifdef HEED_CASE_append_other_element
    e.bounds.append(e.wide);
#endif
#ifdef HEED_CASE_quest_of_fractions
    CALL(heed::quest(16.0, 1024));
#endif
#ifdef HEED_CASE_quest_budget_of_fractions
    CALL(heed::quest(16, 0.25));
#endif
#ifdef HEED_CASE_quest_temporary
    CALL(heed::quest(heed::page_bounds<float>(1, 2, 4, 16), 1024));
#endif
#ifdef HEED_CASE_quest_of_tensor
    CALL(heed::quest(e.k, 1024));
#endif
#ifdef HEED_CASE_quest_other_element
    CALL(heed::quest(e.wide_bounds, 1024));
#endif
#ifdef HEED_CASE_certified_other_element
    CALL(heed::certified(0.99, e.wide_bounds));
#endif
#ifdef HEED_CASE_two_selectors
    CALL(heed::quest(16, 1024), heed::certified(0.99));
#endif
#ifdef HEED_CASE_certified_of_page
    CALL(heed::certified(0.99, 16));
#endif
#ifdef HEED_CASE_certified_temporary
    CALL(heed::certified(0.99, heed::page_bounds<float>(1, 2, 4, 16)));
#endif
#ifdef HEED_CASE_certified_with_bias
    CALL(heed::certified(0.99), heed::bias(e.bias));
#endif
#ifdef HEED_CASE_certified_with_alibi
    CALL(heed::certified(0.99), heed::alibi());
#endif
#ifdef HEED_CASE_certified_with_score
    CALL(heed::certified(0.99), heed::score([](auto s, heed::at) { return s; }));
#endif
#ifdef HEED_CASE_certified_with_scores
    CALL(heed::certified(0.99), heed::scores(e.bias, heed::stage::raw));
#endif
#ifdef HEED_CASE_coverage_alone
    CALL(heed::coverage(e.kept));
#endif
#ifdef HEED_CASE_coverage_of_quest
    CALL(heed::quest(16, 1024), heed::coverage(e.kept));
#endif
#ifdef HEED_CASE_coverage_twice
    CALL(heed::certified(0.99), heed::coverage(e.kept), heed::coverage(e.kept));
#endif
#ifdef HEED_CASE_coverage_temporary
    CALL(heed::certified(0.99), heed::coverage(Eigen::Tensor<float, 3, Eigen::RowMajor>(1, 4, 3)));
#endif
#ifdef HEED_CASE_coverage_double_for_float
    CALL(heed::certified(0.99), heed::coverage(e.wide_kept));
#endif
    e.bounds.append(e.k);
    CALL(heed::quest(e.bounds, 1024));
    CALL(heed::certified(0.99, e.bounds), heed::coverage(e.kept), heed::softcap(30), heed::causal);
}
