// SPDX-License-Identifier: MIT
// tests/compile/rotary.cpp: calls of rotary that must not compile
#include <heed/heed.hpp>

#include <vector>

using tensor4 = Eigen::Tensor<float, 4, Eigen::RowMajor>;
using tensor2 = Eigen::Tensor<float, 2, Eigen::RowMajor>;

inline std::vector<int> made_ids() { return {0, 0}; }

void call(tensor4& y, const tensor4& x, const tensor2& cos, const tensor2& sin, const std::vector<int>& ids) {
#ifdef HEED_CASE_number_as_option
    heed::rotary_into(y, x, cos, sin, 4);
#endif
#ifdef HEED_CASE_option_of_attention
    heed::rotary_into(y, x, cos, sin, heed::scale(2));
#endif
#ifdef HEED_CASE_interleaved_twice
    heed::rotary_into(y, x, cos, sin, heed::interleaved, heed::interleaved);
#endif
#ifdef HEED_CASE_positions_twice
    heed::rotary_into(y, x, cos, sin, heed::positions(ids), heed::positions(ids));
#endif
#ifdef HEED_CASE_positions_temporary
    heed::rotary_into(y, x, cos, sin, heed::positions(made_ids()));
#endif
#ifdef HEED_CASE_positions_column_major
    {
        const Eigen::Tensor<int, 2> t(1, 2);
        heed::rotary_into(y, x, cos, sin, heed::positions(t));
    }
#endif
#ifdef HEED_CASE_result_const
    heed::rotary_into(x, x, cos, sin);
#endif
#ifdef HEED_CASE_result_of_other_element
    {
        Eigen::Tensor<double, 4, Eigen::RowMajor> d(1, 1, 1, 2);
        heed::rotary_into(d, x, cos, sin);
    }
#endif
#ifdef HEED_CASE_caches_differ
    {
        const Eigen::Tensor<double, 2, Eigen::RowMajor> d(1, 1);
        heed::rotary_into(y, x, cos, d);
    }
#endif
#ifdef HEED_CASE_caches_of_other_element
    {
        const Eigen::Tensor<double, 2, Eigen::RowMajor> d(1, 1);
        heed::rotary_into(y, x, d, d);
    }
#endif
#ifdef HEED_CASE_table_of_integers
    (void)heed::rotary_table<int>(1, 2);
#endif
    heed::rotary_into(y, x, cos, sin, heed::positions(ids), heed::interleaved);
}
