// SPDX-License-Identifier: MIT
// heed/layers/calls.hpp: the methods that all layers have, written once
//
//     auto y = layer(x, options…);                       no tape is kept
//     layer.forward_into(y, x, options…);                the same into y
//     auto y = layer.forward(x, tape, options…);         keeps what a backward reads
//     layer.forward_into(y, x, tape, options…);
//     auto dx = layer.backward(dy, x, tape, gradients, options…);          gradients are added to
//     layer.backward_into(dx, dy, x, tape, gradients, options…);
//     auto y = layer.extend(x_next, stream, options…);   the next positions of a stream
//     layer.extend_into(y, x_next, stream, options…);
//     auto call = layer.with(options…);                  these calls, options bound (bound_layer.hpp)
//
// A layer that reads a second tensor, a memory or a table of positions, takes it behind x, and its backward
// the gradient of it behind dx, or behind gradients where dx is returned. A backward takes the options of the
// forward, and its gradients; one that differs is refused (option_marks.hpp).
//
// With use(workspace) a call that writes into its result allocates nothing once the workspace has grown; one
// that returns it allocates that. Throws heed::error, with the method's name, before anything is written.
#pragma once

#include <cstdint>

#include <heed/core/resources.hpp>
#include <heed/layers/bound_layer.hpp>
#include <heed/layers/function_name.hpp>
#include <heed/layers/layer_facts.hpp>
#include <heed/layers/option_marks.hpp>
#include <heed/layers/parameters.hpp>
#include <heed/layers/rows.hpp>

namespace heed::inline HEED_ABI::detail {

template <class Layer, class Parts>
class layer_calls : protected Parts {
    using T = typename Parts::value;
    using read_rows = dense_rows<const T>;
    static constexpr bool keeps = Parts::keeps_tape,
                          streams_ = !std::is_same_v<typename stream_type_of<Parts>::type, no_stream>;
    // Arguments behind x that are options, and a tensor that is the second input.
    template <class... Options>
    static constexpr bool are_options =
        !begins_with_tensor<Options...> && !begins_with_tape<typename Parts::tape, Options...>;
    template <class M>
    static constexpr bool is_second = Parts::reads_second && has_elements<M>;

public:
    using parameters = typename Parts::parameters;
    using tape = typename Parts::tape;
    parameters weights;

    layer_calls() = default;
    explicit layer_calls(const typename Parts::config_type& config, std::uint64_t seed = 0)
        : Parts(config), weights(Parts::start(seed)) {}
    const typename Parts::config_type& config() const { return this->config_; }

    template <class X, class... Options>
    requires(are_options<Options...> && !Parts::needs_second)
    auto operator()(const X& x, const Options&... options) const {
        auto y = rows_like(x, this->output_width());
        write<"">(*this, result_of<X>::view_of(y), x, nullptr, nullptr, options...);
        return y;
    }
    template <class X, class M, class... Options>
    requires(is_second<M> && are_options<Options...>)
    auto operator()(const X& x, const M& m, const Options&... options) const {
        auto y = rows_like(x, this->output_width());
        const read_rows second = second_rows<"">(m);
        write<"">(*this, result_of<X>::view_of(y), x, &second, nullptr, options...);
        return y;
    }
    template <class Y, class X, class... Options>
    requires(are_options<Options...> && !Parts::needs_second)
    void forward_into(Y&& y, const X& x, const Options&... options) const {
        write<"::forward_into">(*this, std::forward<Y>(y), x, nullptr, nullptr, options...);
    }
    template <class Y, class X, class M, class... Options>
    requires(is_second<M> && are_options<Options...>)
    void forward_into(Y&& y, const X& x, const M& m, const Options&... options) const {
        const read_rows second = second_rows<"::forward_into">(m);
        write<"::forward_into">(*this, std::forward<Y>(y), x, &second, nullptr, options...);
    }

    template <class X, class... Options>
    requires(keeps && !Parts::needs_second)
    auto forward(const X& x, tape& kept, const Options&... options) const {
        auto y = rows_like(x, this->output_width());
        write<"::forward">(*this, result_of<X>::view_of(y), x, nullptr, &kept, options...);
        return y;
    }
    template <class X, class M, class... Options>
    requires(keeps && is_second<M>)
    auto forward(const X& x, const M& m, tape& kept, const Options&... options) const {
        auto y = rows_like(x, this->output_width());
        const read_rows second = second_rows<"::forward">(m);
        write<"::forward">(*this, result_of<X>::view_of(y), x, &second, &kept, options...);
        return y;
    }
    template <class Y, class X, class... Options>
    requires(keeps && !Parts::needs_second)
    void forward_into(Y&& y, const X& x, tape& kept, const Options&... options) const {
        write<"::forward_into">(*this, std::forward<Y>(y), x, nullptr, &kept, options...);
    }
    template <class Y, class X, class M, class... Options>
    requires(keeps && is_second<M>)
    void forward_into(Y&& y, const X& x, const M& m, tape& kept, const Options&... options) const {
        const read_rows second = second_rows<"::forward_into">(m);
        write<"::forward_into">(*this, std::forward<Y>(y), x, &second, &kept, options...);
    }

