// SPDX-License-Identifier: MIT
// tests/cache/attention.cpp: attention over a cache beside attention over the tensors that went into it
//
// A cache of floats gives the bits of the tensors, wherever its pages lie; one of half or bfloat16 those of
// the rounded tensors; one of integers what its scales allow.
#include <heed/kv_cache.hpp>

#include "support/allocation.hpp"
#include "support/call.hpp"
#include "support/jittery.hpp"

namespace {

using tensor4 = support::tensor<float>;

tensor4 noise(long a, long b, long c, long d, std::uint64_t seed) {
    support::random r(seed);
    tensor4 t(a, b, c, d);
    for (long i = 0; i < t.size(); ++i) t.data()[i] = static_cast<float>(r.normal());
    return t;
}
bool same(const tensor4& a, const tensor4& b) {
    return support::same_bits(support::elements(a), support::elements(b));
}
// Positions [first, first + count), and one batch entry.
tensor4 positions(const tensor4& t, long first, long count) {
    return t.slice(Eigen::array<long, 4>{0, 0, first, 0},
                   Eigen::array<long, 4>{t.dimension(0), t.dimension(1), count, t.dimension(3)});
}
tensor4 entry(const tensor4& t, long b) {
    return t.slice(Eigen::array<long, 4>{b, 0, 0, 0},
                   Eigen::array<long, 4>{1, t.dimension(1), t.dimension(2), t.dimension(3)});
}
template <class T>
tensor4 rounded(const tensor4& t) {
    tensor4 to = t;
    for (long i = 0; i < t.size(); ++i) to.data()[i] = static_cast<float>(static_cast<T>(t.data()[i]));
    return to;
}
double largest_difference(const tensor4& a, const tensor4& b) {
    double most = 0;
    for (long i = 0; i < a.size(); ++i)
        most =
            std::fmax(most, std::fabs(static_cast<double>(a.data()[i]) - static_cast<double>(b.data()[i])));
    return most;
}
// In pieces of random length, so that positions come to stand in pages in many ways.
template <class T>
void fill(heed::kv_cache<T>& cache, const tensor4& k, const tensor4& v, std::uint64_t seed) {
    support::random r(seed);
    for (long at = 0; at < k.dimension(2);) {
        const long count = std::min(r.between(1, 90), k.dimension(2) - at);
        cache.append(positions(k, at, count), positions(v, at, count));
        at += count;
    }
}

}  // namespace

TEST_CASE("a cache of floats gives the bits of the tensors it was filled with") {
    for (const long features : {8, 40, 72, 128})
        for (const long queries : {1, 3, 4}) {
            const long keys = 333;
            const tensor4 q = noise(2, 4, queries, features, 1), k = noise(2, 2, keys, features, 2),
                          v = noise(2, 2, keys, features + 5, 3);
            heed::kv_cache<float> cache(2, 2, features, {.value_dim = features + 5});
            fill(cache, k, v, 4);
            CAPTURE(features, queries);
            CHECK(same(heed::attention(q, cache), heed::attention(q, k, v)));
            CHECK(same(heed::attention(q, cache, heed::causal), heed::attention(q, k, v, heed::causal)));
            CHECK(same(heed::attention(q, cache, heed::causal & heed::window(100, 0)),
                       heed::attention(q, k, v, heed::causal & heed::window(100, 0))));
            const auto low = [](auto s, heed::at i) {
                return s - 0.01f * static_cast<float>(i.head + i.key);
            };
            CHECK(same(heed::attention(q, cache, heed::softcap(3), heed::score(low)),
                       heed::attention(q, k, v, heed::softcap(3), heed::score(low))));
        }
}

