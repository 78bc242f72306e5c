// SPDX-License-Identifier: MIT
// tests/compile/heads.cpp: calls of multi-head layers with other attention inside that must not compile
#include <heed/heed.hpp>

using tensor3 = Eigen::Tensor<float, 3, Eigen::RowMajor>;

struct everything {
    tensor3 x{1, 4, 8};
    Eigen::Tensor<float, 4, Eigen::RowMajor> state{1, 2, 4, 5};
    tensor3 g{1, 2, 4};
    heed::multi_head_attention<float, heed::linear_heads> linear{{.width = 8, .heads = 2}};
    heed::multi_head_attention<float, heed::gated_delta_heads> gated{{.width = 8, .heads = 2}};
    heed::multi_head_attention<float, heed::native_heads> native{{.width = 8, .heads = 2}};
    heed::multi_head_attention<float, heed::psa_heads> psa{{.width = 8, .heads = 2}};
    decltype(linear)::stream stream;
    decltype(linear)::tape tape;
};

void call(everything& e) {
    (void)e;
#ifdef HEED_CASE_linear_with_softcap
    e.linear(e.x, heed::causal, heed::softcap(30));
#endif
#ifdef HEED_CASE_linear_with_state
    e.linear(e.x, heed::causal, heed::state(e.state));
#endif
#ifdef HEED_CASE_linear_with_prefix
    e.linear(e.x, heed::prefix(3));
#endif
#ifdef HEED_CASE_linear_decay_without_causal
    e.linear(e.x, heed::decay(e.g));
#endif
#ifdef HEED_CASE_linear_stream_with_initial_state
    e.linear.extend(e.x, e.stream, heed::causal, heed::initial_state(e.state));
#endif
#ifdef HEED_CASE_linear_forward_with_gradient
    e.linear(e.x, heed::retention, heed::decay_gradient(e.g));
#endif
#ifdef HEED_CASE_gated_with_features
    e.gated(e.x, heed::elu1);
#endif
#ifdef HEED_CASE_gated_with_decay
    e.gated(e.x, heed::decay(e.g));
#endif
#ifdef HEED_CASE_gated_with_prefix
    e.gated(e.x, heed::prefix(3));
#endif
#ifdef HEED_CASE_native_with_alibi
    e.native(e.x, heed::alibi());
#endif
#ifdef HEED_CASE_native_with_selector
    e.native(e.x, heed::top_k(3));
#endif
#ifdef HEED_CASE_native_with_documents
    e.native(e.x, heed::causal & heed::prefix(3));
#endif
#ifdef HEED_CASE_psa_missing
    e.psa(e.x, heed::causal);
#endif
#ifdef HEED_CASE_psa_with_other_selector
    e.psa(e.x, heed::causal, heed::top_k(3));
#endif
#ifdef HEED_CASE_psa_with_dropout
    e.psa(e.x, heed::psa(0.5), heed::dropout(0.1, 1));
#endif
#ifdef HEED_CASE_exact_with_retention
    heed::multi_head_attention<float>{{.width = 8, .heads = 2}}(e.x, heed::retention);
#endif
#ifdef HEED_CASE_chosen_with_mask
    heed::make_attention<float>(heed::config_for(heed::task::text))(e.x, heed::causal);
#endif
#ifdef HEED_CASE_chosen_stream_with_dropout
    heed::attention_layer<float>::stream stream;
    heed::make_attention<float>(heed::config_for(heed::task::text))
        .extend(e.x, stream, heed::dropout(0.1, 1));
#endif
#ifdef HEED_CASE_heads_of_nothing
    struct mine : heed::heads_base {};
    heed::multi_head_attention<float, mine>{{.width = 8, .heads = 2}}(e.x);
#endif
}
