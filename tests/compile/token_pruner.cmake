# SPDX-License-Identifier: MIT
heed_must_not_compile(of_integers MESSAGE "heed::token_pruner<T>: T is float")
heed_must_not_compile(count_as_fraction MESSAGE "needs a fraction such as 0.5; a number of tokens or heads is prune_tokens_to")
heed_must_not_compile(head_count_as_fraction MESSAGE "needs a fraction such as 0.5; a number of tokens or heads is prune_tokens_to")
heed_must_not_compile(weights_of_other_element MESSAGE "heed::token_pruner<T>::observe: weights are float, or double where T is double")
heed_must_not_compile(output_of_other_element MESSAGE "heed::token_pruner<T>::observe_output: y holds another element type than T")
heed_must_not_compile(gather_into_const MESSAGE "heed::token_pruner: y is written and holds x.s element type")
heed_must_not_compile(gather_into_other_element MESSAGE "heed::token_pruner: y is written and holds x.s element type")
heed_must_not_compile(gather_into_temporary MESSAGE "heed::token_pruner: y is a temporary")
