// SPDX-License-Identifier: MIT
// tests/compile/options.cpp: calls with wrong options, doubled options and temporaries
//
// Each case is one mistake a user makes; the .cmake file beside it holds the sentence the compiler must say.
#include <heed/heed.hpp>

#include <array>
#include <string>
#include <vector>

using tensor4 = Eigen::Tensor<float, 4, Eigen::RowMajor>;

struct wrong_device {
    int numThreads() const { return 2; }
    void parallelFor(int) const {}
};

struct everything {
    tensor4 q{1, 2, 3, 4}, k{1, 2, 5, 4}, v{1, 2, 5, 4}, y{1, 2, 3, 4}, w{1, 2, 3, 5};
    Eigen::Tensor<float, 3, Eigen::RowMajor> lse{1, 2, 3};
    Eigen::Tensor<bool, 2, Eigen::RowMajor> visible{3, 5};
    Eigen::Tensor<int, 2, Eigen::RowMajor> whole{3, 5};
    Eigen::Tensor<float, 2> column_major{3, 5};
    std::vector<float> numbers{0, 0};
    std::vector<int> ids{0, 0};
    heed::workspace workspace;
    heed::thread_pool pool{1};
    wrong_device executor;
};

inline std::vector<float> made_numbers() { return {0, 0}; }
inline std::vector<int> made_ids() { return {0, 0}; }

