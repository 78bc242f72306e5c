// SPDX-License-Identifier: MIT
// tests/compile/layers.cpp: calls of layers that must not compile
//
// Each case is one mistake a user makes; the .cmake file beside it holds the sentence the compiler must say.
#include <heed/heed.hpp>

#include <vector>

using rows = Eigen::Tensor<float, 3, Eigen::RowMajor>;

struct everything {
    heed::multi_head_attention<float> mha;
    heed::multi_head_attention<float>::tape tape;
    heed::multi_head_attention<float>::parameters gradients;
    heed::projection<float> projection;
    heed::layer_norm<float> norm;
    heed::feed_forward<float> ffn;
    heed::rep_batch_norm<float> batch_norm;
    std::vector<int> targets;
    Eigen::Tensor<Eigen::half, 3, Eigen::RowMajor> halves;
    heed::encoder_layer<float> encoder;
    heed::decoder_layer<float> decoder;
    rows x, y, dx;
    Eigen::Tensor<float, 3> reversed;
    Eigen::Tensor<double, 3, Eigen::RowMajor> doubles;
    Eigen::Tensor<float, 3, Eigen::RowMajor> lse;
};

void call(everything& e) {
#ifdef HEED_CASE_integers
    {
        heed::multi_head_attention<int> layer;
        (void)layer;
    }
#endif
#ifdef HEED_CASE_halves
    {
        heed::multi_head_attention<Eigen::half> layer;
        (void)layer;
    }
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
#ifdef HEED_CASE_norm_of_integers
    {
        heed::layer_norm<int> layer;
        (void)layer;
    }
#endif
#ifdef HEED_CASE_norm_option
    e.norm(e.x, heed::dropout(0.1, 1));
#endif
#ifdef HEED_CASE_ffn_of_halves
    {
        heed::feed_forward<Eigen::half> layer;
        (void)layer;
    }
#endif
#ifdef HEED_CASE_ffn_option
    e.ffn(e.x, heed::causal);
#endif
#ifdef HEED_CASE_batch_norm_of_integers
    {
        heed::rep_batch_norm<int> layer;
        (void)layer;
    }
#endif
#ifdef HEED_CASE_batch_norm_option
    e.batch_norm(e.x, 0.5);
#endif
#ifdef HEED_CASE_positions_of_integers
    heed::sinusoidal_positions<int>(3, 4);
#endif
#ifdef HEED_CASE_loss_of_halves
    heed::cross_entropy(e.halves, e.targets);
#endif
#ifdef HEED_CASE_loss_targets
    heed::cross_entropy(e.x, std::vector<float>(3));
#endif
#ifdef HEED_CASE_loss_option
    heed::cross_entropy(e.x, e.targets, e.dx, heed::causal);
#endif
#ifdef HEED_CASE_loss_gradient_temporary
    heed::cross_entropy(e.x, e.targets, rows(1, 2, 3));
#endif
#ifdef HEED_CASE_encoder_of_integers
    {
        heed::encoder_layer<int> layer;
        (void)layer;
    }
#endif
#ifdef HEED_CASE_encoder_option_of_another
    e.encoder(e.x, heed::elu1);
#endif
#ifdef HEED_CASE_encoder_number_as_option
    e.encoder(e.x, 0.5f);
#endif
#ifdef HEED_CASE_encoder_dropout_twice
    e.encoder(e.x, heed::dropout(0.1, 1), heed::dropout(0.1, 2));
#endif
#ifdef HEED_CASE_encoder_memory_options
    e.encoder(e.x, heed::for_memory(heed::softcap(2)));
#endif
#ifdef HEED_CASE_decoder_of_integers
    {
        heed::decoder_layer<int> layer;
        (void)layer;
    }
#endif
#ifdef HEED_CASE_decoder_option_of_another
    e.decoder(e.x, e.y, heed::elu1);
#endif
#ifdef HEED_CASE_decoder_memory_twice
    e.decoder(e.x, e.y, heed::for_memory(heed::softcap(2)), heed::for_memory(heed::causal));
#endif
#ifdef HEED_CASE_decoder_memory_number
    e.decoder(e.x, e.y, heed::for_memory(2));
#endif
#ifdef HEED_CASE_decoder_memory_dropout
    e.decoder(e.x, e.y, heed::for_memory(heed::dropout(0.1, 1)));
#endif
#ifdef HEED_CASE_decoder_memory_of_another
    e.decoder(e.x, e.y, heed::for_memory(heed::elu1));
#endif
#ifdef HEED_CASE_with_temporary
    (void)heed::encoder_layer<float>({.attention = {.width = 8}}).with(heed::causal);
#endif
#ifdef HEED_CASE_own_mask_without_content
    {
        struct mine : heed::mask_base {
            int side = 2;
            bool operator()(heed::at) const { return true; }
            heed::cover classify(const heed::tile&) const { return heed::cover::mixed; }
        };
        e.encoder(e.x, mine());
    }
#endif
#ifdef HEED_CASE_with_option_of_another
    (void)e.mha.with(heed::elu1);
#endif
#ifdef HEED_CASE_with_option_again
    (void)e.encoder.with(heed::dropout(0.1, 1))(e.x, heed::dropout(0.1, 2));
#endif
    (void)e;
}
