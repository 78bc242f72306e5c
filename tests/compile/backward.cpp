// SPDX-License-Identifier: MIT
// tests/compile/backward.cpp: calls of the backward of attention that must not compile
//
// Each case is one mistake a user makes; the .cmake file beside it holds the sentence the compiler must say.
#include <heed/heed.hpp>

using tensor4 = Eigen::Tensor<float, 4, Eigen::RowMajor>;
using tensor3 = Eigen::Tensor<float, 3, Eigen::RowMajor>;
using tensor1 = Eigen::Tensor<float, 1, Eigen::RowMajor>;

struct everything {
    tensor4 q{1, 2, 3, 4}, k{1, 2, 3, 4}, v{1, 2, 3, 4}, y{1, 2, 3, 4}, dy{1, 2, 3, 4};
    tensor4 dq{1, 2, 3, 4}, dk{1, 2, 3, 4}, dv{1, 2, 3, 4}, bias{1, 2, 3, 3}, dbias{1, 2, 3, 3};
    tensor3 lse{1, 2, 3};
    tensor1 sinks{2}, dsinks{2};
    Eigen::Tensor<double, 4, Eigen::RowMajor> wide{1, 2, 3, 4};
    Eigen::Tensor<double, 3, Eigen::RowMajor> wide_lse{1, 2, 3};
    heed::workspace workspace;
};

void call(everything& e) {
#define BACKWARD(...) \
    heed::attention_backward_into(e.dq, e.dk, e.dv, e.dy, e.q, e.k, e.v, e.y, e.lse, __VA_ARGS__)
    BACKWARD(heed::causal, heed::bias(e.bias), heed::bias_gradient(e.dbias), heed::logsumexp_gradient(e.lse));
#ifdef HEED_CASE_number_as_option
    BACKWARD(0.5f);
#endif
#ifdef HEED_CASE_lse_left_out
    heed::attention_backward_into(e.dq, e.dk, e.dv, e.dy, e.q, e.k, e.v, e.y, heed::causal);
#endif
#ifdef HEED_CASE_lse_of_double
    (void)heed::attention_backward(e.dy, e.q, e.k, e.v, e.y, e.wide_lse);
#endif
#ifdef HEED_CASE_scale_twice
    BACKWARD(heed::scale(1), heed::scale(2));
#endif
#ifdef HEED_CASE_logsumexp
    BACKWARD(heed::logsumexp(e.lse));
#endif
#ifdef HEED_CASE_maximum_and_sum
    BACKWARD(heed::maximum_and_sum(e.lse, e.lse));
#endif
#ifdef HEED_CASE_weights
    BACKWARD(heed::weights(e.bias));
#endif
#ifdef HEED_CASE_scores
    BACKWARD(heed::scores(e.bias, heed::stage::raw));
#endif
#ifdef HEED_CASE_bias_gradient_alone
    BACKWARD(heed::bias_gradient(e.dbias));
#endif
#ifdef HEED_CASE_slopes_gradient_alone
    BACKWARD(heed::slopes_gradient(e.dsinks));
#endif
#ifdef HEED_CASE_sinks_gradient_alone
    BACKWARD(heed::sinks_gradient(e.dsinks));
#endif
#ifdef HEED_CASE_gradient_twice
    BACKWARD(heed::sinks(e.sinks), heed::sinks_gradient(e.dsinks), heed::sinks_gradient(e.dsinks));
#endif
#ifdef HEED_CASE_gradient_of_double
    BACKWARD(heed::bias(e.bias), heed::bias_gradient(e.wide));
#endif
#ifdef HEED_CASE_gradient_const
    BACKWARD(heed::bias(e.bias), heed::bias_gradient(std::as_const(e.dbias)));
#endif
#ifdef HEED_CASE_gradient_temporary
    BACKWARD(heed::bias(e.bias), heed::bias_gradient(tensor4(1, 2, 3, 3)));
#endif
#ifdef HEED_CASE_gradient_in_forward
    (void)heed::attention(e.q, e.k, e.v, heed::bias(e.bias), heed::bias_gradient(e.dbias));
#endif
#ifdef HEED_CASE_logsumexp_gradient_in_forward
    (void)heed::attention(e.q, e.k, e.v, heed::logsumexp_gradient(e.lse));
#endif
#ifdef HEED_CASE_logsumexp_gradient_twice
    BACKWARD(heed::logsumexp_gradient(e.lse), heed::logsumexp_gradient(e.lse));
#endif
#ifdef HEED_CASE_logsumexp_gradient_of_double
    BACKWARD(heed::logsumexp_gradient(e.wide_lse));
#endif
#ifdef HEED_CASE_logsumexp_gradient_temporary
    BACKWARD(heed::logsumexp_gradient(tensor3(1, 2, 3)));
#endif
#ifdef HEED_CASE_logsumexp_gradient_expression
    BACKWARD(heed::logsumexp_gradient(e.lse + e.lse));
#endif
#ifdef HEED_CASE_dy_of_double
    (void)heed::attention_backward(e.wide, e.q, e.k, e.v, e.y, e.lse);
#endif
#ifdef HEED_CASE_y_of_double
    (void)heed::attention_backward(e.dy, e.q, e.k, e.v, e.wide, e.lse);
#endif
#ifdef HEED_CASE_k_of_double
    (void)heed::attention_backward(e.dy, e.q, e.wide, e.v, e.y, e.lse);
#endif
#ifdef HEED_CASE_result_of_double
    heed::attention_backward_into(e.wide, e.dk, e.dv, e.dy, e.q, e.k, e.v, e.y, e.lse);
#endif
#ifdef HEED_CASE_results_differ
    heed::attention_backward_into(e.dq, e.dk, e.wide, e.dy, e.q, e.k, e.v, e.y, e.lse);
#endif
#ifdef HEED_CASE_result_const
    heed::attention_backward_into(std::as_const(e.dq), e.dk, e.dv, e.dy, e.q, e.k, e.v, e.y, e.lse);
#endif
#ifdef HEED_CASE_result_temporary
    heed::attention_backward_into(tensor4(1, 2, 3, 4), e.dk, e.dv, e.dy, e.q, e.k, e.v, e.y, e.lse);
#endif
#ifdef HEED_CASE_score_of_one_type
    BACKWARD(heed::score([](float s, heed::at) { return s * s; }));
#endif
#ifdef HEED_CASE_selector_that_runs
    BACKWARD(heed::certified(0.9));
#endif
}
