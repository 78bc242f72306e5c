// SPDX-License-Identifier: MIT
// tests/compile/linear.cpp: calls of linear attention that must not compile
//
// Each case is one mistake a user makes; the .cmake file beside it holds the sentence the compiler must say.
#include <heed/heed.hpp>

using tensor4 = Eigen::Tensor<float, 4, Eigen::RowMajor>;
using tensor3 = Eigen::Tensor<float, 3, Eigen::RowMajor>;

struct everything {
    tensor4 q{1, 2, 3, 4}, k{1, 2, 3, 4}, v{1, 2, 3, 4}, y{1, 2, 3, 4}, state{1, 2, 4, 5};
    tensor4 dq{1, 2, 3, 4}, dk{1, 2, 3, 4}, dv{1, 2, 3, 4};
    tensor3 g{1, 2, 3}, beta{1, 2, 3};
    heed::workspace workspace;
    heed::thread_pool pool{1};
};

void call(everything& e) {
#define ATTEND(...) heed::linear_attention_into(e.y, e.q, e.k, e.v, __VA_ARGS__)
#define BACKWARD(...) heed::linear_attention_backward_into(e.dq, e.dk, e.dv, e.y, e.q, e.k, e.v, __VA_ARGS__)
#ifdef HEED_CASE_decay_without_causal
    ATTEND(heed::decay(e.g));
#endif
#ifdef HEED_CASE_delta_without_causal
    ATTEND(heed::delta(e.beta));
#endif
#ifdef HEED_CASE_state_without_causal
    ATTEND(heed::state(e.state));
#endif
#ifdef HEED_CASE_initial_state_without_causal
    ATTEND(heed::initial_state(e.state));
#endif
#ifdef HEED_CASE_final_state_without_causal
    ATTEND(heed::final_state(e.state));
#endif
#ifdef HEED_CASE_delta_normalised
    ATTEND(heed::causal, heed::delta(e.beta), heed::normalised);
#endif
#ifdef HEED_CASE_two_maps
    ATTEND(heed::elu1, heed::relu);
#endif
#ifdef HEED_CASE_two_normalisations
    ATTEND(heed::normalised, heed::unnormalised);
#endif
#ifdef HEED_CASE_decay_twice
    ATTEND(heed::causal, heed::decay(e.g), heed::mamba2(e.g));
#endif
#ifdef HEED_CASE_delta_twice
    ATTEND(heed::causal, heed::delta(e.beta), heed::delta(e.beta));
#endif
#ifdef HEED_CASE_scale_twice
    ATTEND(heed::scale(1), heed::scale(2));
#endif
#ifdef HEED_CASE_device_twice
    ATTEND(heed::on(e.pool), heed::on(e.pool));
#endif
#ifdef HEED_CASE_workspace_twice
    ATTEND(heed::use(e.workspace), heed::use(e.workspace));
#endif
#ifdef HEED_CASE_state_and_initial_state
    ATTEND(heed::causal, heed::state(e.state), heed::initial_state(e.state));
#endif
#ifdef HEED_CASE_state_and_final_state
    ATTEND(heed::causal, heed::state(e.state), heed::final_state(e.state));
#endif
#ifdef HEED_CASE_other_mask
    ATTEND(heed::prefix(2));
#endif
#ifdef HEED_CASE_softcap_of_attention
    ATTEND(heed::softcap(2));
#endif
#ifdef HEED_CASE_gradient_in_forward
    ATTEND(heed::causal, heed::decay(e.g), heed::decay_gradient(e.g));
#endif
#ifdef HEED_CASE_number_as_option
    ATTEND(0.5f);
#endif
#ifdef HEED_CASE_tensor_as_option
    ATTEND(e.g);
#endif
#ifdef HEED_CASE_mixed_elements
    {
        Eigen::Tensor<double, 4, Eigen::RowMajor> d(1, 2, 3, 4);
        heed::linear_attention_into(e.y, e.q, d, e.v);
    }
#endif
#ifdef HEED_CASE_result_const
    {
        const tensor4& c = e.y;
        heed::linear_attention_into(c, e.q, e.k, e.v);
    }
#endif
#ifdef HEED_CASE_result_of_other_element
    {
        Eigen::Tensor<double, 4, Eigen::RowMajor> d(1, 2, 3, 4);
        heed::linear_attention_into(d, e.q, e.k, e.v);
    }
#endif
#ifdef HEED_CASE_decay_temporary
    ATTEND(heed::causal, heed::decay(tensor3(1, 2, 3)));
#endif
#ifdef HEED_CASE_delta_temporary
    ATTEND(heed::causal, heed::delta(tensor3(1, 2, 3)));
#endif
#ifdef HEED_CASE_state_temporary
    ATTEND(heed::causal, heed::state(tensor4(1, 2, 4, 5)));
#endif
#ifdef HEED_CASE_state_const
    {
        const tensor4& c = e.state;
        ATTEND(heed::causal, heed::state(c));
    }
#endif
#ifdef HEED_CASE_state_of_other_element
    {
        Eigen::Tensor<double, 4, Eigen::RowMajor> d(1, 2, 4, 5);
        ATTEND(heed::causal, heed::state(d));
    }
#endif
#ifdef HEED_CASE_backward_with_state
    BACKWARD(heed::causal, heed::state(e.state));
#endif
#ifdef HEED_CASE_backward_without_derivative
    BACKWARD(heed::feature_map([](auto x) { return x * x; }));
#endif
#ifdef HEED_CASE_decay_gradient_without_decay
    BACKWARD(heed::causal, heed::decay_gradient(e.g));
#endif
#ifdef HEED_CASE_delta_gradient_without_delta
    BACKWARD(heed::causal, heed::delta_gradient(e.beta));
#endif
#ifdef HEED_CASE_state_gradient_without_causal
    BACKWARD(heed::initial_state_gradient(e.state));
#endif
#ifdef HEED_CASE_backward_of_other_element
    {
        Eigen::Tensor<double, 4, Eigen::RowMajor> d(1, 2, 3, 4);
        heed::linear_attention_backward_into(e.dq, e.dk, e.dv, d, e.q, e.k, e.v);
    }
#endif
#ifdef HEED_CASE_linear_state_of_integers
    heed::linear_state<int> s(1, 1, 1, 1);
#endif
#ifdef HEED_CASE_linear_state_with_scale
    {
        heed::linear_state<float> s(1, 2, 4, 4);
        s.absorb(e.k, e.v, heed::scale(2));
    }
#endif
    ATTEND(heed::causal, heed::causal, heed::decay(e.g));
    BACKWARD(heed::causal, heed::decay(e.g), heed::decay_gradient(e.beta));
}
