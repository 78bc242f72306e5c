// SPDX-License-Identifier: MIT
// tests/mask/dense.cpp: mask(tensor of bool), every way of broadcasting, and mask_if(predicate)
#include <memory>

#include "support/broadcast.hpp"
#include "support/call.hpp"

using support::check_call;

namespace {

// A mask of any rank, 1s where an axis is broadcast, and the same as a predicate.
template <int Rank>
void broadcast_round(support::random& r) {
    auto p = r.chance(0.2) ? support::tiled_problem<float>(r) : support::random_problem<float>(r);
    const support::broadcast_shape<Rank> shape(r, p);
    support::tensor<bool, Rank> mask(shape.extents);
    const double density = r.chance(0.2) ? 0.02 : r.uniform(0.1, 1);
    for (long i = 0; i < mask.size(); ++i) mask.data()[i] = r.chance(density);
    p.visible = [&](reference::place i) { return mask.data()[shape.index_of(i)]; };
    check_call<float>(p, heed::mask(mask));
}

}  // namespace

TEST_CASE("a dense mask broadcasts right-aligned") {
    support::random r(51);
    for (int round = 0; round < 60; ++round) {
        broadcast_round<4>(r);
        broadcast_round<2>(r);
    }
}

TEST_CASE("a dense mask of rank 1 and 3 broadcasts too") {
    support::random r(52);
    for (int round = 0; round < 40; ++round) {
        broadcast_round<1>(r);
        broadcast_round<3>(r);
    }
}

TEST_CASE("a dense mask and a bias whose axes lie in any order, with gaps") {
    support::for_problems<float>(55, 60, [](reference::problem& p, support::random& r) {
        // (key, query) in memory, or every second element of it, one row of it for all queries, or one
        // column.
        const long step = r.between(1, 2), rows = r.chance(0.3) ? 1 : p.queries;
        const long columns = r.chance(0.3) ? 1 : p.keys;
        std::vector<float> numbers(static_cast<std::size_t>(rows * columns * step));
        const auto bools = std::make_unique<bool[]>(numbers.size());
        for (std::size_t i = 0; i < numbers.size(); ++i) {
            numbers[i] = static_cast<float>(r.normal());
            bools[i] = r.chance(0.8);
        }
        const std::array<Eigen::Index, 4> extents{1, 1, rows, columns}, strides{0, 0, step, step * rows};
        const heed::view<const bool> mask(bools.get(), extents, strides);
        const heed::view<const float> bias(numbers.data(), extents, strides);
        const auto at = [&](reference::place i) {
            return static_cast<std::size_t>((rows == 1 ? 0 : i.query * step) +
                                            (columns == 1 ? 0 : i.key * step * rows));
        };
        p.visible = [&](reference::place i) { return bools[at(i)]; };
        check_call<float>(p, heed::mask(mask));
        p.bias = [&](reference::place i) { return static_cast<double>(numbers[at(i)]); };
        check_call<float>(p, heed::mask(mask), heed::bias(bias));
    });
}

TEST_CASE("mask_if takes any predicate of batch, head, query and key") {
    support::for_problems<float>(53, 100, [](reference::problem& p, support::random& r) {
        const long a = r.between(1, 7), b = r.between(1, 7), c = r.between(2, 9);
        p.visible = [=](reference::place i) {
            return (i.query * a + i.key * b + i.head + 3 * i.batch) % c != 0;
        };
        const int ia = int(a), ib = int(b), ic = int(c);
        check_call<float>(p, heed::mask_if([=](heed::at i) {
                              return (i.query * ia + i.key * ib + i.head + 3 * i.batch) % ic != 0;
                          }));
    });
}

TEST_CASE("the coordinates a predicate gets are signed") {
    support::random r(54);
    auto p = support::problem<float>(r, 1, 2, 1, 40, 33, 8, 8);
    p.visible = [](reference::place i) { return i.query - i.key >= -2; };
    check_call<float>(p, heed::mask_if([](heed::at i) { return i.query - i.key >= -2; }));
}
