// SPDX-License-Identifier: MIT
// tests/compile/cummax.cpp: calls of the running maximum and its attention that must not compile
//
// Each case is one mistake a user makes; the .cmake file beside it holds the sentence the compiler must say.
#include <heed/heed.hpp>

#include <vector>

using tensor4 = Eigen::Tensor<float, 4, Eigen::RowMajor>;
using tensor2 = Eigen::Tensor<float, 2, Eigen::RowMajor>;
using double4 = Eigen::Tensor<double, 4, Eigen::RowMajor>;

struct everything {
    tensor4 o{1, 2, 3, 4}, a{1, 2, 3, 4}, y{1, 2, 3, 4}, state{1, 2, 1, 4};
    tensor4 d_o{1, 2, 3, 4}, d_a{1, 2, 3, 4}, d_b{1, 2, 3, 4}, d_c{1, 2, 3, 4};
    double4 wide{1, 2, 3, 4}, wide_state{1, 2, 1, 4};
    Eigen::Tensor<std::int32_t, 4, Eigen::RowMajor> indices{1, 2, 3, 4};
    tensor2 mix{2, 10};
    std::vector<float> alpha{0.5f, 0.5f};
    heed::workspace workspace;
    heed::thread_pool pool{1};
};

inline std::vector<float> made_numbers() { return {0, 0}; }

