// SPDX-License-Identifier: MIT
// tests/compile/token_pruner.cpp: what a token_pruner refuses at compile time
#include <heed/heed.hpp>

using tensor = Eigen::Tensor<float, 4, Eigen::RowMajor>;

void cases() {
    tensor w(1, 2, 3, 4), x(1, 1, 4, 8), y(1, 1, 2, 8);
    Eigen::Tensor<double, 4, Eigen::RowMajor> wide(1, 2, 3, 4);
    Eigen::Tensor<float, 4> backwards(1, 1, 4, 8);
    const tensor fixed = y;
    heed::token_pruner pruner(1, 2, 4);
    heed::token_pruner<Eigen::half> of_halves(1, 2, 4);
#ifdef HEED_CASE_of_integers
    heed::token_pruner<int> integers(1, 2, 4);
#endif
#ifdef HEED_CASE_count_as_fraction
    pruner.prune_tokens(1);
#endif
#ifdef HEED_CASE_head_count_as_fraction
    pruner.prune_heads(2L);
#endif
#ifdef HEED_CASE_weights_of_other_element
    pruner.observe(wide);
#endif
#ifdef HEED_CASE_output_of_other_element
    pruner.observe_output(wide);
#endif
#ifdef HEED_CASE_gather_into_const
    pruner.gather_into(fixed, x);
#endif
#ifdef HEED_CASE_gather_into_other_element
    pruner.gather_into(wide, x);
#endif
#ifdef HEED_CASE_gather_into_temporary
    pruner.gather_into(tensor(1, 1, 2, 8), x);
#endif
    pruner.observe(w);
    pruner.observe_output(w);
    pruner.prune_tokens(0.5);
    pruner.prune_tokens({.sinks = 1, .important = 1, .recent = 1});
    pruner.gather_into(y, x);
    (void)pruner.gather(x);
    (void)pruner.gather(heed::reversed(backwards));
    (void)heed::positions(pruner.kept_tokens());
    of_halves.observe(w);
    of_halves.observe_output(Eigen::Tensor<Eigen::half, 4, Eigen::RowMajor>(1, 2, 4, 8));
    wide.setZero();
    (void)fixed;
}
