// SPDX-License-Identifier: MIT
// tests/select/error.cpp: selectors by scores called wrongly: the text, and that nothing was written
#include <heed/sparse.hpp>

#include "support/catch.hpp"
#include "support/tensors.hpp"
#include "support/traps.hpp"

namespace {

template <class Selector>
void fails(const Selector& selector, const std::string& text) {
    const support::tensor<float> x = support::tensor4<float>(std::vector<double>(2 * 5 * 4, 1), 1, 2, 5, 4);
    support::tensor<float> y(1, 2, 5, 4);
    y.setConstant(77);
    CHECK_THROWS_WITH(heed::attention_into(y, x, x, x, selector), heed_test::contains(text));
    for (long i = 0; i < y.size(); ++i) CHECK(y.data()[i] == 77);
}

}  // namespace

TEST_CASE("numbers of keys that are none") {
    fails(heed::top_k(0), "heed::attention_into: top_k is given 0 keys, needs at least 1");
    fails(heed::top_k(-3), "top_k is given -3 keys");
    fails(heed::local_plus_top(0, 0.5), "local_plus_top is given a window of 0 keys, needs at least 1");
    fails(heed::local_plus_top(-1, 0.5), "local_plus_top is given a window of -1 keys");
}

TEST_CASE("fractions that are none") {
    const heed_test::without_traps quiet;
    const double nan = std::numeric_limits<double>::quiet_NaN();
    fails(heed::top_fraction(0),
          "heed::attention_into: top_fraction is given the fraction 0, needs one above 0");
    fails(heed::top_fraction(1.5f), "top_fraction is given the fraction 1.5");
    fails(heed::top_fraction(-0.25), "top_fraction is given the fraction -0.25");
    fails(heed::top_fraction(nan), "top_fraction is given the fraction");
    fails(heed::local_plus_top(4, 0.0), "local_plus_top is given the fraction 0");
    fails(heed::local_plus_top(4, nan), "local_plus_top is given the fraction");
}

TEST_CASE("a number of keys beyond every index keeps all") {
    const support::tensor<float> x = support::tensor4<float>(std::vector<double>(2 * 5 * 4, 1), 1, 2, 5, 4);
    const auto y = heed::attention(x, x, x, heed::top_k(~std::uint64_t{0}));
    for (long i = 0; i < y.size(); ++i) CHECK(y.data()[i] == 1);
}

TEST_CASE("select_top_k") {
    const std::vector<float> x{1, 2, -HUGE_VALF, 4};
    std::vector<int> indices(3, 77);
    CHECK_THROWS_WITH(
        heed::select_top_k(x, -1, indices),
        heed_test::contains("heed::select_top_k: k is -1, needs a number that is not negative"));
    std::vector<int> few(2, 77);
    CHECK_THROWS_WITH(heed::select_top_k(x, 3, few),
                      heed_test::contains("heed::select_top_k: indices has room for 2, needs 3"));
    CHECK(few == std::vector<int>{77, 77});
    // Three numbers are all there are.
    CHECK(heed::select_top_k(x, 4, indices) == 3);
    CHECK(indices == std::vector<int>{0, 1, 3});
    Eigen::MatrixXf columns = Eigen::MatrixXf::Zero(4, 4);
    const auto row = columns.row(1);
    CHECK_THROWS_WITH(heed::select_top_k(row, 1, indices), heed_test::contains("a vector has a stride of 4"));
}
