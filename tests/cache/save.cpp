// SPDX-License-Identifier: MIT
// tests/cache/save.cpp: caches as streams of bytes, whole, cut, changed and foreign
#include <heed/kv_cache.hpp>

#include "support/cache_model.hpp"

using heed_test::contains;

namespace {

template <class T>
heed::kv_cache<T> loaded(const std::string& bytes) {
    std::istringstream from(bytes);
    return heed::kv_cache<T>::load(from);
}

template <class T>
heed::kv_cache<T> made(support::random& r, const heed::kv_cache_config& config, long positions,
                       long batch = 2, long heads = 2, long d = 16) {
    heed::kv_cache<T> cache(batch, heads, d, config);
    while (positions > 0) {
        const long n = std::min(positions, r.between(1, 90));
        const auto k = support::normal_tensor(r, batch, heads, n, d);
        const auto v = support::normal_tensor(r, batch, heads, n, cache.value_dim());
        std::vector<long> lengths;
        for (long b = 0; b < batch; ++b) lengths.push_back(n - b % 2 * (n / 3));
        config.shared ? cache.append(k, lengths) : cache.append(k, v, lengths);
        positions -= n;
    }
    return cache;
}

template <class T>
long differences(const heed::kv_cache<T>& a, const heed::kv_cache<T>& b) {
    long count = a.window() != b.window() || a.sinks() != b.sinks() || a.rotated() != b.rotated() ||
                 a.shared() != b.shared() || a.value_dim() != b.value_dim() || a.page() != b.page() ||
                 a.bytes() != b.bytes() || a.payload_bytes() != b.payload_bytes();
    for (long e = 0; e < a.batch(); ++e) {
        count += a.length(e) != b.length(e) || a.first_kept(e) != b.first_kept(e);
        for (long j = 0; j < a.length(e) && count == 0; ++j) {
            count += support::is_held(a, e, j) != support::is_held(b, e, j);
            for (long h = 0; h < a.kv_heads() && support::is_held(a, e, j); ++h)
                for (const bool value : {false, true})
                    count += support::row_of(a, e, h, j, value).x != support::row_of(b, e, h, j, value).x;
        }
    }
    return count;
}

template <class T>
void check_round_trip(std::uint64_t seed) {
    support::random r(seed);
    for (int round = 0; round < 12; ++round) {
        heed::kv_cache_config config{.value_dim = 8, .page = 64 * r.between(1, 2)};
        if (r.chance(0.5)) config.window = r.skewed(1, 200);
        if (r.chance(0.5)) config.sinks = r.skewed(1, 100);
        config.shared = r.chance(0.3);
        config.rotated = !config.shared && r.chance(0.3);
        auto cache = made<T>(r, config, r.between(0, 700), r.between(0, 3));
        const std::string bytes = support::saved(cache);
        auto again = loaded<T>(bytes);
        CHECK(differences(cache, again) == 0);
        CHECK(support::saved(again) == bytes);
        // Both go on alike.
        const auto k = support::normal_tensor(r, cache.batch(), 2, 100, 16);
        const auto v = support::normal_tensor(r, cache.batch(), 2, 100, 8);
        for (auto* c : {&cache, &again}) config.shared ? c->append(k) : c->append(k, v);
        CHECK(support::saved(again) == support::saved(cache));
        if (cache.batch() > 0) CHECK(support::saved(again) != bytes);
    }
}

template <class T>
void check_damage(std::uint64_t seed) {
    support::random r(seed);
    const auto cache = made<T>(r, {.value_dim = 3, .window = 3}, 150, 2, 1, 4);
    const std::string bytes = support::saved(cache);
    CHECK(cache.first_kept(0) > 0);
    CHECK(bytes.size() < 6000);
    long taken = 0;
    const auto refused = [&](const std::string& other) {
        try {
            (void)loaded<T>(other);
            ++taken;
        } catch (const heed::error& e) {
            taken += std::string(e.what()).rfind("heed::kv_cache::load: ", 0) != 0;
        }
    };
    for (std::size_t n = 0; n < bytes.size(); ++n) refused(bytes.substr(0, n));
    for (std::size_t n = 0; n < bytes.size(); ++n) {
        std::string other = bytes;
        other[n] = static_cast<char>(other[n] ^ (1 << r.between(0, 7)));
        refused(other);
        other[n] = static_cast<char>(bytes[n] + r.between(1, 255));
        refused(other);
    }
    CHECK(taken == 0);
    CHECK(loaded<T>(bytes).length(0) == cache.length(0));
}

// The head of a stream, with its checksum, as somebody else may write it.
std::string head(std::initializer_list<std::int64_t> numbers, std::uint32_t version = 1,
                 std::uint32_t element = 1) {
    std::string bytes("\x89heedkv\n");
    const auto add = [&](auto x) {
        for (std::size_t i = 0; i < sizeof x; ++i)
            bytes += static_cast<char>(static_cast<std::uint64_t>(x) >> (8 * i) & 255);
    };
    add(version);
    add(element);
    for (const std::int64_t n : numbers) add(n);
    std::uint64_t sum = 0xcbf29ce484222325u;
    for (const char c : bytes) sum = (sum ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    add(sum);
    return bytes;
}

}  // namespace

TEST_CASE("a cache that was saved comes back as it was") {
    check_round_trip<float>(921);
    check_round_trip<Eigen::half>(922);
    check_round_trip<Eigen::bfloat16>(923);
    check_round_trip<heed::int8>(924);
    check_round_trip<heed::int4>(925);
}

TEST_CASE("a stream that is cut or changed anywhere is refused") {
    check_damage<float>(926);
    check_damage<Eigen::bfloat16>(927);
    check_damage<heed::int4>(928);
}

TEST_CASE("a stream may hold several caches, and only of the type asked for") {
    support::random r(929);
    const auto a = made<heed::int8>(r, {.value_dim = 8}, 100);
    const auto b = made<heed::int4>(r, {.window = 40}, 300);
    std::stringstream both;
    a.save(both);
    b.save(both);
    both << "more";
    CHECK(differences(a, heed::kv_cache<heed::int8>::load(both)) == 0);
    CHECK(differences(b, heed::kv_cache<heed::int4>::load(both)) == 0);
    std::string rest;
    both >> rest;
    CHECK(rest == "more");
    CHECK_THROWS_WITH(loaded<float>(support::saved(a)),
                      contains("heed::kv_cache::load: the stream holds a cache of int8, needs one of float"));
    CHECK_THROWS_WITH(loaded<heed::int8>(support::saved(made<Eigen::half>(r, {}, 1))),
                      contains("holds a cache of half, needs one of int8"));
    CHECK_THROWS_WITH(loaded<float>(""), contains("the stream ends too early"));
    CHECK_THROWS_WITH(loaded<float>("a text that is no cache"), contains("the stream holds something else"));
}

TEST_CASE("what a stream says is checked, and takes no memory before it came") {
    const auto refused = [](const std::string& words, const std::string& bytes) {
        CHECK_THROWS_WITH(loaded<float>(bytes), contains("heed::kv_cache::load: " + words));
    };
    constexpr std::int64_t most = 2147483647;
    const std::string one = head({1, 1, 1, 1, 64, 0, 0, 0, 0, 0});
    CHECK_THROWS_WITH(loaded<float>(one), contains("the stream ends too early"));
    refused("the stream is of version 2, needs 1", head({1, 1, 1, 1, 64, 0, 0, 0, 0, 0}, 2));
    refused("the stream holds no known element", head({1, 1, 1, 1, 64, 0, 0, 0, 0, 0}, 1, 6));
    refused("batch is -1", head({-1, 1, 1, 1, 64, 0, 0, 0}));
    refused("page is 65", head({1, 1, 1, 1, 65, 0, 0, 0, 0, 0}));
    refused("the stream holds flags", head({1, 1, 1, 1, 64, 0, 0, 4, 0, 0}));
    refused("a product of extents", head({1, most, most, most, 64 * (most / 64), 0, 0, 0, 1, 0}));
    const std::string lengths = "the stream holds lengths that no cache has";
    refused(lengths, head({1, 1, 1, 1, 64, 0, 0, 0, -1, 0}));
    refused(lengths, head({1, 1, 1, 1, 64, 0, 0, 0, most + 1, 0}));
    refused(lengths, head({1, 1, 1, 1, 64, 0, 0, 0, 128, 1}));
    refused(lengths, head({1, 1, 1, 1, 64, 10, 65, 0, 200, 2}));
    refused(lengths, head({1, 1, 1, 1, 64, 10, 0, 0, 72, 1}));
    refused(lengths, head({1, 1, 1, 1, 64, 10, 0, 0, 200, -1}));
    refused(lengths, head({1, 1, 1, 1, 64, 10, 0, 0, 200, std::int64_t(1) << 60}));
    // Of these no memory holds the pages, or the entries.
    refused("the stream ends too early", head({most, 1, 1, 1, 64, 0, 0, 0}));
    refused("the stream ends too early", head({1, 1, most, most, 64, 0, 0, 0, 64, 0}));
    refused("the stream ends too early", head({1, 1, most, most, 1 << 20, 0, 0, 0, 1, 0}));
    refused("the stream ends too early", head({1, 1, 64, 64, 64, 0, 0, 0, most, 0}));
}

TEST_CASE("a stream that takes no more is named") {
    support::random r(930);
    const auto cache = made<float>(r, {}, 100);
    std::ostringstream to;
    to.setstate(std::ios::badbit);
    CHECK_THROWS_WITH(cache.save(to), contains("heed::kv_cache::save: the stream took no more bytes"));
}

TEST_CASE("the first bytes of a stream are these") {
    heed::kv_cache<Eigen::half> cache(1, 2, 8, {.value_dim = 16, .window = 5, .sinks = 3, .rotated = true});
    CHECK(support::saved(cache).substr(0, 104) == head({1, 2, 8, 16, 64, 5, 3, 1, 0, 0}, 1, 2));
}
