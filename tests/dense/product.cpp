// SPDX-License-Identifier: MIT
// tests/dense/product.cpp: the dense product against one by the book, and what it may not touch
#include "support/allocation.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/dense_call.hpp"
#include "support/guard.hpp"
#include "support/traps.hpp"

namespace {

using support::dense_matrix;
using support::multiply;
using support::storage;

struct found {
    double worst = 0;
    long outside = 0;
    std::string where;
};

// One product of matrices stored as told; bit 0 of `how` gives it a bias, bit 1 adds.
template <class T>
void take(found& f, support::random& r, long m, long k, long n, const storage (&kind)[3], int how,
          heed::detail::device_ref device) {
    const auto a = support::random_matrix<T>(r, m, k, kind[0]),
               b = support::random_matrix<T>(r, k, n, kind[1]);
    auto c = dense_matrix<T>(m, n, kind[2]);
    const bool add = (how & 2) != 0;
    if (add) c.fill(r);
    const dense_matrix<T> before = c;
    std::vector<T> bias;
    for (long j = 0; j < n; ++j) bias.push_back(static_cast<T>(r.uniform(-1, 1)));
    const std::vector<T>* const given = (how & 1) != 0 ? &bias : nullptr;
    multiply(c, a, b, given, add, device);
    const double excess = support::dense_excess(c, a, b, given, add ? &before : nullptr);
    const bool clean = c.same_outside(before);
    if (!clean) ++f.outside;
    f.worst = std::fmax(f.worst, excess);
    if ((excess > 1 || !clean) && f.where.empty())
        f.where = std::to_string(m) + "x" + std::to_string(k) + "x" + std::to_string(n) + " stored " +
                  std::to_string(int(kind[0])) + std::to_string(int(kind[1])) + std::to_string(int(kind[2])) +
                  " how " + std::to_string(how);
}
template <class T>
void take(found& f, support::random& r, long m, long k, long n) {
    const auto any = [&] { return support::all_storages[r.between(0, 4)]; };
    take<T>(f, r, m, k, n, {any(), any(), any()}, static_cast<int>(r.between(0, 3)), support::alone);
}
void check(const found& f) {
    INFO(f.where << ", " << f.worst << " of what is allowed");
    CHECK(f.worst <= 1);
    CHECK(f.worst > 0);
    CHECK(f.outside == 0);
}

}  // namespace

TEST_CASE("every small number of rows and columns") {
    support::random r(5101);
    found single, twice;
    for (long m = 1; m <= 18; ++m)
        for (long n = 1; n <= 70; ++n) {
            take<float>(single, r, m, r.between(1, 40), n);
            take<double>(twice, r, m, r.between(1, 40), n);
        }
    check(single);
    check(twice);
}

TEST_CASE("every way to store the three matrices, with and without bias and addition") {
    support::random r(5102);
    found single, twice;
    for (const storage a : support::all_storages)
        for (const storage b : support::all_storages)
            for (const storage c : support::all_storages)
                for (int how = 0; how < 4; ++how) {
                    take<float>(single, r, 37, 31, 53, {a, b, c}, how, support::alone);
                    take<float>(single, r, 3, 29, 53, {a, b, c}, how, support::alone);
                    take<double>(twice, r, 13, 31, 29, {a, b, c}, how, support::alone);
                }
    check(single);
    check(twice);
}

TEST_CASE("sizes around and beyond the blocks") {
    support::random r(5103);
    found single, twice;
    for (const long k : {255L, 256L, 257L, 511L, 512L, 521L, 769L}) {
        take<float>(single, r, r.between(1, 40), k, r.between(1, 70));
        take<double>(twice, r, r.between(1, 40), k, r.between(1, 70));
    }
    for (const long n : {383L, 384L, 385L, 769L, 1031L}) {
        take<float>(single, r, r.between(1, 20), 67, n);
        take<double>(twice, r, r.between(1, 20), 67, n);
        take<float>(single, r, n, 43, r.between(1, 70));
        take<float>(single, r, n, 43, r.between(1, 4));
    }
    for (long m = 1; m <= 6; ++m) take<float>(single, r, m, 521, 1201);
    take<float>(single, r, 131, 263, 397);
    check(single);
    check(twice);
}

TEST_CASE("random shapes, on one thread and on several") {
    support::random r(5104);
    const heed::thread_pool two(2), five(5);
    found single, twice;
    for (int i = 0; i < 200; ++i) {
        const storage kind[] = {support::all_storages[r.between(0, 4)],
                                support::all_storages[r.between(0, 4)],
                                support::all_storages[r.between(0, 4)]};
        const long m = r.skewed(1, 300), k = r.skewed(1, 300), n = r.skewed(1, 300);
        const int how = static_cast<int>(r.between(0, 3));
        if (i % 2 == 0)
            take<float>(single, r, m, k, n, kind, how, heed::detail::device_ref(i % 4 == 0 ? two : five));
        else
            take<double>(twice, r, m / 2 + 1, k / 2 + 1, n / 2 + 1, kind, how,
                         heed::detail::device_ref(i % 4 == 1 ? two : five));
    }
    check(single);
    check(twice);
}

