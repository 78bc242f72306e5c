// SPDX-License-Identifier: MIT
// tests/dense/bits.cpp: the bits of a number of a dense product depend on its row, its column and the depth
//
// Not on the other rows and columns, on how the matrices are stored, on threads. So a step of a decode has
// the bits of the same row in a prefill.
#include <atomic>

#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/dense_call.hpp"
#include "support/traps.hpp"

namespace {

using heed::detail::matrix;
using support::dense_matrix;
using support::multiply;
using support::same_bits;
using support::storage;

template <class T>
struct product {
    dense_matrix<T> a, b, c;
    std::vector<T> bias;
    product(support::random& r, long m, long k, long n)
        : a(support::random_matrix<T>(r, m, k, storage::rows)),
          b(support::random_matrix<T>(r, k, n, storage::rows)),
          c(m, n, storage::rows) {
        for (long j = 0; j < n; ++j) bias.push_back(static_cast<T>(r.uniform(-1, 1)));
        multiply(c, a, b, &bias, false);
    }
};

// Numbers of a part of c, worked out by itself, that differ from the whole.
template <class T>
long differing(const product<T>& p, long row, long rows, long column, long columns, storage b_kind) {
    const dense_matrix<T> b = p.b.as(b_kind);
    dense_matrix<T> part(rows, columns, storage::rows);
    heed::workspace memory;
    heed::detail::multiply(matrix_of(part), support::rows_of(matrix_of(p.a), row, rows),
                           support::columns_of(matrix_of(b), column, columns), p.bias.data() + column, false,
                           support::alone, memory);
    long wrong = 0;
    for (long i = 0; i < rows; ++i)
        for (long j = 0; j < columns; ++j) {
            const T x = part.at(i, j), y = p.c.at(row + i, column + j);
            wrong += std::memcmp(&x, &y, sizeof(T)) != 0;
        }
    return wrong;
}

template <class T>
void parts(std::uint64_t seed) {
    support::random r(seed);
    for (const long k : {5L, 100L, 256L, 700L}) {
        const product<T> p(r, 45, k, 411);
        long rows = 0, some = 0, columns = 0;
        for (long i = 0; i < 45; ++i)
            rows += differing(p, i, 1, 0, 411, i % 2 == 0 ? storage::rows : storage::columns);
        for (int n = 0; n < 20; ++n) {
            const long count = r.between(1, 12), wide = r.between(1, 90);
            const storage kind = support::all_storages[r.between(0, 4)];
            some += differing(p, r.between(0, 45 - count), count, 0, 411, kind);
            columns += differing(p, r.between(0, 45 - count), count, r.between(0, 411 - wide), wide, kind);
        }
        INFO("depth " << k);
        CHECK(rows == 0);
        CHECK(some == 0);
        CHECK(columns == 0);
    }
}

}  // namespace

TEST_CASE("rows and columns alone have the bits they have together") {
    parts<float>(5201);
    parts<double>(5202);
}

TEST_CASE("the bits do not depend on how the matrices are stored") {
    support::random r(5203);
    for (const long m : {1L, 4L, 5L, 50L})
        for (const long k : {31L, 300L}) {
            const product<float> p(r, m, k, 131);
            long wrong = 0;
            for (const storage a : support::all_storages)
                for (const storage b : support::all_storages)
                    for (const storage c : support::all_storages) {
                        dense_matrix<float> to(m, 131, c);
                        multiply(to, p.a.as(a), p.b.as(b), &p.bias, false);
                        wrong += !same_bits(to.elements(), p.c.elements());
                    }
            INFO(m << " rows, depth " << k);
            CHECK(wrong == 0);
        }
}

TEST_CASE("the transpose of a product is the product of the transposes") {
    support::random r(5204);
    heed::workspace memory;
    for (const long m : {1L, 3L, 20L, 200L})
        for (const long n : {1L, 7L, 90L}) {
            const auto a = support::random_matrix<float>(r, m, 290, storage::rows);
            const auto b = support::random_matrix<float>(r, 290, n, storage::rows);
            dense_matrix<float> c(m, n, storage::rows), d(m, n, storage::rows);
            multiply<float>(c, a, b, nullptr, false);
            heed::detail::multiply(transposed(matrix_of(d)), transposed(matrix_of(b)),
                                   transposed(matrix_of(a)), nullptr, false, support::alone, memory);
            CHECK(same_bits(c.elements(), d.elements()));
        }
}

