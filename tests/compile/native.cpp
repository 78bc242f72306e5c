// SPDX-License-Identifier: MIT
// tests/compile/native.cpp: calls of native sparse attention that must not compile
//
// Each case is one mistake a user makes; the .cmake file beside it holds the sentence the compiler must say.
#include <heed/heed.hpp>

using tensor4 = Eigen::Tensor<float, 4, Eigen::RowMajor>;
using doubles = Eigen::Tensor<double, 4, Eigen::RowMajor>;

struct everything {
    tensor4 q{1, 2, 3, 4}, k{1, 2, 3, 4}, v{1, 2, 3, 4}, gates{1, 2, 3, 3}, y{1, 2, 3, 4};
    tensor4 dq{1, 2, 3, 4}, dk{1, 2, 3, 4}, dv{1, 2, 3, 4}, dgates{1, 2, 3, 3};
    doubles d{1, 2, 3, 4};
    heed::compressed_keys<float> means{1, 2, 4, 4};
    heed::workspace workspace;
    heed::thread_pool pool{1};
};
tensor4 new_tensor();

void call(everything& e) {
#define ATTEND(...) heed::native_sparse_attention_into(e.y, e.q, e.k, e.v, e.gates, __VA_ARGS__)
#define BACKWARD(dq, dk, dv, dgates, ...) \
    heed::native_sparse_attention_backward_into(dq, dk, dv, dgates, e.y, e.q, e.k, e.v, e.gates, __VA_ARGS__)
#ifdef HEED_CASE_number_as_option
    ATTEND(0.5f);
#endif
#ifdef HEED_CASE_mask
    ATTEND(heed::causal_from(0));
#endif
#ifdef HEED_CASE_gradient_in_forward
    ATTEND(heed::compressed(e.means), heed::compressed_gradient(e.dk, e.dv));
#endif
#ifdef HEED_CASE_logsumexp_gradient
    BACKWARD(e.dq, e.dk, e.dv, e.dgates, heed::logsumexp_gradient(e.q));
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
#ifdef HEED_CASE_blocks_twice
    ATTEND(heed::native_blocks{.window = 4}, heed::native_blocks{});
#endif
#ifdef HEED_CASE_compressed_twice
    ATTEND(heed::compressed(e.means), heed::compressed(e.k, e.v));
#endif
#ifdef HEED_CASE_mixed_elements
    heed::native_sparse_attention(e.q, e.d, e.v, e.gates);
#endif
#ifdef HEED_CASE_gates_of_other_element
    heed::native_sparse_attention(e.q, e.k, e.v, e.d);
#endif
#ifdef HEED_CASE_result_of_other_element
    heed::native_sparse_attention_into(e.d, e.q, e.k, e.v, e.gates);
#endif
#ifdef HEED_CASE_result_const
    heed::native_sparse_attention_into(std::as_const(e.y), e.q, e.k, e.v, e.gates);
#endif
#ifdef HEED_CASE_result_temporary
    heed::native_sparse_attention_into(new_tensor(), e.q, e.k, e.v, e.gates);
#endif
#ifdef HEED_CASE_compressed_of_tensor
    ATTEND(heed::compressed(e.k));
#endif
#ifdef HEED_CASE_compressed_temporary
    ATTEND(heed::compressed(heed::compressed_keys<float>(1, 2, 4, 4)));
#endif
#ifdef HEED_CASE_compressed_tensor_temporary
    ATTEND(heed::compressed(e.k, new_tensor()));
#endif
#ifdef HEED_CASE_compressed_of_other_element
    ATTEND(heed::compressed(e.d, e.d));
#endif
#ifdef HEED_CASE_compressed_mixed
    ATTEND(heed::compressed(e.k, e.d));
#endif
#ifdef HEED_CASE_compressed_keys_of_integers
    heed::compressed_keys<int> means(1, 2, 4, 4);
#endif
#ifdef HEED_CASE_append_of_other_element
    e.means.append(e.d, e.v);
#endif
#ifdef HEED_CASE_gradient_without_compressed
    BACKWARD(e.dq, e.dk, e.dv, e.dgates, heed::compressed_gradient(e.dk, e.dv));
#endif
#ifdef HEED_CASE_gradient_temporary
    BACKWARD(e.dq, e.dk, e.dv, e.dgates, heed::compressed(e.k, e.v),
             heed::compressed_gradient(new_tensor(), e.dv));
#endif
#ifdef HEED_CASE_gradient_const
    BACKWARD(e.dq, e.dk, e.dv, e.dgates, heed::compressed(e.k, e.v),
             heed::compressed_gradient(std::as_const(e.dk), std::as_const(e.dv)));
#endif
#ifdef HEED_CASE_backward_of_other_element
    heed::native_sparse_attention_backward(e.d, e.q, e.k, e.v, e.gates);
#endif
#ifdef HEED_CASE_backward_into_other_element
    BACKWARD(e.dq, e.d, e.dv, e.dgates, heed::scale(1));
#endif
#ifdef HEED_CASE_backward_temporary
    BACKWARD(e.dq, e.dk, new_tensor(), e.dgates, heed::scale(1));
#endif
    ATTEND(heed::causal, heed::causal);
    ATTEND(heed::native_blocks{.window = 4}, heed::compressed(e.means), heed::scale(1), heed::on(e.pool),
           heed::use(e.workspace));
    BACKWARD(e.dq, e.dk, e.dv, e.dgates, heed::compressed(e.k, e.v), heed::compressed_gradient(e.k, e.v));
}
