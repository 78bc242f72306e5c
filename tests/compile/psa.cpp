// SPDX-License-Identifier: MIT
// tests/compile/psa.cpp: calls of the progressive sparse family that must not compile
//
// Each case is one mistake a user makes; the .cmake file beside it holds the sentence the compiler must say.
#include <heed/heed.hpp>

using tensor4 = Eigen::Tensor<float, 4, Eigen::RowMajor>;
using double4 = Eigen::Tensor<double, 4, Eigen::RowMajor>;

struct everything {
    tensor4 q{1, 2, 3, 4}, k{1, 2, 3, 4}, v{1, 2, 3, 4}, y{1, 2, 3, 4};
    tensor4 dq{1, 2, 3, 4}, dk{1, 2, 3, 4}, dv{1, 2, 3, 4};
    double4 wide{1, 2, 3, 4};
    Eigen::Tensor<float, 3, Eigen::RowMajor> rows{1, 2, 3};
    heed::workspace workspace;
    heed::thread_pool pool{1};
    heed::precision_report report;
};

void call(everything& e) {
#define BACKWARD(...) heed::psa_backward_into(e.dq, e.dk, e.dv, e.y, e.q, e.k, e.v, __VA_ARGS__)
#ifdef HEED_CASE_two_selectors
    heed::attention(e.q, e.k, e.v, heed::psa(0.5), heed::top_k(2));
#endif
#ifdef HEED_CASE_psa_and_precision
    heed::attention(e.q, e.k, e.v, heed::psa(0.5), heed::progressive_precision(0.1));
#endif
#ifdef HEED_CASE_backward_without_psa
    BACKWARD(heed::causal);
#endif
#ifdef HEED_CASE_backward_of_top_k
    BACKWARD(heed::top_k(2));
#endif
#ifdef HEED_CASE_backward_with_softcap
    BACKWARD(heed::psa(0.5), heed::softcap(2));
#endif
#ifdef HEED_CASE_backward_with_logsumexp
    BACKWARD(heed::psa(0.5), heed::weights(e.y));
#endif
#ifdef HEED_CASE_backward_logsumexp_gradient_twice
    BACKWARD(heed::psa(0.5), heed::logsumexp_gradient(e.rows), heed::logsumexp_gradient(e.rows));
#endif
#ifdef HEED_CASE_backward_scale_twice
    BACKWARD(heed::psa(0.5), heed::scale(1), heed::scale(2));
#endif
#ifdef HEED_CASE_backward_number_as_option
    BACKWARD(heed::psa(0.5), 2);
#endif
#ifdef HEED_CASE_backward_const
    {
        const tensor4& c = e.dq;
        heed::psa_backward_into(c, e.dk, e.dv, e.y, e.q, e.k, e.v, heed::psa(0.5));
    }
#endif
#ifdef HEED_CASE_backward_of_other_element
    heed::psa_backward_into(e.dq, e.dk, e.wide, e.y, e.q, e.k, e.v, heed::psa(0.5));
#endif
#ifdef HEED_CASE_backward_mixed_elements
    heed::psa_backward(e.wide, e.q, e.k, e.v, heed::psa(0.5));
#endif
#ifdef HEED_CASE_report_temporary
    heed::progressive_precision(0.1, heed::precision_report());
#endif
#ifdef HEED_CASE_report_const
    {
        const heed::precision_report& c = e.report;
        heed::progressive_precision(0.1, c);
    }
#endif
#ifdef HEED_CASE_polynomial_number_as_option
    heed::polynomial_softmax(e.q, 4);
#endif
#ifdef HEED_CASE_polynomial_other_option
    heed::polynomial_softmax(e.q, heed::scale(2));
#endif
#ifdef HEED_CASE_polynomial_two_exponentials
    heed::polynomial_softmax(e.q, heed::cubic_exponential{}, heed::table_exponential{});
#endif
#ifdef HEED_CASE_polynomial_device_twice
    heed::polynomial_softmax(e.q, heed::on(e.pool), heed::on(e.pool));
#endif
#ifdef HEED_CASE_polynomial_workspace_twice
    heed::polynomial_softmax(e.q, heed::use(e.workspace), heed::use(e.workspace));
#endif
#ifdef HEED_CASE_polynomial_into_const
    {
        const tensor4& c = e.y;
        heed::polynomial_softmax_into(c, e.q);
    }
#endif
#ifdef HEED_CASE_polynomial_into_temporary
    heed::polynomial_softmax_into(tensor4(1, 2, 3, 4), e.q);
#endif
#ifdef HEED_CASE_polynomial_into_other_element
    heed::polynomial_softmax_into(e.wide, e.q);
#endif
#ifdef HEED_CASE_polynomial_backward_mixed_elements
    heed::polynomial_softmax_backward(e.wide, e.q);
#endif
#ifdef HEED_CASE_quantise_with_exponential
    heed::quantise_progressively(e.q, 0, {}, heed::cubic_exponential{});
#endif
#ifdef HEED_CASE_quantise_into_const
    {
        const tensor4& c = e.y;
        heed::quantise_progressively_into(c, e.q, 0, {});
    }
#endif
    heed::attention(e.q, e.k, e.v, heed::psa(0.5f), heed::causal);
    heed::attention(e.q, e.k, e.v, heed::progressive_precision(0.1, e.report));
    BACKWARD(heed::psa({.fraction = 0.5, .reading = heed::psa_reading::masked}), heed::causal);
}
