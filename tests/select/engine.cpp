// SPDX-License-Identifier: MIT
// tests/select/engine.cpp: select_top_k against sorting, on rows that lead a bracket astray
#include <array>
#include <span>

#include <heed/sparse.hpp>

#include "support/catch.hpp"
#include "support/choice.hpp"
#include "support/tensors.hpp"
#include "support/traps.hpp"

namespace {

constexpr double infinity = HUGE_VAL;

// Rows of every kind: kind % kinds says which.
constexpr int kinds = 16;
template <class T>
std::vector<T> row_of(support::random& r, long n, int kind) {
    std::vector<T> x(static_cast<std::size_t>(n));
    const double spread = r.chance(0.5) ? 1 : std::exp(r.uniform(-60, 60));
    for (long i = 0; i < n; ++i) {
        double v = r.normal();
        switch (kind) {
            case 0:
                break;
            case 1:
                v = 1;
                break;
            case 2:
                v = double(r.between(-1, 1));
                break;
            case 3:
                v = double(i);
                break;
            case 4:
                v = double(-i);
                break;
            case 5:
                v = r.chance(0.5) ? 0.0 : -0.0;
                break;
            case 6:
                v = std::exp(20 * v);
                break;
            case 7:
                v = r.chance(0.7) ? v : -infinity;
                break;
            case 8:
                v = r.chance(0.9) ? v : std::copysign(std::nan(""), r.normal());
                break;
            case 9:
                v = double(std::numeric_limits<T>::denorm_min()) * double(r.between(-3, 3));
                break;
            case 10:
                v = r.chance(0.4) ? v : r.chance(0.5) ? infinity : -infinity;
                break;
            case 11:
                v = i % 97 == 0 ? 1e6 * v : v;
                break;
            case 12:
                v = i < n / 2 ? v : 100 + v;
                break;  // what a sample of the front does not know
            case 13:
                v = i % 16 < 4 ? 50 + v : v;
                break;  // in step with a sample
            case 14:
                v = i == n / 3 ? 1e30 : 1 + 1e-6 * v;
                break;
            default:
                v = std::nan("");
                break;
        }
        x[static_cast<std::size_t>(i)] = static_cast<T>(std::isfinite(v) && kind == 0 ? v * spread : v);
    }
    return x;
}

template <class T>
long mismatches(const std::vector<T>& x, long k) {
    const std::vector<long> want = support::best_of(x, k);
    // One more than is needed, to see that nothing else is written, and room enough for whole packs.
    long wrong = 0;
    for (const std::size_t more : {std::size_t{0}, std::size_t{40}}) {
        std::vector<int> indices(want.size() + more, -7);
        const auto found = heed::select_top_k(x, k, indices);
        wrong += static_cast<std::size_t>(found) != want.size() ||
                 !std::equal(want.begin(), want.end(), indices.begin());
    }
    return wrong;
}

template <class T>
void all_rows(std::uint64_t seed, long first, long last, long step) {
    heed_test::without_traps by_design;
    support::random r(seed);
    long wrong = 0;
    std::string where;
    for (long n = first; n <= last; n += step)
        for (int kind = 0; kind < kinds; ++kind) {
            const auto x = row_of<T>(r, n, kind);
            for (const long k : {0L, 1L, n / 4, n - 1, n + 3, r.between(0, n)}) {
                if (k < 0 || mismatches(x, k) == 0) continue;
                ++wrong;
                where +=
                    " n=" + std::to_string(n) + " kind=" + std::to_string(kind) + " k=" + std::to_string(k);
            }
        }
    INFO(where.substr(0, 300));
    CHECK(wrong == 0);
}

}  // namespace

TEST_CASE("every length up to 300") {
    all_rows<float>(811, 0, 300, 1);
    all_rows<double>(812, 0, 300, 1);
}

TEST_CASE("lengths around and beyond a sample") {
    all_rows<float>(813, 500, 530, 1);
    all_rows<float>(814, 700, 9000, 1931);
    all_rows<double>(815, 700, 9000, 2777);
    all_rows<float>(816, 70001, 70001, 1);
}

TEST_CASE("nothing is written behind the indices found") {
    support::random r(817);
    const auto x = row_of<float>(r, 1000, 0);
    for (const long k : {0L, 1L, 15L, 16L, 17L, 250L}) {
        std::vector<int> indices(static_cast<std::size_t>(k) + 64, -7);
        CHECK(heed::select_top_k(x, k, std::span(indices).first(static_cast<std::size_t>(k))) == k);
        CHECK(std::count(indices.begin(), indices.end(), -7) == 64);
    }
}

TEST_CASE("rows and indices of any kind") {
    const std::vector<float> x{3, 1, 2, 5, 4};
    Eigen::VectorXf vector = Eigen::Map<const Eigen::VectorXf>(x.data(), 5);
    const float array[] = {3, 1, 2, 5, 4};
    Eigen::Tensor<float, 1> tensor(5);
    std::copy(x.begin(), x.end(), tensor.data());
    heed::workspace memory;
    const auto chosen = [&](const auto& scores) {
        std::array<int, 2> a{};
        Eigen::VectorXi b(2);
        std::vector<unsigned> c(2);
        const bool counted = heed::select_top_k(scores, 2, a) == 2 &&
                             heed::select_top_k(scores, 2u, b) == 2 &&
                             heed::select_top_k(scores, 2L, c, memory) == 2;
        return counted && a[0] == 3 && a[1] == 4 && b[0] == 3 && b[1] == 4 && c[0] == 3 && c[1] == 4;
    };
    CHECK(chosen(x));
    CHECK(chosen(vector));
    CHECK(chosen(array));
    CHECK(chosen(tensor));
    CHECK(chosen(std::span(x)));
    CHECK(chosen(Eigen::Map<const Eigen::VectorXf>(x.data(), 5)));
}
