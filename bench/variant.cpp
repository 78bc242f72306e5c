// SPDX-License-Identifier: MIT
// bench/variant.cpp: the registry
#include "variant.hpp"

#include <stdexcept>
#include <utility>

namespace heed_bench {
namespace {

std::vector<variant>& list() {  // a function, because variants register before main in any order
    static std::vector<variant> all;
    return all;
}

}  // namespace

const std::vector<variant>& variants() { return list(); }

const variant& variant_named(const std::string& name) {
    for (const variant& v : list())
        if (v.name == name) return v;
    throw std::invalid_argument("no variant is called " + name);
}

registered::registered(variant v) { list().push_back(std::move(v)); }

}  // namespace heed_bench
