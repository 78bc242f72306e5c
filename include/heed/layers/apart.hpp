// SPDX-License-Identifier: MIT
// heed/layers/apart.hpp: what a layer's call writes has memory of its own
//
// Results and gradients of inputs are rows in the list that every function has; a layer's weights and their
// gradients, of which there may be any number, are held against that list one by one.
#pragma once

#include <initializer_list>

#include <heed/layers/parameters.hpp>
#include <heed/layers/rows.hpp>

namespace heed::inline HEED_ABI::detail {

template <class T>
struct named_rows {
    const char* name;
    dense_rows<const T> rows;
};
template <class T>
call_memory memory_of_rows(std::string_view function, std::initializer_list<named_rows<T>> written,
                           std::initializer_list<named_rows<T>> read) {
    call_memory used(function);
    for (const auto& x : written) used.writes(x.name, x.rows.bytes());
    for (const auto& x : read) used.reads(x.name, x.rows.bytes());
    used.validate();
    return used;
}
template <class Tensor>
byte_span bytes_of_parameter(const Tensor& t) {
    return bytes_of(t.data(), {1, 1, 1, static_cast<index>(t.size())}, {0, 0, 0, 1});
}

// Results share no element with each other, with what is read, or with a weight.
template <class P>
void check_weights_apart(std::string_view function, const call_memory& used, const P& weights) {
    visit(
        "weights",
        [&](const parameter_name& name, const auto& w) {
            if (const char* const output = used.written_on(bytes_of_parameter(w)))
                fail(function, {output, " overlaps ", std::string_view(std::string(name)),
                                ", needs memory of its own"});
        },
        weights);
}
template <class T, class P>
void check_results(std::string_view function, const P& weights, std::initializer_list<named_rows<T>> written,
                   std::initializer_list<named_rows<T>> read) {
    check_weights_apart(function, memory_of_rows<T>(function, written, read), weights);
}

// Gradients are added to tensors of the parameters' own shapes, which are not the parameters, nor any rows of
// the call.
template <class T, class P>
void check_gradients(std::string_view function, const P& weights, const P& gradients,
                     std::initializer_list<named_rows<T>> written,
                     std::initializer_list<named_rows<T>> read) {
    const call_memory used = memory_of_rows<T>(function, written, read);
    check_weights_apart(function, used, weights);
    visit(
        "gradients",
        [&](const parameter_name& name, const auto& w, const auto& g) {
            const byte_span span = bytes_of_parameter(g);
            const auto refuse = [&](const char* other) {
                fail(function, {std::string_view(std::string(name)), other, ", needs memory of its own"});
            };
            if (overlap(span, bytes_of_parameter(w))) refuse(" is the parameter itself");
            for (std::size_t axis = 0; axis < static_cast<std::size_t>(w.rank()); ++axis)
                if (w.dimension(axis) != g.dimension(axis))
                    fail(function, {std::string_view(std::string(name)), " has ", g.dimension(axis),
                                    " entries along axis ", axis, ", the parameter has ", w.dimension(axis),
                                    "; heed::zeros_like(weights) makes a struct that fits"});
            if (const char* const other = used.used_on(span))
                refuse((std::string(" overlaps ") + other).c_str());
        },
        weights, gradients);
}

}  // namespace heed::inline HEED_ABI::detail