TEST_CASE("the bits do not depend on the number of threads") {
    support::random r(5205);
    const heed::thread_pool one(1), two(2), five(5);
    for (const long m : {1L, 3L, 17L, 150L, 400L})
        for (const long n : {3L, 200L, 900L})
            for (const storage kind : {storage::rows, storage::columns}) {
                product<float> p(r, m, 270, n);
                p.b = p.b.as(kind);
                long wrong = 0;
                for (const heed::thread_pool* pool : {&one, &two, &five}) {
                    dense_matrix<float> c(m, n, storage::rows);
                    multiply(c, p.a, p.b, &p.bias, false, heed::detail::device_ref(*pool));
                    wrong += !same_bits(c.elements(), p.c.elements());
                    multiply(c, p.a, p.b, &p.bias, true, heed::detail::device_ref(*pool));
                    dense_matrix<float> again = p.c;
                    multiply(again, p.a, p.b, &p.bias, true);
                    wrong += !same_bits(c.elements(), again.elements());
                }
                INFO(m << " rows, " << n << " columns");
                CHECK(wrong == 0);
            }
}

TEST_CASE("one row in tiles as narrow as a column") {
    support::random r(5209);
    const heed::thread_pool five(5);
    for (const long n : {65L, 129L, 193L, 257L}) {
        const product<float> p(r, 1, 9000, n);
        dense_matrix<float> c(1, n, storage::columns);
        multiply(c, p.a, p.b, &p.bias, false, heed::detail::device_ref(five));
        CHECK(same_bits(c.elements(), p.c.elements()));
    }
}

TEST_CASE("products inside the pool they run on") {
    support::random r(5206);
    const product<float> p(r, 60, 40, 500);
    for (const int threads : {2, 4}) {
        const heed::thread_pool pool(threads);
        std::atomic<long> wrong{0};
        for (int round = 0; round < 20; ++round)
            pool.parallelFor(4, Eigen::TensorOpCost(0, 0, 1e6), [&](Eigen::Index first, Eigen::Index last) {
                for (Eigen::Index i = first; i < last; ++i) {
                    dense_matrix<float> c(60, 500, storage::rows);
                    multiply(c, p.a, p.b, &p.bias, false, heed::detail::device_ref(pool));
                    if (!same_bits(c.elements(), p.c.elements())) ++wrong;
                }
            });
        CHECK(wrong == 0);
    }
}

// The order: blocks of terms from zero; bias, then what was in c, is added to the first, and the others to
// that.
TEST_CASE("a long sum is that of its blocks, one after the other") {
    support::random r(5207);
    constexpr long block = heed::detail::depth_block;
    for (const long m : {1L, 3L, 30L}) {
        const product<float> p(r, m, 2 * block + 77, 75);
        dense_matrix<float> c(m, 75, storage::rows);
        heed::workspace memory;
        for (long k = 0; k < p.a.columns; k += block) {
            const long terms = std::min(block, p.a.columns - k);
            heed::detail::multiply(matrix_of(c), support::columns_of(matrix_of(p.a), k, terms),
                                   support::rows_of(matrix_of(p.b), k, terms),
                                   k == 0 ? p.bias.data() : nullptr, k > 0, support::alone, memory);
        }
        CHECK(same_bits(c.elements(), p.c.elements()));

        dense_matrix<float> sum(m, 75, storage::rows), biased(m, 75, storage::rows),
            added(m, 75, storage::rows);
        const auto a = support::random_matrix<float>(r, m, block, storage::rows);
        const auto b = support::random_matrix<float>(r, block, 75, storage::rows);
        added.fill(r);
        const dense_matrix<float> before = added;
        multiply<float>(sum, a, b, nullptr, false);
        multiply(biased, a, b, &p.bias, false);
        multiply(added, a, b, &p.bias, true);
        long wrong = 0;
        for (long i = 0; i < m; ++i)
            for (long j = 0; j < 75; ++j) {
                wrong += biased.at(i, j) != p.bias[static_cast<std::size_t>(j)] + sum.at(i, j);
                wrong += added.at(i, j) != before.at(i, j) + biased.at(i, j);
            }
        CHECK(wrong == 0);
    }
}

TEST_CASE("NaN and infinity stay in their row and column") {
    heed_test::without_traps by_design;
    support::random r(5208);
    const float bad[] = {std::numeric_limits<float>::quiet_NaN(), HUGE_VALF, -HUGE_VALF};
    for (const long m : {2L, 4L, 23L, 70L})
        for (const storage kind : {storage::rows, storage::columns})
            for (const float x : bad) {
                const product<float> p(r, m, 270, 121);
                const long row = r.between(0, m - 1), column = r.between(0, 120), term = r.between(0, 269);
                dense_matrix<float> a = p.a.as(kind), b = p.b.as(kind), c(m, 121, storage::rows), d = c;
                a.at(row, term) = x;
                multiply(c, a, p.b, &p.bias, false);
                b.at(term, column) = x;
                multiply(d, p.a, b, &p.bias, false);
                long wrong = 0;
                for (long i = 0; i < m; ++i)
                    for (long j = 0; j < 121; ++j) {
                        wrong += i == row ? std::isfinite(c.at(i, j)) : c.at(i, j) != p.c.at(i, j);
                        wrong += j == column ? std::isfinite(d.at(i, j)) : d.at(i, j) != p.c.at(i, j);
                    }
                INFO(m << " rows, " << x);
                CHECK(wrong == 0);
            }
}
