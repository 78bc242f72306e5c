// SPDX-License-Identifier: MIT
// tests/compile/heads_cummax.cpp: calls of multi-head layers with a running maximum that must not compile
//
// Each case is one mistake a user makes; the .cmake file beside it holds the sentence the compiler must say.
#include <heed/heed.hpp>

using rows = Eigen::Tensor<float, 3, Eigen::RowMajor>;

struct everything {
    rows x{1, 3, 8};
    Eigen::Tensor<float, 1, Eigen::RowMajor> d_alpha{2};
    heed::multi_head_attention<float, heed::cummax_heads> cummax{{.width = 8, .heads = 2}};
    heed::multi_head_attention<float, heed::maxstate_heads> maxstate{{.width = 8, .heads = 2}};
    heed::multi_head_attention<float, heed::maxstate_super_heads> super{{.width = 8, .heads = 2}};
    heed::multi_head_attention<float, heed::blend_heads<heed::exact_heads, heed::cummax_heads>> blend{
        {.width = 8, .heads = 2}};
    heed::sam_out_layer<float> sam_out{{.width = 8, .heads = 2}};
    heed::sam_out_layer<float>::tape tape;
};

void call(everything& e) {
#ifdef HEED_CASE_cummax_under_prefix
    (void)e.cummax(e.x, heed::prefix(2));
#endif
#ifdef HEED_CASE_cummax_under_causal_from
    (void)e.cummax(e.x, heed::causal_from(0));
#endif
#ifdef HEED_CASE_cummax_under_masks_combined
    (void)e.cummax(e.x, heed::causal & heed::window(2, 0));
#endif
#ifdef HEED_CASE_maxstate_under_mask_if
    (void)e.maxstate(e.x, heed::mask_if([](heed::at i) { return i.key != 1; }));
#endif
#ifdef HEED_CASE_super_under_prefix
    (void)e.super(e.x, heed::prefix(2));
#endif
#ifdef HEED_CASE_blend_under_prefix
    (void)e.blend(e.x, heed::prefix(2));
#endif
#ifdef HEED_CASE_cummax_with_dropout
    (void)e.cummax(e.x, heed::dropout(0.5, 1));
#endif
#ifdef HEED_CASE_maxstate_across_heads
    (void)e.maxstate(e.x, heed::across_heads);
#endif
#ifdef HEED_CASE_super_with_hybrid
    (void)e.super(e.x, heed::hybrid(0.5));
#endif
#ifdef HEED_CASE_cummax_with_state
    {
        Eigen::Tensor<float, 4, Eigen::RowMajor> state(1, 2, 1, 4);
        (void)e.cummax(e.x, heed::state(state));
    }
#endif
#ifdef HEED_CASE_forward_with_gradient
    (void)e.cummax(e.x, heed::hybrid(0.5), heed::hybrid_gradient(e.d_alpha));
#endif
#ifdef HEED_CASE_hybrid_apart
    (void)e.cummax(e.x, heed::hybrid(0.5), heed::heads_apart);
#endif
#ifdef HEED_CASE_blend_with_decay
    {
        Eigen::Tensor<float, 3, Eigen::RowMajor> g(1, 2, 3);
        (void)e.blend(e.x, heed::decay(g));
    }
#endif
#ifdef HEED_CASE_sam_out_under_prefix
    (void)e.sam_out(e.x, heed::prefix(2));
#endif
#ifdef HEED_CASE_sam_out_with_dropout
    (void)e.sam_out(e.x, heed::dropout(0.5, 1));
#endif
#ifdef HEED_CASE_sam_out_into_temporary
    e.sam_out.forward_into(rows(1, 3, 8), e.x, e.tape);
#endif
#ifdef HEED_CASE_sam_out_of_halves
    heed::sam_out_layer<Eigen::half> layer({.width = 8, .heads = 2});
#endif
    (void)e.cummax(e.x, heed::causal, heed::heads_apart);
    (void)e.sam_out(e.x, heed::causal);
    (void)e.maxstate(e.x, heed::causal);
    (void)e.super(e.x, heed::causal);
    (void)e.blend(e.x, heed::causal, heed::softcap(20), heed::hybrid(0.5));
}
