// SPDX-License-Identifier: MIT
// tests/compile/layers.cpp: calls of layers that must not compile
//
// Each case is one mistake a user makes; the .cmake file beside it holds the sentence the compiler must say.
#include <heed/heed.hpp>

using rows = Eigen::Tensor<float, 3, Eigen::RowMajor>;

struct everything {
    heed::multi_head_attention<float> mha;
    heed::multi_head_attention<float>::tape tape;
    heed::multi_head_attention<float>::parameters gradients;
    heed::projection<float> projection;
    rows x, y, dx;
    Eigen::Tensor<float, 3> reversed;
    Eigen::Tensor<double, 3, Eigen::RowMajor> doubles;
    Eigen::Tensor<float, 3, Eigen::RowMajor> lse;
};

void call(everything& e) {
#ifdef HEED_CASE_integers
    heed::multi_head_attention<int> layer;
    (void)layer;
#endif
#ifdef HEED_CASE_halves
    heed::multi_head_attention<Eigen::half> layer;
    (void)layer;
#endif
#ifdef HEED_CASE_number_as_option
    e.mha(e.x, 0.5f);
#endif
#ifdef HEED_CASE_option_of_another
    e.mha(e.x, heed::elu1);
#endif
#ifdef HEED_CASE_logsumexp
    e.mha(e.x, heed::logsumexp(e.lse));
#endif
#ifdef HEED_CASE_option_twice
    e.mha(e.x, heed::softcap(1), heed::softcap(2));
#endif
#ifdef HEED_CASE_gradient_in_forward
    e.mha(e.x, heed::bias(e.x), heed::bias_gradient(e.dx));
#endif
#ifdef HEED_CASE_weights_in_backward
    e.mha.backward(e.y, e.x, e.tape, e.gradients, heed::weights(e.dx));
#endif
#ifdef HEED_CASE_column_major
    e.mha(e.reversed);
#endif
#ifdef HEED_CASE_other_element
    e.mha(e.doubles);
#endif
#ifdef HEED_CASE_expression
    e.mha(e.x + e.x);
#endif
#ifdef HEED_CASE_result_const
    e.mha.forward_into(std::as_const(e.y), e.x, e.tape);
#endif
#ifdef HEED_CASE_result_temporary
    e.mha.forward_into(rows(1, 2, 3), e.x, e.tape);
#endif
#ifdef HEED_CASE_projection_option
    e.projection(e.x, heed::causal);
#endif
    (void)e;
}
