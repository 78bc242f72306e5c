// SPDX-License-Identifier: MIT
// tests/core/overlap.cpp: which tensors share memory, against trying every byte
#include <set>
#include <vector>

#include <heed/core/check.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

namespace {

// A view's bytes in a room of some thousand, and the set of them.
struct laid_out {
    heed::detail::byte_span span;
    std::set<long> bytes;
    laid_out(support::random& r, const char* room, long longest) {
        const heed::index sizes[] = {1, 2, 4, 8};
        const heed::index size = sizes[r.between(0, 3)];
        std::array<heed::index, 4> extents{}, strides{};
        for (std::size_t axis = 0; axis < 4; ++axis) {
            extents[axis] = r.between(1, 3);
            strides[axis] = r.between(-longest, longest);
        }
        const long first = r.between(-20, 20) * r.between(1, 4);
        span = heed::detail::bytes_of(room + first, size, extents, strides);
        for (long b = 0; b < extents[0]; ++b)
            for (long h = 0; h < extents[1]; ++h)
                for (long p = 0; p < extents[2]; ++p)
                    for (long f = 0; f < extents[3]; ++f)
                        for (long byte = 0; byte < size; ++byte)
                            bytes.insert(
                                first + byte +
                                size * (b * strides[0] + h * strides[1] + p * strides[2] + f * strides[3]));
    }
};

}  // namespace

TEST_CASE("which strides make elements overlap, against trying all of them") {
    support::random r(61);
    std::vector<float> memory(2000);
    long overlapping = 0;
    for (int round = 0; round < 3000; ++round) {
        heed::view<float> y(memory.data() + memory.size() / 2, {}, {});
        const long longest[] = {12, 20, 60};
        const long most = longest[round % 3];
        for (std::size_t axis = 0; axis < 4; ++axis) {
            y.extents[axis] = r.between(1, 4);
            y.strides[axis] = r.between(-most, most);
        }
        std::set<const float*> seen;
        for (long b = 0; b < y.batch(); ++b)
            for (long h = 0; h < y.heads(); ++h)
                for (long p = 0; p < y.positions(); ++p)
                    for (long f = 0; f < y.features(); ++f)
                        seen.insert(y.data + b * y.strides[0] + h * y.strides[1] + p * y.strides[2] +
                                    f * y.strides[3]);
        const bool want = seen.size() != static_cast<std::size_t>(y.size());
        overlapping += want;
        REQUIRE(heed::detail::overlaps_itself(heed::detail::bytes_of(y)) == want);
    }
    CHECK((overlapping > 500 && overlapping < 2500));
}

TEST_CASE("which tensors of any two element sizes overlap, against trying all bytes") {
    support::random r(62);
    const std::vector<char> room(4096);
    long overlapping = 0;
    for (int round = 0; round < 6000; ++round) {
        const long longest = round % 3 == 0 ? 4 : round % 3 == 1 ? 12 : 40;
        const laid_out a(r, room.data() + 2048, longest), b(r, room.data() + 2048, longest);
        bool want = false;
        for (const long byte : a.bytes) want = want || b.bytes.count(byte) > 0;
        overlapping += want;
        REQUIRE(heed::detail::overlap(a.span, b.span) == want);
        REQUIRE(heed::detail::overlap(b.span, a.span) == want);
        REQUIRE(a.span.low == *a.bytes.begin() + reinterpret_cast<std::intptr_t>(room.data() + 2048));
        REQUIRE(a.span.high == *a.bytes.rbegin() + 1 + reinterpret_cast<std::intptr_t>(room.data() + 2048));
    }
    CHECK((overlapping > 1000 && overlapping < 5000));
}

TEST_CASE("strides that reach past all memory, and strides of axes of one element") {
    const float x[4] = {};
    const auto span = [&](std::array<heed::index, 4> extents, std::array<heed::index, 4> strides) {
        return heed::detail::bytes_of(x, extents, strides);
    };
    CHECK(span({1, 1, 1, 4}, {PTRDIFF_MAX, PTRDIFF_MIN, -PTRDIFF_MAX, 1}).fits);
    CHECK(!span({2, 1, 1, 4}, {PTRDIFF_MAX, 0, 0, 1}).fits);
    CHECK(!span({2, 1, 1, 4}, {PTRDIFF_MIN, 0, 0, 1}).fits);
    CHECK(!span({3, 3, 1, 1}, {PTRDIFF_MAX / 32, PTRDIFF_MAX / 32, 0, 1}).fits);
    CHECK(span({3, 3, 1, 1}, {1000, 100, 0, 1}).fits);
    CHECK(span({0, 3, 1, 1}, {PTRDIFF_MAX, 100, 0, 1}).empty());
}
