// SPDX-License-Identifier: MIT
// heed/select/psa.hpp: progressive sparse attention: the best keys, with polynomial weights
//
//     y = heed::attention(q, k, v, heed::causal, heed::psa(0.25));            the best quarter of each row
//     y = heed::attention(q, k, v, heed::causal,
//                         heed::psa({.fraction = 0.25, .reading = heed::psa_reading::masked}));
//     const heed::sparsity_schedule fraction{.end = 0.1, .steps = 10000};     a share that falls in training
//     y = heed::attention(q, k, v, heed::psa(fraction(step)));
//
// s are the scores as they enter a softmax, pi(x) = a3 x^3 + a2 x^2 + a1 x + a0, m the largest score of a
// row, and K its kept keys: the max(1, ceil(fraction * visible)) best ones, of equal scores the lowest keys,
// NaN as the largest. The published description allows three readings:
//
//     intended    w = max(pi(s - m), 0) on K where s - m >= -clamp, else 0       y = sum w v / sum w
//     masked      w = e^pi(x), x = s clamped to [-clamp, clamp], on K            the same
//     literal     w = e^pi(x) on every visible key: the choice is not used       the same
//
// The coefficients are by default the cubic of e^x on [-4, 0] (sparse/exponential.hpp), which makes the
// intended reading softmax over the best keys but for 0.0143 in a weight. In the two others the exponential
// of a polynomial is taken, whatever it approximates: they are there for models that were trained so.
//
// sparsify_queries and sparsify_keys below 1 first keep that share of the features of each row of q and k,
// those of largest magnitude (of equal ones the first), and take the others as 0.
//
// log-sum-exp is m + ln sum w in the intended reading, ln sum e^pi in the others. Masks, score steps,
// weights, sinks (e^sink joins the sum), dropout, devices and workspaces work as in every call.
//
// Cost: that of top_fraction (select/top_k.hpp); literal that of exact attention and one pass more over the
// scores. Sparser queries and keys are copied, at one selection a row; their zeros save no arithmetic.
// Backward: select/psa_backward.hpp.
#pragma once

#include <heed/kernel/psa/literal.hpp>
#include <heed/kernel/psa/policies.hpp>
#include <heed/kernel/psa/sparsify.hpp>
#include <heed/select/concept.hpp>
#include <heed/select/top_k.hpp>
#include <heed/sparse/exponential.hpp>

namespace heed::inline HEED_ABI {

struct psa_settings {
    double fraction = 0.25;  // of the visible keys of a row, above 0 and at most 1
    psa_reading reading = psa_reading::intended;
    std::array<double, 4> coefficients = cubic_exponential{}.coefficients;  // a0 … a3
    double clamp = cubic_exponential{}.clamp;
    double sparsify_queries = 1;  // the share of a row's features that stays, above 0 and at most 1
    double sparsify_keys = 1;
};

namespace detail {

struct psa_option : selector_base {
    psa_settings settings;
    explicit psa_option(const psa_settings& s) : settings(s) {}
    auto content() const {
        const psa_settings& s = settings;
        return std::tie(s.fraction, s.reading, s.coefficients, s.clamp, s.sparsify_queries, s.sparsify_keys);
    }

    template <class E>
    void validate(std::string_view function, const exact_inputs<E>&) const {
        const auto share = [&](const char* name, double x) {
            if (!(x > 0 && x <= 1))
                fail(function, {"psa has a ", name, " of ", x, ", needs a number above 0, at most 1"});
        };
        share("fraction", settings.fraction);
        share("sparsify_queries", settings.sparsify_queries);
        share("sparsify_keys", settings.sparsify_keys);
        check_enumerator(function, "psa's reading", settings.reading, 3);
        check_cubic<typename exact_problem<E>::T>(function, settings.coefficients, settings.clamp);
        if (settings.reading == psa_reading::intended)
            check_weight_of_largest(function, settings.coefficients);
    }
    // Of settings that were checked.
    template <class T>
    exponential_numbers<T> numbers() const {
        exponential_numbers<T> n{};
        for (std::size_t i = 0; i < 4; ++i) n.a[i] = static_cast<T>(settings.coefficients[i]);
        n.min = static_cast<T>(-settings.clamp);
        return n;
    }
    template <class T>
    psa_chooser<T> chooser() const {
        return {&row_leaves_on_target<T>(), settings.fraction, settings.reading, numbers<T>()};
    }
    template <class T>
    psa_weigher<T> weigher() const {
        return {&psa_leaves_on_target<T>(), settings.reading, numbers<T>()};
    }
    template <class E, class M>
    void run(const exact_problem<E>& p, const M&, device_ref device, workspace& memory) const {
        using T = typename exact_problem<E>::T;
        const exact_problem<E> sparse =
            sparsified(p, settings.sparsify_queries, settings.sparsify_keys, device, memory);
        if (settings.reading == psa_reading::literal)
            run_literal(sparse, numbers<T>(), device, memory);
        else
            run_rows(sparse, chooser<T>(), weigher<T>(), device, memory);
    }
};

}  // namespace detail

// With these settings.
inline detail::psa_option psa(const psa_settings& settings) { return detail::psa_option(settings); }

// The intended reading with this fraction.
template <class F>
requires std::is_arithmetic_v<F>
auto psa(F fraction) {
    return detail::psa_option(psa_settings{.fraction = static_cast<double>(fraction)});
}

}  // namespace heed::inline HEED_ABI