TEST_CASE("a piece of a prompt over a cache is the prompt's rows") {
    const long keys = 410;
    const tensor4 k = noise(1, 2, keys, 64, 5), v = noise(1, 2, keys, 64, 6);
    heed::kv_cache<float> cache(1, 2, 64);
    fill(cache, k, v, 7);
    for (const long queries : {65, 130, 410}) {
        const tensor4 q = noise(1, 4, queries, 64, 8);
        CAPTURE(queries);
        CHECK(same(heed::attention(q, cache, heed::causal), heed::attention(q, k, v, heed::causal)));
    }
    // Up to 64 they take another way, of the same accuracy.
    const tensor4 q = noise(1, 4, 64, 64, 9);
    CHECK(largest_difference(heed::attention(q, cache, heed::causal),
                             heed::attention(q, k, v, heed::causal)) < 2e-6);
}

TEMPLATE_TEST_CASE("a query has the same bits alone and among up to 64, on one thread and on several", "",
                   float, Eigen::half, Eigen::bfloat16, heed::int8, heed::int4) {
    const long keys = 2500, all = 64;
    const tensor4 k = noise(1, 2, keys, 40, 11), v = noise(1, 2, keys, 40, 12), q = noise(1, 4, all, 40, 13);
    heed::kv_cache<TestType> cache(1, 2, 40);
    cache.append(k, v);
    const tensor4 together = heed::attention(q, cache);
    support::jittery device{3, support::random(14)};
    CHECK(same(heed::attention(q, cache, heed::on(device)), together));
    for (const long count : {1, 2, 5, 7, 30, 63}) {
        const tensor4 some = heed::attention(positions(q, 1, count), cache);
        CAPTURE(count);
        CHECK(same(some, positions(together, 1, count)));
    }
    // What its neighbours' masks hide does not reach a query either: the last ones stand at the same
    // positions.
    const tensor4 causal = heed::attention(q, cache, heed::causal);
    for (const long count : {1, 2, 10, 33}) {
        CAPTURE(count);
        CHECK(same(heed::attention(positions(q, all - count, count), cache, heed::causal),
                   positions(causal, all - count, count)));
    }
}

TEMPLATE_TEST_CASE("a cache of 16-bit numbers gives what the rounded tensors give", "", Eigen::half,
                   Eigen::bfloat16) {
    const long keys = 300;
    for (const long features : {24, 65, 128})
        for (const long queries : {1, 4, 80}) {
            const tensor4 q = noise(1, 4, queries, features, 21), k = noise(1, 2, keys, features, 22),
                          v = noise(1, 2, keys, features, 23);
            heed::kv_cache<TestType> cache(1, 2, features);
            fill(cache, k, v, 24);
            const tensor4 rk = rounded<TestType>(k), rv = rounded<TestType>(v);
            CAPTURE(features, queries);
            const tensor4 y = heed::attention(q, cache, heed::causal),
                          z = heed::attention(q, rk, rv, heed::causal);
            const tensor4 capped = heed::attention(q, cache, heed::softcap(5)),
                          capped_z = heed::attention(q, rk, rv, heed::softcap(5));
            // Few queries take steps of as many keys as fit a cache, more of them when these are shorter.
            CHECK(largest_difference(y, z) < 2e-6);
            CHECK(largest_difference(capped, capped_z) < 2e-6);
            if (queries > 4) CHECK(same(y, z));
            if (queries > 4) CHECK(same(capped, capped_z));
        }
}

