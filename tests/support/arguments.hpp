// SPDX-License-Identifier: MIT
// tests/support/arguments.hpp: functions as lists of their arguments, from which tests are generated
//
// A letter stands for an extent: {"q", "bhqd"} is (batch, head, query, feature). Of every list come
//     check_empty      each letter and each pair of letters at 0: an empty answer or a heed::error
//     check_memory     each output null, overlapping itself, an input or another output; each input null;
//                      strides that reach past all memory; any stride on an axis of one element
//     check_strides    gaps between all elements: the bits of the dense call, and nothing else written
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <heed/core/tensor.hpp>

#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/random.hpp"

namespace support {

using sizes = std::map<char, long>;
using views = std::vector<heed::view<float>>;

struct argument {
    std::string name;
    std::string axes;
    std::string stands_on{};  // the input that an output may replace
    bool kept = false;        // read as well as written
    std::string after{};      // inputs that were read before it is written
};
struct function_call {
    std::string name;
    std::vector<argument> in, out;
    std::function<void(const views& in, const views& out, const sizes& n)> run;
};

inline constexpr float untouched = 77, seen_before = 0.25f;

inline sizes usual_sizes() { return {{'b', 2}, {'h', 4}, {'g', 2}, {'q', 5}, {'k', 7}, {'d', 8}, {'e', 6}}; }
// All axes shorter than a vector, features an odd number of vectors and more.
inline sizes narrow_sizes() {
    return {{'b', 1}, {'h', 2}, {'g', 1}, {'q', 3}, {'k', 37}, {'d', 2}, {'e', 19}, {'r', 5}};
}
inline long extent(char letter, const sizes& n) {
    if (letter >= '0' && letter <= '9') return letter - '0';
    if (letter == 'E') return n.at('e') + 1;  // a state's column of the normaliser
    if (letter == 'p') return n.at('d') / 2;  // pairs
    if (letter == 'H') return n.at('h') * 5;  // a head mix
    return n.at(letter);
}

inline std::vector<argument> with(std::vector<argument> list, const std::vector<argument>& more) {
    list.insert(list.end(), more.begin(), more.end());
    return list;
}

// The arguments of one call, each with memory of its own.
class prepared {
public:
    prepared(const function_call& f, const sizes& n) {
        for (const argument& a : f.in) in.push_back(add(a, n, 0.5f));
        for (const argument& a : f.out) out.push_back(add(a, n, a.kept ? seen_before : untouched));
    }
    prepared(const prepared&) = delete;