void call(everything& e) {
#define ATTEND(...) heed::attention_into(e.y, e.q, e.k, e.v, __VA_ARGS__)
#ifdef HEED_CASE_number_as_option
    ATTEND(0.125f);
#endif
#ifdef HEED_CASE_text_as_option
    ATTEND(std::string("causal"));
#endif
#ifdef HEED_CASE_tensor_as_option
    ATTEND(e.visible);
#endif
#ifdef HEED_CASE_device_as_option
    ATTEND(e.pool);
#endif
#ifdef HEED_CASE_option_of_linear_attention
    ATTEND(heed::normalised);
#endif
#ifdef HEED_CASE_option_of_cummax_attention
    ATTEND(heed::heads_apart);
#endif
#ifdef HEED_CASE_scale_twice
    ATTEND(heed::scale(1), heed::causal, heed::scale(2));
#endif
#ifdef HEED_CASE_softcap_twice
    ATTEND(heed::softcap(1), heed::softcap(2));
#endif
#ifdef HEED_CASE_score_twice
    {
        const auto f = [](auto s, heed::at) { return s; };
        ATTEND(heed::score(f), heed::score(f));
    }
#endif
#ifdef HEED_CASE_alibi_twice
    ATTEND(heed::alibi(), heed::alibi(e.numbers));
#endif
#ifdef HEED_CASE_bias_twice
    ATTEND(heed::bias(e.w), heed::bias(e.w));
#endif
#ifdef HEED_CASE_sinks_twice
    ATTEND(heed::sinks(e.numbers), heed::sinks(e.numbers));
#endif
#ifdef HEED_CASE_dropout_twice
    ATTEND(heed::dropout(0.1, 1), heed::dropout(0.2, 2));
#endif
#ifdef HEED_CASE_logsumexp_twice
    ATTEND(heed::logsumexp(e.lse), heed::logsumexp(e.lse));
#endif
#ifdef HEED_CASE_weights_twice
    ATTEND(heed::weights(e.w), heed::weights(e.w));
#endif
#ifdef HEED_CASE_scores_twice
    ATTEND(heed::scores(e.w, heed::stage::raw), heed::scores(e.w, heed::stage::biased));
#endif
#ifdef HEED_CASE_device_twice
    ATTEND(heed::on(e.pool), heed::on(e.pool));
#endif
#ifdef HEED_CASE_workspace_twice
    ATTEND(heed::use(e.workspace), heed::use(e.workspace));
#endif
#ifdef HEED_CASE_bias_temporary
    ATTEND(heed::bias(tensor4(1, 1, 3, 5)));
#endif
#ifdef HEED_CASE_bias_of_bool
    ATTEND(heed::bias(e.visible));
#endif
#ifdef HEED_CASE_mask_temporary
    ATTEND(heed::mask(Eigen::Tensor<bool, 2, Eigen::RowMajor>(3, 5)));
#endif
#ifdef HEED_CASE_mask_of_numbers
    ATTEND(heed::mask(e.w));
#endif
#ifdef HEED_CASE_mask_of_integers
    ATTEND(heed::mask(e.whole));
#endif
#ifdef HEED_CASE_mask_if_of_two_numbers
    ATTEND(heed::mask_if([](int query, int key) { return key <= query; }));
#endif
#ifdef HEED_CASE_sinks_temporary
    ATTEND(heed::sinks(made_numbers()));
#endif
#ifdef HEED_CASE_slopes_temporary
    ATTEND(heed::alibi(made_numbers()));
#endif
#ifdef HEED_CASE_lengths_temporary
    ATTEND(heed::key_lengths(made_ids()));
#endif
#ifdef HEED_CASE_offsets_temporary
    ATTEND(heed::causal_from(made_ids()));
#endif
#ifdef HEED_CASE_window_offsets_temporary
    ATTEND(heed::window_from(made_ids(), 1, 1));
#endif
#ifdef HEED_CASE_documents_temporary
    ATTEND(heed::documents(e.ids, made_ids()));
#endif
#ifdef HEED_CASE_packed_temporary
    ATTEND(heed::packed(made_ids()));
#endif
#ifdef HEED_CASE_packed_twice
    ATTEND(heed::packed(e.ids, e.ids), heed::packed(e.ids, e.ids));
#endif
#ifdef HEED_CASE_maximum_and_sum_twice
    ATTEND(heed::maximum_and_sum(e.lse, e.lse), heed::maximum_and_sum(e.lse, e.lse));
#endif
#ifdef HEED_CASE_maximum_and_sum_mixed
    {
        Eigen::Tensor<double, 3, Eigen::RowMajor> sums(1, 2, 3);
        ATTEND(heed::maximum_and_sum(e.lse, sums));
    }
#endif
#ifdef HEED_CASE_maximum_and_sum_double_for_float
    {
        Eigen::Tensor<double, 3, Eigen::RowMajor> maxima(1, 2, 3);
        ATTEND(heed::maximum_and_sum(maxima, maxima));
    }
#endif
#ifdef HEED_CASE_logsumexp_temporary
    ATTEND(heed::logsumexp(Eigen::Tensor<float, 3, Eigen::RowMajor>(1, 2, 3)));
#endif
#ifdef HEED_CASE_weights_const
    {
        const tensor4& w = e.w;
        ATTEND(heed::weights(w));
    }
#endif
#ifdef HEED_CASE_weights_of_integers
    ATTEND(heed::weights(e.whole));
#endif
#ifdef HEED_CASE_logsumexp_double_for_float
    {
        Eigen::Tensor<double, 3, Eigen::RowMajor> lse(1, 2, 3);
        ATTEND(heed::logsumexp(lse));
    }
#endif
#ifdef HEED_CASE_window_of_fractions
    ATTEND(heed::window(0.5, 1));
#endif
#ifdef HEED_CASE_window_from_fractions
    ATTEND(heed::window_from(0, 1, 2.5));
#endif
#ifdef HEED_CASE_offset_of_fractions
    ATTEND(heed::causal_from(0.5));
#endif
#ifdef HEED_CASE_offsets_of_fractions
    ATTEND(heed::causal_from(e.numbers));
#endif
#ifdef HEED_CASE_prefix_of_fractions
    ATTEND(heed::prefix(2.5));
#endif
#ifdef HEED_CASE_lengths_of_fractions
    ATTEND(heed::key_lengths(e.numbers));
#endif
#ifdef HEED_CASE_one_length
    ATTEND(heed::key_lengths(3));
#endif
#ifdef HEED_CASE_documents_of_fractions
    ATTEND(heed::documents(e.ids, e.numbers));
#endif
#ifdef HEED_CASE_packed_of_fractions
    ATTEND(heed::packed(e.numbers));
#endif
#ifdef HEED_CASE_mask_of_expression
    ATTEND(heed::mask(e.w > e.w));
#endif
#ifdef HEED_CASE_mask_of_function
    ATTEND(heed::mask([](heed::at i) { return i.key <= i.query; }));
#endif
#ifdef HEED_CASE_mask_if_of_mask
    ATTEND(heed::mask_if(heed::causal));
#endif
#ifdef HEED_CASE_mask_if_of_nothing
    ATTEND(heed::mask_if([](heed::at) {}));
#endif
#ifdef HEED_CASE_masks_with_two_signs
    ATTEND(heed::causal && heed::window(1, 1));
#endif
#ifdef HEED_CASE_masks_with_two_bars
    ATTEND(heed::causal || heed::prefix(1));
#endif
#ifdef HEED_CASE_mask_and_scale
    ATTEND(heed::causal & heed::scale(1));
#endif
#ifdef HEED_CASE_scale_or_mask
    ATTEND(heed::scale(1) | heed::causal);
#endif
#ifdef HEED_CASE_bias_of_expression
    ATTEND(heed::bias(e.w + e.w));
#endif
#ifdef HEED_CASE_bias_of_function
    ATTEND(heed::bias([](heed::at i) { return 1.0f * i.key; }));
#endif
#ifdef HEED_CASE_score_without_place
    ATTEND(heed::score([](float s) { return s; }));
#endif
#ifdef HEED_CASE_score_of_place
    ATTEND(heed::score([](heed::at i) { return 1.0f * i.key; }));
#endif
#ifdef HEED_CASE_score_of_coordinates
    ATTEND(heed::score([](float s, int, int) { return s; }));
#endif
#ifdef HEED_CASE_score_of_nothing
    ATTEND(heed::score([](float, heed::at) {}));
#endif
#ifdef HEED_CASE_score_of_bool
    ATTEND(heed::score([](auto, heed::at i) { return i.key <= i.query; }));
#endif
#ifdef HEED_CASE_score_of_number
    ATTEND(heed::score(3.0f));
#endif
#ifdef HEED_CASE_one_slope
    ATTEND(heed::alibi(0.5));
#endif
#ifdef HEED_CASE_one_sink
    ATTEND(heed::sinks(0.5));
#endif
#ifdef HEED_CASE_seed_of_fractions
    ATTEND(heed::dropout(7, 0.1));
#endif
#ifdef HEED_CASE_device_of_number
    ATTEND(heed::on(4));
#endif
#ifdef HEED_CASE_device_without_cost
    ATTEND(heed::on(e.executor));
#endif
#ifdef HEED_CASE_device_temporary
    ATTEND(heed::on(heed::thread_pool(2)));
#endif
#ifdef HEED_CASE_workspace_temporary
    ATTEND(heed::use(heed::workspace()));
#endif
#ifdef HEED_CASE_workspace_const
    {
        const heed::workspace w;
        ATTEND(heed::use(w));
    }
#endif
#ifdef HEED_CASE_weights_of_vector
    ATTEND(heed::weights(e.numbers));
#endif
#ifdef HEED_CASE_mask_without_tiles
    {
        struct mine : heed::mask_base {
            bool operator()(heed::at) const { return true; }
        };
        ATTEND(mine());
    }
#endif
#ifdef HEED_CASE_mask_without_scores
    {
        struct mine : heed::mask_base {
            heed::cover classify(const heed::tile&) const { return heed::cover::full; }
        };
        ATTEND(mine());
    }
#endif
#ifdef HEED_CASE_half_mask_joined
    {
        struct mine : heed::mask_base {};
        ATTEND(heed::causal & mine());
    }
#endif
#ifdef HEED_CASE_selector_of_nothing
    {
        struct mine : heed::selector_base {};
        ATTEND(mine());
    }
#endif
#ifdef HEED_CASE_step_of_nothing
    {
        struct mine : heed::score_base {};
        ATTEND(mine());
    }
#endif
#ifdef HEED_CASE_two_probabilities
    ATTEND(heed::probability([](auto p, heed::at) { return p; }),
           heed::probability([](auto p, heed::at) { return p; }));
#endif
#ifdef HEED_CASE_probability_of_bool
    ATTEND(heed::probability([](auto, heed::at) { return true; }));
#endif
#ifdef HEED_CASE_parents_of_fractions
    {
        std::vector<double> parents;
        ATTEND(heed::tree(parents));
    }
#endif
#ifdef HEED_CASE_parents_temporary
    ATTEND(heed::tree(std::vector<int>()));
#endif
#ifdef HEED_CASE_grid_of_fractions
    ATTEND(heed::neighbourhood(std::array{1.5, 2.0}, std::array{1, 1}));
#endif
    ATTEND(heed::causal);
}