TEMPLATE_TEST_CASE("a cache of integers is as close as its scales allow", "", heed::int8, heed::int4) {
    // Scores move by at most sum |q| s_k / 2, weights by twice that and a bit, outputs by that and s_v / 2.
    const bool eight = std::is_same_v<TestType, heed::int8>;
    const double levels = eight ? 127 : 7;
    for (const bool turned : {false, true})
        for (const long queries : {1, 5, 70}) {
            const long keys = 200, features = 64;
            tensor4 q = noise(1, 2, queries, features, 31);
            const tensor4 k = noise(1, 1, keys, features, 32), v = noise(1, 1, keys, features, 33);
            heed::kv_cache<TestType> cache(1, 1, features, {.rotated = turned});
            fill(cache, k, v, 34);
            const tensor4 exact = heed::attention(q, k, v), y = heed::attention(q, cache);
            double sizes = 0, most_k = 0, most_v = 0;
            for (long i = 0; i < k.size(); ++i) {
                most_k = std::fmax(most_k, std::fabs(static_cast<double>(k.data()[i])));
                most_v = std::fmax(most_v, std::fabs(static_cast<double>(v.data()[i])));
            }
            // A rotation may lengthen the largest number of a row by the root of their count.
            const double longer = turned ? std::sqrt(double(features)) : 1;
            for (long h = 0; h < 2; ++h)
                for (long i = 0; i < queries; ++i) {
                    double sum = 0;
                    for (long f = 0; f < features; ++f)
                        sum += std::fabs(static_cast<double>(q(0, h, i, f))) * longer;
                    sizes = std::fmax(sizes, sum);
                }
            const double moved = sizes * (longer * most_k / levels / 2) / std::sqrt(double(features));
            const double bound = (std::exp(2 * moved) - 1) * most_v + longer * most_v / levels / 2 * longer;
            const double error = largest_difference(y, exact);
            CAPTURE(turned, queries, error, bound);
            CHECK(error <= bound);
            // What is usual is far below: errors of many numbers cancel.
            CHECK(error <= (eight ? 0.03 : 0.5));
            CHECK(error > 0);
        }
}

TEST_CASE("entries of different lengths are each what they are alone") {
    const long keys = 150;
    const tensor4 q = noise(3, 4, 2, 32, 41), k = noise(3, 2, keys, 32, 42), v = noise(3, 2, keys, 32, 43);
    heed::kv_cache<float> cache(3, 2, 32);
    cache.append(k, v, std::vector<int>{150, 64, 7});
    support::tensor<float, 3> lse(3, 4, 2);
    const tensor4 y = heed::attention(q, cache, heed::causal, heed::logsumexp(lse));
    for (long b = 0; b < 3; ++b) {
        const long length = cache.length(b);
        support::tensor<float, 3> alone_lse(1, 4, 2);
        const tensor4 alone =
            heed::attention(entry(q, b), positions(entry(k, b), 0, length), positions(entry(v, b), 0, length),
                            heed::causal, heed::logsumexp(alone_lse));
        CAPTURE(b);
        CHECK(same(entry(y, b), alone));
        for (long h = 0; h < 4; ++h)
            for (long i = 0; i < 2; ++i) CHECK(lse(b, h, i) == alone_lse(0, h, i));
    }
    // A score function sees the entry's own number.
    const auto by_entry = [](auto s, heed::at i) { return s * static_cast<float>(i.batch + 1); };
    const tensor4 z = heed::attention(q, cache, heed::score(by_entry));
    const tensor4 scaled =
        heed::attention(entry(q, 2), positions(entry(k, 2), 0, 7), positions(entry(v, 2), 0, 7),
                        heed::score([](auto s, heed::at) { return s * 3.0f; }));
    CHECK(same(entry(z, 2), scaled));
    // An entry without positions gives zeros.
    heed::kv_cache<float> empty(3, 2, 32);
    empty.append(k, v, std::vector<int>{5, 0, 5});
    const tensor4 none = heed::attention(q, empty);
    for (long i = 0; i < entry(none, 1).size(); ++i) CHECK(entry(none, 1).data()[i] == 0.0f);
}