void call(everything& e) {
    const std::array<double, 3> k{0.5, 0.5, 0.5};
    std::array<double, 3> dk{};
#define SCAN(...) heed::cummax_into(e.y, e.o, __VA_ARGS__)
#define SCAN_BACK(...) heed::cummax_backward_into(e.d_o, e.y, e.o, __VA_ARGS__)
#define ATTEND(...) heed::cummax_attention_into(e.y, e.o, e.a, e.a, __VA_ARGS__)
#define BACKWARD(...) \
    heed::cummax_attention_backward_into(e.d_o, e.d_a, e.d_b, e.y, e.o, e.a, e.a, __VA_ARGS__)
#define MAXSTATE(...) heed::maxstate_into(e.y, e.o, e.a, e.a, __VA_ARGS__)
#define SUPER(...) heed::maxstate_super_into(e.y, e.o, e.a, e.a, e.a, k, __VA_ARGS__)
#define SUPER_BACK(...)                                                                            \
    heed::maxstate_super_backward_into(e.d_o, e.d_a, e.d_b, e.d_c, dk, e.y, e.o, e.a, e.a, e.a, k, \
                                       __VA_ARGS__)
#ifdef HEED_CASE_scan_number_as_option
    SCAN(2);
#endif
#ifdef HEED_CASE_scan_axis_as_option
    SCAN(heed::along::axis::head);
#endif
#ifdef HEED_CASE_scan_along_twice
    SCAN(heed::along::head, heed::along::feature);
#endif
#ifdef HEED_CASE_scan_reverse_twice
    SCAN(heed::reverse, heed::reverse);
#endif
#ifdef HEED_CASE_scan_with_state
    SCAN(heed::state(e.state));
#endif
#ifdef HEED_CASE_scan_with_heads
    (void)heed::cummax(e.o, heed::across_heads);
#endif
#ifdef HEED_CASE_scan_with_mask
    (void)heed::cummax(e.o, heed::causal);
#endif
#ifdef HEED_CASE_scan_const
    {
        const tensor4& c = e.y;
        heed::cummax_into(c, e.o);
    }
#endif
#ifdef HEED_CASE_scan_temporary
    heed::cummax_into(tensor4(1, 2, 3, 4), e.o);
#endif
#ifdef HEED_CASE_scan_of_other_element
    heed::cummax_into(e.wide, e.o);
#endif
#ifdef HEED_CASE_scan_of_integers
    (void)heed::cummax(e.indices);
#endif
#ifdef HEED_CASE_scan_of_expression
    (void)heed::cummax(e.o + e.o);
#endif
#ifdef HEED_CASE_indices_of_floats
    heed::cummax_with_index_into(e.y, e.d_o, e.o);
#endif
#ifdef HEED_CASE_indices_too_short
    {
        Eigen::Tensor<std::int16_t, 4, Eigen::RowMajor> t(1, 2, 3, 4);
        heed::cummax_with_index_into(e.y, t, e.o);
    }
#endif
#ifdef HEED_CASE_indices_const
    {
        const auto& t = e.indices;
        heed::cummax_with_index_into(e.y, t, e.o);
    }
#endif
#ifdef HEED_CASE_indices_temporary
    heed::cummax_with_index_into(e.y, Eigen::Tensor<std::int32_t, 4, Eigen::RowMajor>(1, 2, 3, 4), e.o);
#endif
#ifdef HEED_CASE_scan_gradient_of_other_element
    heed::cummax_backward_into(e.d_o, e.wide, e.o);
#endif
#ifdef HEED_CASE_scan_gradient_const
    {
        const tensor4& c = e.d_o;
        heed::cummax_backward_into(c, e.y, e.o);
    }
#endif
#ifdef HEED_CASE_scan_backward_with_hybrid
    SCAN_BACK(heed::hybrid(0.5));
#endif
#ifdef HEED_CASE_tensor_as_option
    ATTEND(e.state);
#endif
#ifdef HEED_CASE_mask
    ATTEND(heed::causal);
#endif
#ifdef HEED_CASE_scale_of_attention
    ATTEND(heed::scale(2));
#endif
#ifdef HEED_CASE_reverse_of_scan
    ATTEND(heed::reverse);
#endif
#ifdef HEED_CASE_mix_of_maxstate
    ATTEND(heed::head_mix(e.mix));
#endif
#ifdef HEED_CASE_gradient_in_forward
    ATTEND(heed::hybrid(0.5), heed::hybrid_gradient(e.mix));
#endif
#ifdef HEED_CASE_state_twice
    ATTEND(heed::state(e.state), heed::state(e.state));
#endif
#ifdef HEED_CASE_state_and_initial_state
    ATTEND(heed::state(e.state), heed::initial_state(e.state));
#endif
#ifdef HEED_CASE_state_and_final_state
    ATTEND(heed::state(e.state), heed::final_state(e.state));
#endif
#ifdef HEED_CASE_heads_twice
    ATTEND(heed::across_heads, heed::heads_apart);
#endif
#ifdef HEED_CASE_hybrid_twice
    ATTEND(heed::hybrid(0.5), heed::hybrid(0.3));
#endif
#ifdef HEED_CASE_hybrid_apart
    ATTEND(heed::hybrid(0.5), heed::heads_apart);
#endif
#ifdef HEED_CASE_device_twice
    (void)heed::cummax_attention(e.o, e.a, e.a, heed::on(e.pool), heed::on(e.pool));
#endif
#ifdef HEED_CASE_workspace_twice
    (void)heed::cummax_attention(e.o, e.a, e.a, heed::use(e.workspace), heed::use(e.workspace));
#endif
#ifdef HEED_CASE_state_temporary
    ATTEND(heed::state(tensor4(1, 2, 1, 4)));
#endif
#ifdef HEED_CASE_hybrid_temporary
    ATTEND(heed::hybrid(made_numbers()));
#endif
#ifdef HEED_CASE_hybrid_of_object
    ATTEND(heed::hybrid(e.pool));
#endif
#ifdef HEED_CASE_state_const
    {
        const tensor4& c = e.state;
        ATTEND(heed::state(c));
    }
#endif
#ifdef HEED_CASE_state_of_other_element
    ATTEND(heed::state(e.wide_state));
#endif
#ifdef HEED_CASE_initial_state_of_other_element
    ATTEND(heed::initial_state(e.wide_state));
#endif
#ifdef HEED_CASE_state_of_halves
    {
        Eigen::Tensor<Eigen::half, 4, Eigen::RowMajor> o(1, 2, 3, 4), s(1, 2, 1, 4);
        (void)heed::cummax_attention(o, o, o, heed::state(s));
    }
#endif
#ifdef HEED_CASE_mixed_elements
    (void)heed::cummax_attention(e.o, e.wide, e.a);
#endif
#ifdef HEED_CASE_result_of_other_element
    heed::cummax_attention_into(e.wide, e.o, e.a, e.a);
#endif
#ifdef HEED_CASE_result_const
    {
        const tensor4& c = e.y;
        heed::cummax_attention_into(c, e.o, e.a, e.a);
    }
#endif
#ifdef HEED_CASE_result_temporary
    heed::cummax_attention_into(tensor4(1, 2, 3, 4), e.o, e.a, e.a);
#endif
#ifdef HEED_CASE_backward_with_state
    BACKWARD(heed::state(e.state));
#endif
#ifdef HEED_CASE_backward_const
    {
        const tensor4& c = e.d_b;
        heed::cummax_attention_backward_into(e.d_o, e.d_a, c, e.y, e.o, e.a, e.a);
    }
#endif
#ifdef HEED_CASE_backward_of_other_element
    (void)heed::cummax_attention_backward(e.wide, e.o, e.a, e.a);
#endif
#ifdef HEED_CASE_backward_state_gradient_twice
    BACKWARD(heed::initial_state_gradient(e.state), heed::initial_state_gradient(e.state));
#endif
#ifdef HEED_CASE_hybrid_gradient_alone
    {
        tensor2 t(1, 2);
        BACKWARD(heed::hybrid_gradient(t));
    }
#endif
#ifdef HEED_CASE_hybrid_gradient_of_other_element
    {
        Eigen::Tensor<double, 1, Eigen::RowMajor> t(2);
        BACKWARD(heed::hybrid(e.alpha), heed::hybrid_gradient(t));
    }
#endif
#ifdef HEED_CASE_maxstate_number_as_option
    (void)heed::maxstate(e.o, e.a, e.a, 0.5);
#endif
#ifdef HEED_CASE_maxstate_along
    (void)heed::maxstate(e.o, e.a, e.a, heed::along::head);
#endif
#ifdef HEED_CASE_maxstate_state_of_other_element
    MAXSTATE(heed::state(e.wide_state));
#endif
#ifdef HEED_CASE_maxstate_const
    {
        const tensor4& c = e.y;
        heed::maxstate_into(c, e.o, e.a, e.a);
    }
#endif
#ifdef HEED_CASE_maxstate_temporary
    heed::maxstate_into(tensor4(1, 2, 3, 4), e.o, e.a, e.a);
#endif
#ifdef HEED_CASE_maxstate_mixed_elements
    (void)heed::maxstate(e.o, e.a, e.wide);
#endif
#ifdef HEED_CASE_maxstate_backward_with_state
    (void)heed::maxstate_backward(e.y, e.o, e.a, e.a, heed::state(e.state));
#endif
#ifdef HEED_CASE_maxstate_backward_const
    {
        const tensor4& c = e.d_a;
        heed::maxstate_backward_into(e.d_o, c, e.d_b, e.y, e.o, e.a, e.a);
    }
#endif
#ifdef HEED_CASE_super_mix_twice
    SUPER(heed::head_mix(e.mix), heed::head_mix(e.mix));
#endif
#ifdef HEED_CASE_super_mix_temporary
    SUPER(heed::head_mix(tensor2(2, 10)));
#endif
#ifdef HEED_CASE_super_mix_of_other_element
    {
        Eigen::Tensor<double, 2, Eigen::RowMajor> t(2, 10);
        SUPER(heed::head_mix(t));
    }
#endif
#ifdef HEED_CASE_super_mix_gradient_in_forward
    SUPER(heed::head_mix(e.mix), heed::head_mix_gradient(e.mix));
#endif
#ifdef HEED_CASE_super_hybrid
    (void)heed::maxstate_super(e.o, e.a, e.a, e.a, k, heed::hybrid(0.5));
#endif
#ifdef HEED_CASE_super_mixed_elements
    (void)heed::maxstate_super(e.o, e.a, e.a, e.wide, k);
#endif
#ifdef HEED_CASE_super_const
    {
        const tensor4& c = e.y;
        heed::maxstate_super_into(c, e.o, e.a, e.a, e.a, k);
    }
#endif
#ifdef HEED_CASE_super_mix_gradient_alone
    SUPER_BACK(heed::head_mix_gradient(e.mix));
#endif
#ifdef HEED_CASE_super_mix_gradient_const
    {
        const tensor2& c = e.mix;
        SUPER_BACK(heed::head_mix(e.mix), heed::head_mix_gradient(c));
    }
#endif
#ifdef HEED_CASE_super_mix_gradient_of_other_element
    {
        Eigen::Tensor<double, 2, Eigen::RowMajor> t(2, 10);
        SUPER_BACK(heed::head_mix(e.mix), heed::head_mix_gradient(t));
    }
#endif
#ifdef HEED_CASE_super_backward_with_final_state
    SUPER_BACK(heed::final_state(e.state));
#endif
#ifdef HEED_CASE_state_object_of_integers
    heed::cummax_state<int> s(1, 2, 4);
#endif
#ifdef HEED_CASE_state_object_with_state
    {
        heed::cummax_state<float> s(1, 2, 4);
        (void)s.attend(e.o, e.a, e.a, heed::state(e.state));
    }
#endif
#ifdef HEED_CASE_state_object_attends_other_element
    {
        heed::cummax_state<float> s(1, 2, 4);
        (void)s.attend(e.wide, e.wide, e.wide);
    }
#endif
#ifdef HEED_CASE_state_object_absorbs_other_element
    {
        heed::cummax_state<float> s(1, 2, 4);
        s.absorb(e.wide);
    }
#endif
#ifdef HEED_CASE_state_object_absorbs_along
    {
        heed::cummax_state<float> s(1, 2, 4);
        s.absorb(e.o, heed::along::head);
    }
#endif
#ifdef HEED_CASE_state_object_into_const
    {
        const heed::cummax_state<float> s(1, 2, 4);
        const tensor4& c = e.state;
        s.finish_into(c);
    }
#endif
    SCAN(heed::along::head, heed::reverse);
    SCAN_BACK(heed::along::head);
    ATTEND(heed::state(e.state), heed::hybrid(e.alpha));
    BACKWARD(heed::initial_state(e.state));
    MAXSTATE(heed::state(e.state));
    SUPER(heed::head_mix(e.mix));
    SUPER_BACK(heed::head_mix(e.mix));
}
