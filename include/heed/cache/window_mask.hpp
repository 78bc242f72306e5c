// SPDX-License-Identifier: MIT
// heed/cache/window_mask.hpp: what the window of a cache hides
//
//     key is seen  <=>  key > position - window, or key < sinks
//
// with the query's position at the common end. Keys behind the query are left to the call's own masks.
#pragma once

#include <heed/mask/concept.hpp>

namespace heed::inline HEED_ABI::detail {

struct cache_window : mask_base {
    index window;
    index sinks;

    cache_window(index window_, index sinks_) : window(window_), sinks(sinks_) {}

    struct bound {
        index hidden_below;  // by query 0, and by each one more
        index sinks;

        bool operator()(at i) const { return i.key >= hidden_below + i.query || i.key < sinks; }
        cover classify(const tile& t) const {
            if (t.key_begin >= hidden_below + t.query_end - 1 || t.key_end <= sinks) return cover::full;
            return t.key_end <= hidden_below + t.query_begin && t.key_begin >= sinks ? cover::empty
                                                                                     : cover::mixed;
        }
        index first_key(const tile& t) const {
            if (t.key_begin < sinks) return t.key_begin;
            const index first = hidden_below + t.query_begin;
            const index seen = first > t.key_begin ? first : t.key_begin;
            return seen < t.key_end ? seen : t.key_end;
        }
        bool alike(index) const { return true; }
    };
    bound bind(std::string_view, const problem_shape& shape) const {
        return {shape.keys - shape.queries - window + 1, sinks};
    }
};

}  // namespace heed::inline HEED_ABI::detail
