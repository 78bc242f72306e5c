// SPDX-License-Identifier: MIT
// tests/compile/tensors.cpp: tensors that would be read wrongly, and element types that do not fit
#include <heed/heed.hpp>

#include <array>
#include <vector>

using tensor4 = Eigen::Tensor<float, 4, Eigen::RowMajor>;
using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

void call(tensor4& y, tensor4& q, const tensor4& k, const tensor4& v) {
#ifdef HEED_CASE_array_as_key
    {
        std::array<float, 24> a{};
        (void)heed::attention(q, a, v);
    }
#endif
#ifdef HEED_CASE_vector_as_result
    {
        std::vector<float> a(24);
        heed::attention_into(a, q, k, v);
    }
#endif
#ifdef HEED_CASE_vector_as_bias
    {
        std::vector<float> a(24);
        (void)heed::attention(q, k, v, heed::bias(a));
    }
#endif
#ifdef HEED_CASE_vector_as_mask
    {
        std::vector<bool> a(24);
        (void)heed::attention(q, k, v, heed::mask(a));
    }
#endif
#ifdef HEED_CASE_vector_as_logsumexp
    {
        std::vector<float> a(24);
        (void)heed::attention(q, k, v, heed::logsumexp(a));
    }
#endif
#ifdef HEED_CASE_vector_of_a_layer
    {
        std::vector<float> a(24);
        (void)heed::layer_norm<float>({.width = 8})(a);
    }
#endif
#ifdef HEED_CASE_vector_in_linear
    {
        std::vector<float> a(24);
        (void)heed::linear_attention(a, a, a);
    }
#endif
#ifdef HEED_CASE_vector_in_cummax
    {
        std::vector<float> a(24);
        (void)heed::cummax(a);
    }
#endif
#ifdef HEED_CASE_c_array_as_query
    {
        float a[24] = {};
        (void)heed::attention(a, k, v);
    }
#endif
#ifdef HEED_CASE_number_as_query
    (void)heed::attention(1.5f, k, v);
#endif
#ifdef HEED_CASE_reversed_row_major
    (void)heed::reversed(q);
#endif
#ifdef HEED_CASE_reversed_matrix
    {
        Eigen::MatrixXf m(3, 4);
        (void)heed::reversed(m);
    }
#endif
#ifdef HEED_CASE_reversed_temporary
    (void)heed::reversed(Eigen::Tensor<float, 4>(4, 3, 2, 1));
#endif
#ifdef HEED_CASE_bshd_temporary
    (void)heed::bshd(tensor4(1, 3, 2, 4));
#endif
#ifdef HEED_CASE_split_heads_temporary
    (void)heed::split_heads(Eigen::Tensor<float, 3, Eigen::RowMajor>(1, 3, 8), 2);
#endif
#ifdef HEED_CASE_rank_5
    {
        Eigen::Tensor<float, 5, Eigen::RowMajor> t(1, 1, 1, 1, 1);
        (void)heed::attention(t, t, t);
    }
#endif
#ifdef HEED_CASE_rank_1
    {
        Eigen::Tensor<float, 1, Eigen::RowMajor> t(4);
        (void)heed::attention(t, t, t);
    }
#endif
#ifdef HEED_CASE_integer_tensor
    {
        Eigen::Tensor<int, 4, Eigen::RowMajor> t(1, 1, 1, 1);
        (void)heed::attention(t, t, t);
    }
#endif
#ifdef HEED_CASE_integer_view
    {
        heed::view<int> t;
        (void)t;
    }
#endif
#ifdef HEED_CASE_mixed_elements
    {
        Eigen::Tensor<double, 4, Eigen::RowMajor> d(1, 2, 5, 4);
        (void)heed::attention(q, d, v);
    }
#endif
#ifdef HEED_CASE_mixed_values
    {
        Eigen::Tensor<Eigen::half, 4, Eigen::RowMajor> h(1, 2, 5, 4);
        (void)heed::attention(q, k, h);
    }
#endif
#ifdef HEED_CASE_result_of_other_element
    {
        Eigen::Tensor<double, 4, Eigen::RowMajor> d(1, 2, 3, 4);
        heed::attention_into(d, q, k, v);
    }
#endif
#ifdef HEED_CASE_const_result
    {
        const tensor4& c = y;
        heed::attention_into(c, q, k, v);
    }
#endif
#ifdef HEED_CASE_state_of_integers
    heed::softmax_state<int> s(1, 1, 1, 1);
#endif
#ifdef HEED_CASE_state_with_logsumexp
    {
        heed::softmax_state<float> s(1, 2, 3, 4);
        Eigen::Tensor<float, 3, Eigen::RowMajor> lse(1, 2, 3);
        s.absorb(q, k, v, heed::logsumexp(lse));
    }
#endif
#ifdef HEED_CASE_state_with_sinks
    {
        heed::softmax_state<float> s(1, 2, 3, 4);
        const std::vector<float> sinks{0, 0};
        s.absorb(q, k, v, heed::sinks(sinks));
    }
#endif
#ifdef HEED_CASE_expression_as_query
    (void)heed::attention(q + q, k, v);
#endif
#ifdef HEED_CASE_expression_as_key
    heed::attention_into(y, q, k * 2.0f, v);
#endif
#ifdef HEED_CASE_expression_of_matrices
    {
        matrix m(3, 4);
        (void)heed::attention(m, m * 2, m);
    }
#endif
#ifdef HEED_CASE_slice_as_result
    heed::attention_into(y.chip(0, 0), q, k, v);
#endif
#ifdef HEED_CASE_expression_in_bshd
    (void)heed::bshd(q + q);
#endif
#ifdef HEED_CASE_expression_in_split_heads
    {
        matrix m(3, 4);
        (void)heed::split_heads(m * m, 2);
    }
#endif
#ifdef HEED_CASE_pointer_as_query
    (void)heed::attention(q.data(), k, v);
#endif
#ifdef HEED_CASE_vector_as_query
    {
        const std::vector<float> x(24);
        (void)heed::attention(x, x, x);
    }
#endif
#ifdef HEED_CASE_bool_as_query
    {
        Eigen::Tensor<bool, 4, Eigen::RowMajor> b(1, 2, 5, 4);
        heed::attention_into(y, b, b, b);
    }
#endif
#ifdef HEED_CASE_bshd_of_matrix
    {
        matrix m(3, 4);
        (void)heed::bshd(m);
    }
#endif
#ifdef HEED_CASE_mixed_elements_into
    {
        Eigen::Tensor<double, 4, Eigen::RowMajor> d(1, 2, 5, 4);
        heed::attention_into(y, q, d, v);
    }
#endif
#ifdef HEED_CASE_result_temporary
    heed::attention_into(tensor4(1, 2, 3, 4), q, k, v);
#endif
#ifdef HEED_CASE_state_of_other_element
    {
        heed::softmax_state<float> s(1, 2, 3, 4);
        Eigen::Tensor<double, 4, Eigen::RowMajor> d(1, 2, 5, 4);
        s.absorb(d, d, d);
    }
#endif
#ifdef HEED_CASE_state_without_option
    {
        heed::softmax_state<float> s(1, 2, 3, 4);
        s.absorb(q, k, v, 3);
    }
#endif
#ifdef HEED_CASE_state_into_const
    {
        const heed::softmax_state<float> s(1, 2, 3, 4);
        s.finish_into(k);
    }
#endif
#ifdef HEED_CASE_merge_into_const
    {
        Eigen::Tensor<float, 3, Eigen::RowMajor> lse(1, 2, 3);
        heed::merge(k, lse, y, lse);
    }
#endif
#ifdef HEED_CASE_merge_of_other_logsumexp
    {
        Eigen::Tensor<double, 3, Eigen::RowMajor> lse(1, 2, 3);
        heed::merge(y, lse, k, lse);
    }
#endif
    heed::attention_into(y, q, k, v);
}