    template <class Dy, class X, class... Options>
    requires(keeps && !Parts::needs_second)
    auto backward(const Dy& dy, const X& x, tape& kept, parameters& gradients,
                  const Options&... options) const {
        auto dx = rows_like(x, this->input_width());
        write_back<"::backward">(result_of<X>::view_of(dx), nullptr, dy, x, nullptr, kept, gradients,
                                 options...);
        return dx;
    }
    template <class Dx, class Dy, class X, class... Options>
    requires(keeps && !Parts::needs_second)
    void backward_into(Dx&& dx, const Dy& dy, const X& x, tape& kept, parameters& gradients,
                       const Options&... options) const {
        write_back<"::backward_into">(std::forward<Dx>(dx), nullptr, dy, x, nullptr, kept, gradients,
                                      options...);
    }
    // Returns dx.
    template <class Dy, class X, class M, class Dm, class... Options>
    requires(keeps && is_second<M>)
    auto backward(const Dy& dy, const X& x, const M& m, tape& kept, parameters& gradients, Dm&& d_second,
                  const Options&... options) const {
        auto dx = rows_like(x, this->input_width());
        constexpr std::string_view f = function_name<Parts::name, "::backward">();
        const read_rows second = second_rows<"::backward">(m);
        const dense_rows<T> to = written_rows<T, Dm>(f, Parts::d_second_name, d_second);
        write_back<"::backward">(result_of<X>::view_of(dx), &to, dy, x, &second, kept, gradients, options...);
        return dx;
    }
    template <class Dx, class Dm, class Dy, class X, class M, class... Options>
    requires(keeps && is_second<M>)
    void backward_into(Dx&& dx, Dm&& d_second, const Dy& dy, const X& x, const M& m, tape& kept,
                       parameters& gradients, const Options&... options) const {
        constexpr std::string_view f = function_name<Parts::name, "::backward_into">();
        const read_rows second = second_rows<"::backward_into">(m);
        const dense_rows<T> to = written_rows<T, Dm>(f, Parts::d_second_name, d_second);
        write_back<"::backward_into">(std::forward<Dx>(dx), &to, dy, x, &second, kept, gradients, options...);
    }
    // Of a layer whose backward reads nothing but x.
    template <class Dy, class X, class... Options>
    requires(!keeps)
    auto backward(const Dy& dy, const X& x, parameters& gradients, const Options&... options) const {
        auto dx = rows_like(x, this->input_width());
        tape none;
        write_back<"::backward">(result_of<X>::view_of(dx), nullptr, dy, x, nullptr, none, gradients,
                                 options...);
        return dx;
    }
    template <class Dx, class Dy, class X, class... Options>
    requires(!keeps)
    void backward_into(Dx&& dx, const Dy& dy, const X& x, parameters& gradients,
                       const Options&... options) const {
        tape none;
        write_back<"::backward_into">(std::forward<Dx>(dx), nullptr, dy, x, nullptr, none, gradients,
                                      options...);
    }

