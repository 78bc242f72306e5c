// SPDX-License-Identifier: MIT
// tests/support/conformance.hpp: reads the operator conformance vectors
//
// cases.txt describes, cases.bin holds the arrays (little-endian, row-major). Every number
// becomes a double: float32, float16 and bool fit exactly, and the int64 values are lengths.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace conformance {

struct array {
    std::string name, dtype;
    std::vector<long> extents;
    std::vector<double> values;
};

struct test_case {
    std::string name, op;
    std::map<std::string, std::string> attributes;
    std::map<int, array> inputs, outputs;

    double number(const std::string& attribute, double otherwise) const {
        const auto found = attributes.find(attribute);
        return found == attributes.end() ? otherwise : std::stod(found->second);
    }
    const array* input(int slot) const {
        const auto found = inputs.find(slot);
        return found == inputs.end() ? nullptr : &found->second;
    }
};

namespace detail {

inline double from_half(std::uint16_t bits) {
    const int exponent = (bits >> 10) & 31, fraction = bits & 1023;
    double x;
    if (exponent == 31)
        x = fraction ? std::nan("") : HUGE_VAL;
    else if (exponent == 0)
        x = std::ldexp(fraction, -24);
    else
        x = std::ldexp(1024 + fraction, exponent - 25);
    return bits & 0x8000 ? -x : x;
}

template <class T>
T load(const std::vector<char>& bytes, std::size_t offset) {
    T x;
    if (offset > bytes.size() || bytes.size() - offset < sizeof(T))
        throw std::runtime_error("cases.bin is shorter than cases.txt says");
    std::memcpy(&x, bytes.data() + offset, sizeof(T));
    return x;
}

inline array read_array(std::istringstream& line, const std::vector<char>& bytes) {
    array a;
    std::size_t rank = 0, count = 1;
    line >> a.name >> a.dtype >> rank;
    a.extents.resize(rank);
    for (long& extent : a.extents) line >> extent, count *= static_cast<std::size_t>(extent);
    char sign = 0;
    std::size_t offset = 0;
    line >> sign >> offset;
    if (!line || sign != '@') throw std::runtime_error("cases.txt: cannot read array " + a.name);
    a.values.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
        if (a.dtype == "float32")
            a.values[i] = static_cast<double>(load<float>(bytes, offset + 4 * i));
        else if (a.dtype == "float16")
            a.values[i] = from_half(load<std::uint16_t>(bytes, offset + 2 * i));
        else if (a.dtype == "int64")
            a.values[i] = static_cast<double>(load<std::int64_t>(bytes, offset + 8 * i));
        else if (a.dtype == "bool")
            a.values[i] = load<std::uint8_t>(bytes, offset + i) != 0;
        else
            throw std::runtime_error("cases.txt: unknown type " + a.dtype);
    }
    return a;
}

}  // namespace detail

// |got - want| <= atol + rtol |want| everywhere.
inline bool close(const std::vector<double>& got, const std::vector<double>& want, double rtol, double atol) {
    if (got.size() != want.size()) return false;
    for (std::size_t i = 0; i < got.size(); ++i) {
        if (got[i] == want[i]) continue;  // infinities
        if (!(std::fabs(got[i] - want[i]) <= atol + rtol * std::fabs(want[i]))) return false;
    }
    return true;
}

// Every case of one operator. Throws when the files are missing or do not fit together.
inline std::vector<test_case> read(const std::string& folder, const std::string& op) {
    std::ifstream text(folder + "/cases.txt"), binary(folder + "/cases.bin", std::ios::binary);
    if (!text || !binary) throw std::runtime_error("no cases.txt and cases.bin in '" + folder + "'");
    const std::vector<char> bytes{std::istreambuf_iterator<char>(binary), {}};
    std::vector<test_case> cases;
    test_case current;
    for (std::string raw; std::getline(text, raw);) {
        std::istringstream line(raw);
        std::string word;
        line >> word;
        if (word == "case") {
            current = {};
            line >> current.name >> current.op;
        } else if (word == "attr") {
            std::string key, value;
            line >> key >> value;
            current.attributes[key] = value;
        } else if (word == "input" || word == "output") {
            int slot = 0;
            line >> slot;
            (word == "input" ? current.inputs : current.outputs)[slot] = detail::read_array(line, bytes);
        } else if (word == "end" && current.op == op) {
            cases.push_back(current);
        }
    }
    return cases;
}

}  // namespace conformance