TEST_CASE("a window of a cache hides what it has forgotten, and sinks stay") {
    const long keys = 700;
    const tensor4 k = noise(1, 1, keys, 16, 51), v = noise(1, 1, keys, 16, 52);
    heed::kv_cache<float> cache(1, 1, 16, {.window = 100, .sinks = 3});
    for (long n = 0; n < keys; n += 7) {
        cache.append(positions(k, n, 7), positions(v, n, 7));
        const tensor4 q = noise(1, 2, 7, 16, 53);
        const auto seen = heed::mask_if([&](heed::at i) {
            const auto at = static_cast<long>(i.query) + n;
            return i.key <= at && (i.key > at - 100 || i.key < 3);
        });
        // Up to 64 queries a cache decodes, tensors do so one query at a time.
        const tensor4 y = heed::attention(q, cache, heed::causal);
        const tensor4 z = heed::attention(q, positions(k, 0, n + 7), positions(v, 0, n + 7), seen);
        CAPTURE(n);
        CHECK(largest_difference(y, z) < 2e-6);
    }
    CHECK(cache.first_kept(0) > 3);
    support::tensor<float> scores(1, 2, 1, keys);
    CHECK_THROWS_WITH(heed::attention(noise(1, 2, 1, 16, 54), cache, heed::scores(scores, heed::stage::raw)),
                      heed_test::contains("attention: scores(t) over a cache with a window of 100"));
    const tensor4 last = noise(1, 2, 1, 16, 54);
    support::tensor<float> weights(1, 2, 1, keys);
    heed::attention(last, cache, heed::causal, heed::weights(weights));
    for (long key = 0; key < keys; ++key) {
        const bool hidden = key >= 3 && key <= keys - 1 - 100;
        CHECK((weights(0, 0, 0, key) == 0.0f) == hidden);
    }
    CHECK_THROWS_WITH(heed::attention(noise(1, 2, 300, 16, 55), cache, heed::causal),
                      heed_test::contains("attention: q has 300 queries, the first of them at position 400"));
}

TEST_CASE("what stands behind the last position of a cache is never read") {
    tensor4 k = noise(1, 1, 100, 32, 61), v = noise(1, 1, 100, 32, 62);
    const tensor4 q = noise(1, 2, 3, 32, 63);
    const tensor4 good_k = positions(k, 0, 70), good_v = positions(v, 0, 70);
    for (long i = 70; i < 100; ++i)
        for (long f = 0; f < 32; ++f) k(0, 0, i, f) = v(0, 0, i, f) = std::numeric_limits<float>::quiet_NaN();
    heed::kv_cache<float> cache(1, 1, 32);
    cache.append(k, v);
    cache.truncate(70);
    CHECK(same(heed::attention(q, cache, heed::causal), heed::attention(q, good_k, good_v, heed::causal)));
    CHECK(same(heed::attention(q, cache), heed::attention(q, good_k, good_v)));
}

TEST_CASE("values that are a part of the keys are stored once and read as they are") {
    const tensor4 latent = noise(1, 1, 130, 48, 71), q = noise(1, 8, 2, 48, 72);
    heed::kv_cache<float> cache(1, 1, 48, {.value_dim = 32, .shared = true});
    cache.append(latent);
    const tensor4 v = latent.slice(Eigen::array<long, 4>{0, 0, 0, 0}, Eigen::array<long, 4>{1, 1, 130, 32});
    CHECK(same(heed::attention(q, cache, heed::causal), heed::attention(q, latent, v, heed::causal)));
}

TEST_CASE("numbers as large as there are come back finite from a cache of integers") {
    tensor4 k(1, 1, 1, 16), v(1, 1, 1, 16);
    k.setConstant(1);
    v.setConstant((std::numeric_limits<float>::max)());
    heed::kv_cache<heed::int8> cache(1, 1, 16);
    cache.append(k, v);
    const heed::kv_cache<heed::int4> narrow = cache.to_int4();
    for (const long queries : {1, 5, 70}) {
        const tensor4 q = noise(1, 1, queries, 16, 75);
        for (const tensor4& y : {tensor4(heed::attention(q, cache)), tensor4(heed::attention(q, narrow))})
            for (long i = 0; i < y.size(); ++i) CHECK(y.data()[i] > 3.4e38f);
    }
}