TEST_CASE("the error does not grow with the depth") {
    // By the size of the terms it falls; a single chain of floats would be at 2.6 here.
    support::random r(5105);
    found f;
    take<float>(f, r, 5, 30000, 17, {storage::rows, storage::rows, storage::rows}, 0, support::alone);
    take<float>(f, r, 2, 30000, 17, {storage::rows, storage::columns, storage::rows}, 0, support::alone);
    INFO(f.worst);
    CHECK(f.worst <= 0.05);
    CHECK(f.worst > 0);
    dense_matrix<float> a(3, 100000, storage::rows), b(100000, 50, storage::rows), c(3, 50, storage::rows);
    for (float& x : a.memory) x = 0.1f;
    for (float& x : b.memory) x = 0.1f;
    multiply<float>(c, a, b, nullptr, false);
    CHECK(std::fabs(double(c.at(2, 49)) / (100000 * double(0.1f) * double(0.1f)) - 1) < 2e-6);
}

TEST_CASE("nothing to multiply") {
    heed::workspace memory;
    for (const storage kind : support::all_storages) {
        dense_matrix<float> a(7, 0, kind), b(0, 40, kind), c(7, 40, kind);
        support::random r(5106);
        c.fill(r);
        c.at(3, 3) = -0.0f;
        std::vector<float> bias(40, 2.5f);
        const dense_matrix<float> before = c;
        multiply<float>(c, a, b, nullptr, true);
        CHECK(support::same_bits(c.elements(), before.elements()));
        multiply<float>(c, a, b, &bias, true);
        CHECK(c.at(6, 39) == before.at(6, 39) + 2.5f);
        multiply<float>(c, a, b, &bias, false);
        CHECK(support::same_bits(c.elements(), std::vector<float>(7 * 40, 2.5f)));
        multiply<float>(c, a, b, nullptr, false);
        CHECK(support::same_bits(c.elements(), std::vector<float>(7 * 40, 0.0f)));
        CHECK(c.same_outside(before));
    }
    // no rows, no columns: null data will do
    heed::detail::multiply(heed::detail::matrix<float>{nullptr, 0, 3, 3, 1}, {nullptr, 0, 4, 4, 1},
                           {nullptr, 4, 3, 3, 1}, nullptr, false, support::alone, memory);
    heed::detail::multiply(heed::detail::matrix<float>{nullptr, 3, 0, 0, 1}, {nullptr, 3, 4, 4, 1},
                           {nullptr, 4, 0, 0, 1}, nullptr, true, support::alone, memory);
}

TEST_CASE("calls allocate nothing once their memory has grown, and it does not grow with the problem") {
    const heed::thread_pool pool(3);
    heed::workspace memory, other;
    support::random r(5107);
    for (const long n : {1L, 3L, 700L}) {
        const auto a = support::random_matrix<float>(r, n, 300, storage::rows);
        const auto b = support::random_matrix<float>(r, 300, 500, storage::columns);
        dense_matrix<float> c(n, 500, storage::rows);
        multiply<float>(c, a, b, nullptr, false, support::alone, &memory);
        multiply<float>(c, a, b, nullptr, false, heed::detail::device_ref(pool), &memory);
        const support::allocation_watch watch;
        multiply<float>(c, a, b, nullptr, false, support::alone, &memory);
        multiply<float>(c, a, b, nullptr, true, heed::detail::device_ref(pool), &memory);
        const long count = watch.count();
        CHECK(count == 0);
    }
    const dense_matrix<float> a(2100, 900, storage::rows), b(900, 1100, storage::columns);
    dense_matrix<float> c(2100, 1100, storage::rows);
    multiply<float>(c, a, b, nullptr, false, heed::detail::device_ref(pool), &other);
    CHECK(other.bytes() <= 3 * (std::size_t{512} << 10));
}

namespace {

template <class T>
struct guarded_call {
    support::guarded_arena arenas[4] = {support::guarded_arena(bytes), support::guarded_arena(bytes),
                                        support::guarded_arena(bytes), support::guarded_arena(bytes)};
    static constexpr std::size_t bytes = 140 * 140 * sizeof(T);
    heed::workspace memory;

    heed::detail::matrix<T> place(support::random& r, int which, long rows, long columns, bool numbers) {
        const auto count = static_cast<std::size_t>(rows * columns);
        const auto gap = r.chance(0.6) ? 0 : sizeof(T) * static_cast<std::size_t>(r.between(1, 7));
        T* const x =
            arenas[which].place<T>(count, r.chance(0.5) ? support::wall::front : support::wall::back, gap);
        for (std::size_t i = 0; i < count && numbers; ++i) x[i] = static_cast<T>(r.uniform(-1, 1));
        return r.chance(0.5) ? heed::detail::matrix<T>{x, rows, columns, columns, 1}
                             : heed::detail::matrix<T>{x, rows, columns, 1, rows};
    }
    // False when something was read or written outside.
    bool run(support::random& r, std::string& what) {
        const long axis = r.between(0, 2);
        const auto any = [&](long which) { return which == axis ? r.between(1, 130) : r.skewed(1, 70); };
        const long m = any(0), k = any(1), n = any(2);
        what = std::to_string(m) + "x" + std::to_string(k) + "x" + std::to_string(n);
        const auto a = place(r, 0, m, k, true), b = place(r, 1, k, n, true), c = place(r, 2, m, n, false),
                   bias = place(r, 3, 1, n, true);
        heed::detail::multiply(c, a, b, r.chance(0.5) ? bias.data : nullptr, false, support::alone, memory);
        bool good = true;
        for (const auto& arena : arenas) good = good && arena.untouched_outside();
        for (long i = 0; i < m * n; ++i) good = good && std::isfinite(c.data[i]);
        return good;
    }
};

}  // namespace

TEST_CASE("no byte outside the matrices is read or written") {
    support::many<guarded_call<float>>(5108, 3000);
    support::many<guarded_call<double>>(5109, 1500);
}