    // The next positions of a stream; what came before stands in it.
    template <class X, class... Options>
    requires streams_
    auto extend(const X& x, typename stream_type_of<Parts>::type& s, const Options&... options) const {
        auto y = rows_like(x, this->output_width());
        write_next<"::extend">(result_of<X>::view_of(y), x, nullptr, s, options...);
        return y;
    }
    template <class Y, class X, class... Options>
    requires streams_
    void extend_into(Y&& y, const X& x, typename stream_type_of<Parts>::type& s,
                     const Options&... options) const {
        write_next<"::extend_into">(std::forward<Y>(y), x, nullptr, s, options...);
    }
    template <class X, class M, class... Options>
    requires(streams_ && Parts::stream_reads_second && has_elements<M>)
    auto extend(const X& x, const M& m, typename stream_type_of<Parts>::type& s,
                const Options&... options) const {
        auto y = rows_like(x, this->output_width());
        const read_rows second = second_rows<"::extend">(m);
        write_next<"::extend">(result_of<X>::view_of(y), x, &second, s, options...);
        return y;
    }
    template <class Y, class X, class M, class... Options>
    requires(streams_ && Parts::stream_reads_second && has_elements<M>)
    void extend_into(Y&& y, const X& x, const M& m, typename stream_type_of<Parts>::type& s,
                     const Options&... options) const {
        const read_rows second = second_rows<"::extend_into">(m);
        write_next<"::extend_into">(std::forward<Y>(y), x, &second, s, options...);
    }
    // Reads the memory of a stream, once; another one replaces it.
    template <class M, class... Options>
    requires(streams_ && Parts::reads_second && !Parts::stream_reads_second)
    void remember(const M& memory, typename stream_type_of<Parts>::type& s, const Options&... options) const {
        constexpr std::string_view f = function_name<Parts::name, "::remember">();
        const read_rows m = rows_of<const T>(f, "memory", memory);
        this->check_remember(f, weights, m, s);
        workspace own;
        this->run_remember(f, weights, m, s, workspace_of(own, options...), options...);
    }

    // The same calls, with these options. Keeps a pointer to the layer.
    template <class... Options>
    auto with(const Options&... options) & {
        static_assert(Parts::template options<Options...>());
        return bound_layer<Layer, Options...>(static_cast<Layer&>(*this), options...);
    }
    template <class... Options>
    auto with(const Options&... options) const& {
        static_assert(Parts::template options<Options...>());
        return bound_layer<const Layer, Options...>(static_cast<const Layer&>(*this), options...);
    }
    template <class... Options>
    auto with(const Options&...) const&& {
        static_assert(no_type<Options...>,
                      "heed: layer.with(options) keeps a pointer to the layer, and this one is a temporary; "
                      "give it a name");
    }

protected:
    template <literal Method, class M>
    static read_rows second_rows(const M& m) {
        return rows_of<const T>(function_name<Parts::name, Method>(), Parts::second_name, m);
    }

    // Self is not const where a forward changes the layer.
    template <literal Method, class Self, class Y, class X, class... Options>
    static void write(Self& self, Y&& y, const X& x, const read_rows* second, tape* kept,
                      const Options&... options) {
        static_assert(Parts::template options<Options...>());
        constexpr std::string_view f = function_name<Parts::name, Method>();
        const read_rows from = rows_of<const T>(f, "x", x);
        const forward_rows<T> r{written_rows<T, Y>(f, "y", y), from, second};
        self.check_forward(f, self.weights, r, options...);
        workspace own;
        workspace& scratch = workspace_of(own, options...);
        const call_rows outermost(scratch, &scratch != &own);
        self.run_forward(f, self.weights, r, kept, scratch, options...);
        if constexpr (remembers_options<tape>)
            if (kept != nullptr) kept->forward_options = option_marks(options...);
    }
    template <literal Method, class Dx, class Dy, class X, class... Options>
    void write_back(Dx&& dx, const dense_rows<T>* d_second, const Dy& dy, const X& x, const read_rows* second,
                    tape& kept, parameters& gradients, const Options&... options) const {
        static_assert(Parts::template options<Options...>());
        constexpr std::string_view f = function_name<Parts::name, Method>();
        const read_rows from = rows_of<const T>(f, "x", x);
        const backward_rows<T> r{written_rows<T, Dx>(f, "dx", dx), d_second, rows_of<const T>(f, "dy", dy),
                                 from, second};
        this->check_backward(f, weights, r, kept, gradients, options...);
        if constexpr (remembers_options<tape>) kept.forward_options.compare(f, option_marks(options...));
        workspace own;
        workspace& scratch = workspace_of(own, options...);
        const call_rows outermost(scratch, &scratch != &own);
        this->run_backward(f, weights, r, kept, gradients, scratch, options...);
    }
    template <literal Method, class Y, class X, class Stream, class... Options>
    void write_next(Y&& y, const X& x, const read_rows* second, Stream& s, const Options&... options) const {
        static_assert(Parts::template options<Options...>());
        constexpr std::string_view f = function_name<Parts::name, Method>();
        const read_rows from = rows_of<const T>(f, "x", x);
        const forward_rows<T> r{written_rows<T, Y>(f, "y", y), from, second};
        this->check_extend(f, weights, r, s, options...);
        workspace own;
        workspace& scratch = workspace_of(own, options...);
        const call_rows outermost(scratch, &scratch != &own);
        this->run_extend(f, weights, r, s, scratch, options...);
    }
};

}  // namespace heed::inline HEED_ABI::detail