TEST_CASE("a result is as wide as the values, whatever q is") {
    heed::kv_cache<float> cache(1, 1, 8, {.value_dim = 24});
    const tensor4 k = noise(1, 1, 10, 8, 76), v = noise(1, 1, 10, 24, 77), q = noise(1, 1, 4, 8, 78);
    cache.append(k, v);
    const tensor4 y = heed::attention(q, cache);
    Eigen::TensorFixedSize<float, Eigen::Sizes<1, 1, 4, 8>, Eigen::RowMajor> fixed;
    Eigen::Matrix<float, 4, 8, Eigen::RowMajor> rows;
    for (long i = 0; i < q.size(); ++i) fixed.data()[i] = rows.data()[i] = q.data()[i];
    const auto of_fixed = heed::attention(fixed, cache);
    const auto of_rows = heed::attention(rows, cache);
    REQUIRE(of_fixed.dimension(3) == 24);
    REQUIRE((of_rows.rows() == 4 && of_rows.cols() == 24));
    for (long i = 0; i < y.size(); ++i)
        CHECK((of_fixed.data()[i] == y.data()[i] && of_rows.data()[i] == y.data()[i]));
}

TEST_CASE("a call over a cache allocates nothing where its workspace has grown") {
    for (const bool turned : {false, true}) {
        heed::kv_cache<float> cache(2, 1, 16, {.rotated = turned});
        cache.append(noise(2, 1, 100, 16, 79), noise(2, 1, 100, 16, 80));
        const tensor4 q = noise(2, 2, 3, 16, 81);
        tensor4 y(2, 2, 3, 16);
        heed::workspace workspace;
        const auto call = [&] { heed::attention_into(y, q, cache, heed::causal, heed::use(workspace)); };
        call();
        call();  // what it took in pieces is one block now
        const support::allocation_watch watch;
        call();
        CHECK(watch.count() == 0);
    }
}

TEST_CASE("a fork attends to its own positions") {
    const tensor4 k = noise(1, 1, 90, 16, 81), v = noise(1, 1, 90, 16, 82), q = noise(1, 1, 1, 16, 83);
    heed::kv_cache<float> cache(1, 1, 16);
    cache.append(positions(k, 0, 70), positions(v, 0, 70));
    auto twin = cache.fork();
    twin.append(positions(k, 70, 20), positions(v, 70, 20));
    cache.append(positions(k, 10, 20), positions(v, 10, 20));
    CHECK(same(heed::attention(q, twin), heed::attention(q, k, v)));
    CHECK(!same(heed::attention(q, twin), heed::attention(q, cache)));
}

TEST_CASE("attention over a cache says what does not fit, and writes nothing") {
    const tensor4 k = noise(2, 2, 20, 16, 91), v = noise(2, 2, 20, 16, 92);
    heed::kv_cache<float> cache(2, 2, 16);
    cache.append(k, v, std::vector<int>{20, 3});
    using heed_test::contains;
    CHECK_THROWS_WITH(heed::attention(noise(1, 2, 1, 16, 1), cache),
                      contains("heed::attention: q has 1 batch entries, the cache has 2"));
    CHECK_THROWS_WITH(heed::attention(noise(2, 3, 1, 16, 1), cache),
                      contains("q has 3 heads, needs a multiple"));
    CHECK_THROWS_WITH(heed::attention(noise(2, 2, 1, 8, 1), cache),
                      contains("q has 8 features, the cache has 16"));
    tensor4 y = noise(2, 2, 1, 16, 93);
    const tensor4 before = y;
    support::tensor<float> bias(2, 2, 1, 20);
    bias.setZero();
    CHECK_THROWS_WITH(heed::attention_into(y, noise(2, 2, 1, 16, 1), cache, heed::bias(bias)),
                      contains("heed::attention_into: bias"));
    CHECK(same(y, before));
}