    bool outputs_untouched() const {
        for (const auto& [from, value] : buffers_)
            for (const float x : from)
                if (value != 0.5f && x != value) return false;
        return true;
    }
    views in, out;

private:
    heed::view<float> add(const argument& a, const sizes& n, float value) {
        std::array<heed::index, 4> extents{1, 1, 1, 1};
        std::size_t count = 1;
        for (std::size_t axis = 0; axis < 4; ++axis) {
            extents[axis] = extent(a.axes[axis], n);
            count *= static_cast<std::size_t>(extents[axis]);
        }
        auto& memory = buffers_.emplace_back(std::vector<float>(count, value), value).first;
        return {count == 0 ? nullptr : memory.data(), extents};
    }
    std::vector<std::pair<std::vector<float>, float>> buffers_;
};

// Throws heed::error and writes nothing.
inline bool refused(const function_call& f, const prepared& p, const sizes& n) {
    try {
        f.run(p.in, p.out, n);
    } catch (const heed::error& e) {
        CHECK(p.outputs_untouched());
        return std::string(e.what()).find("heed::") == 0;
    }
    return false;
}

inline void check_empty_at(const function_call& f, const sizes& n) {
    const prepared p(f, n);
    std::string text = f.name;
    for (const auto& [letter, extent] : n) text += std::string(" ") + letter + std::to_string(extent);
    INFO(text);
    try {
        f.run(p.in, p.out, n);
    } catch (const heed::error&) {
        CHECK(p.outputs_untouched());
        return;
    }
    for (std::size_t i = 0; i < p.out.size(); ++i) {
        if (f.out[i].kept) continue;
        long unwritten = 0, nan = 0;
        for (long x = 0; x < p.out[i].size(); ++x) {
            unwritten += p.out[i].data[x] == untouched;
            nan += std::isnan(p.out[i].data[x]);
        }
        INFO(f.out[i].name);
        CHECK(unwritten == 0);
        CHECK(nan == 0);
    }
}

inline std::set<char> letters_of(const function_call& f) {
    std::set<char> letters;
    for (const auto* list : {&f.in, &f.out})
        for (const argument& a : *list)
            for (const char x : a.axes)
                if (x == 'E')
                    letters.insert('e');
                else if (x == 'p')
                    letters.insert('d');
                else if (x == 'H')
                    letters.insert('h');
                else if (x > '9')
                    letters.insert(x);
    return letters;
}

inline void check_empty(const function_call& f, const sizes& usual = usual_sizes()) {
    check_empty_at(f, usual);
    for (const char first : letters_of(f))
        for (const char second : letters_of(f)) {
            if (second < first) continue;
            sizes n = usual;
            n[first] = n[second] = 0;
            check_empty_at(f, n);
        }
}

inline void check_memory(const function_call& f, const sizes& n = usual_sizes()) {
    const auto with = [&](const std::string& what, const auto& change) {
        prepared p(f, n);
        if (!change(p)) return;
        INFO(f.name << ": " << what);
        CHECK(refused(f, p, n));
    };
    const auto last_long_axis = [](const heed::view<float>& v) {
        std::size_t axis = 3;
        while (axis > 0 && v.extents[axis] == 1) --axis;
        return axis;
    };
    for (const bool output : {false, true}) {
        const auto& list = output ? f.out : f.in;
        for (std::size_t i = 0; i < list.size(); ++i) {
            const auto the = [&](prepared& p) -> heed::view<float>& { return output ? p.out[i] : p.in[i]; };
            with(list[i].name + " is null", [&](prepared& p) {
                the(p).data = nullptr;
                return true;
            });
            with(list[i].name + " reaches past all memory", [&](prepared& p) {
                auto& v = the(p);
                v.strides[last_long_axis(v)] = PTRDIFF_MAX / 3;
                return v.size() > 1;
            });
            {
                prepared p(f, n);
                auto& v = the(p);
                for (std::size_t axis = 0; axis < 4; ++axis)
                    if (v.extents[axis] == 1) v.strides[axis] = axis % 2 == 0 ? PTRDIFF_MAX : -PTRDIFF_MAX;
                INFO(f.name << ": any stride on an axis of one element, " << list[i].name);
                CHECK_NOTHROW(f.run(p.in, p.out, n));
            }
        }
    }
    for (std::size_t i = 0; i < f.out.size(); ++i) {
        with(f.out[i].name + " overlaps itself", [&](prepared& p) {
            auto& v = p.out[i];
            v.strides[last_long_axis(v)] = 0;
            return v.size() > 1;
        });
        std::vector<float> room(4096, untouched);
        // The output's second element is the first of the other one.
        const auto onto = [&](prepared& p, heed::view<float>& other) {
            if (p.out[i].size() < 2 || other.size() == 0) return false;
            p.out[i].data = room.data();
            other.data = room.data() + 1;
            return true;
        };
        const auto read_with = [&](std::size_t j) {
            return f.out[i].after.find(f.in[j].name) == std::string::npos;
        };
        for (std::size_t j = 0; j < f.in.size(); ++j)
            if (read_with(j))
                with(f.out[i].name + " overlaps " + f.in[j].name,
                     [&](prepared& p) { return onto(p, p.in[j]); });
        for (std::size_t j = 0; j < f.in.size(); ++j)
            if (read_with(j) && f.out[i].stands_on.find(f.in[j].name) == std::string::npos)
                with(f.out[i].name + " begins where " + f.in[j].name + " does", [&](prepared& p) {
                    p.out[i].data = p.in[j].data;
                    return p.out[i].size() > 0 && p.in[j].size() > 0;
                });
        for (std::size_t j = 0; j < f.out.size(); ++j)
            if (j != i)
                with(f.out[i].name + " overlaps " + f.out[j].name,
                     [&](prepared& p) { return onto(p, p.out[j]); });
        for (const float x : room) CHECK(x == untouched);
    }
}

// A view's elements in order.
inline std::vector<double> elements_of(const heed::view<float>& v) {
    std::vector<double> all;
    for (long b = 0; b < v.batch(); ++b)
        for (long h = 0; h < v.heads(); ++h)
            for (long p = 0; p < v.positions(); ++p)
                for (long f = 0; f < v.features(); ++f) all.push_back(static_cast<double>(v(b, h, p, f)));
    return all;
}

inline void check_strides(const function_call& f, const sizes& n = usual_sizes()) {
    INFO(f.name);
    prepared dense(f, n);
    random r(7);
    for (const views* list : {&dense.in, &dense.out})
        for (const auto& v : *list)
            for (long i = 0; i < v.size(); ++i)
                if (v.data[i] != untouched) v.data[i] = static_cast<float>(-r.uniform());
    // Inputs with NaN in their gaps, outputs that go backwards along their positions.
    views in, out;
    std::vector<std::vector<float>> memory;
    const auto spread = [&](const heed::view<float>& v, bool output) {
        const std::array<heed::index, 4>& e = v.extents;
        std::array<heed::index, 4> strides{0, 0, 0, 3};
        strides[2] = e[3] * 3 + 2;
        strides[0] = e[2] * strides[2] + 5;
        strides[1] = e[0] * strides[0] + 1;
        auto& room = memory.emplace_back(static_cast<std::size_t>(e[1] * strides[1]),
                                         output ? untouched : std::numeric_limits<float>::quiet_NaN());
        heed::view<float> to(room.data(), e, strides);
        if (output) {
            to.data += (e[2] - 1) * strides[2];
            to.strides[2] = -strides[2];
        }
        for (long b = 0; b < e[0]; ++b)
            for (long h = 0; h < e[1]; ++h)
                for (long p = 0; p < e[2]; ++p)
                    for (long x = 0; x < e[3]; ++x) to(b, h, p, x) = v(b, h, p, x);
        return to;
    };
    for (const auto& v : dense.in) in.push_back(spread(v, false));
    for (const auto& v : dense.out) out.push_back(spread(v, true));
    f.run(dense.in, dense.out, n);
    f.run(in, out, n);
    for (std::size_t i = 0; i < out.size(); ++i) {
        INFO(f.out[i].name);
        CHECK(same_bits(elements_of(out[i]), elements_of(dense.out[i])));
        const auto& room = memory[in.size() + i];
        long written = 0;
        for (const float x : room) written += x != untouched;
        CHECK(written <= out[i].size());
    }
}

}  // namespace support
