// SPDX-License-Identifier: MIT
// tests/compile/sparse.cpp: patterns and linformer, called wrongly
//
// Each case is one mistake a user makes; the .cmake file beside it holds the sentence the compiler must say.
#include <heed/heed.hpp>

#include <vector>

using tensor4 = Eigen::Tensor<float, 4, Eigen::RowMajor>;

struct everything {
    tensor4 q{1, 2, 3, 4}, k{1, 2, 5, 4}, v{1, 2, 5, 4}, y{1, 2, 3, 4};
    Eigen::Tensor<float, 2, Eigen::RowMajor> e{2, 5};
    Eigen::Tensor<double, 2, Eigen::RowMajor> of_doubles{2, 5};
    Eigen::Tensor<bool, 2, Eigen::RowMajor> visible{1, 2};
    std::vector<int> ids{0, 4};
    heed::workspace workspace;
};

inline std::vector<int> made_ids() { return {0, 0}; }
inline bool all_blocks(long, long) { return true; }

void call(everything& e) {
#define ATTEND(...) heed::attention_into(e.y, e.q, e.k, e.v, __VA_ARGS__)
#define MIX(...) heed::linformer_into(e.y, e.q, e.k, e.v, e.e, e.e, __VA_ARGS__)
    const heed::block_mask blocks(all_blocks, 3, 5, 4, 4);
#ifdef HEED_CASE_global_temporary
    ATTEND(heed::global(made_ids()));
#endif
#ifdef HEED_CASE_global_number
    ATTEND(heed::global(4));
#endif
#ifdef HEED_CASE_longformer_temporary
    ATTEND(heed::longformer(4, made_ids()));
#endif
#ifdef HEED_CASE_longformer_fraction
    ATTEND(heed::longformer(4.5, e.ids));
#endif
#ifdef HEED_CASE_dilated_fraction
    ATTEND(heed::dilated(4, 0.5));
#endif
#ifdef HEED_CASE_random_seed
    ATTEND(heed::random_blocks(3, 64, 0.5));
#endif
#ifdef HEED_CASE_blocks_temporary
    ATTEND(heed::blocks(heed::block_mask(all_blocks, 3, 5, 4, 4)));
#endif
#ifdef HEED_CASE_blocks_of_table
    ATTEND(heed::blocks(e.visible));
#endif
#ifdef HEED_CASE_block_mask_of_numbers
    const heed::block_mask numbers(e.e, 4, 4);
#endif
#ifdef HEED_CASE_linformer_causal
    MIX(heed::causal);
#endif
#ifdef HEED_CASE_linformer_pattern
    MIX(heed::scale(1), heed::blocks(blocks));
#endif
#ifdef HEED_CASE_linformer_alibi
    MIX(heed::alibi());
#endif
#ifdef HEED_CASE_linformer_scale_twice
    MIX(heed::scale(1), heed::scale(2));
#endif
#ifdef HEED_CASE_linformer_number_as_option
    MIX(0.5f);
#endif
#ifdef HEED_CASE_linformer_projection_of_other_element
    heed::linformer_into(e.y, e.q, e.k, e.v, e.e, e.of_doubles);
#endif
#ifdef HEED_CASE_linformer_result_const
    {
        const tensor4& c = e.y;
        heed::linformer_into(c, e.q, e.k, e.v, e.e, e.e);
    }
#endif
    ATTEND(heed::blocks(blocks), heed::longformer(4, e.ids) & heed::bigbird(), !heed::strided(2));
    MIX(heed::scale(1), heed::use(e.workspace));
}
