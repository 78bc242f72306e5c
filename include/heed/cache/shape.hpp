// SPDX-License-Identifier: MIT
// heed/cache/shape.hpp: what a cache of keys and values is made with
#pragma once

#include <string_view>

#include <heed/cache/element.hpp>
#include <heed/cache/hadamard.hpp>
#include <heed/cache/page_layout.hpp>

namespace heed::inline HEED_ABI {

struct kv_cache_config {
    index value_dim = 0;   // features of a value; 0: as many as a key has
    index page = 64;       // positions of a page, a multiple of 64
    index window = 0;      // a query sees so many positions, its own among them; 0: all
    index sinks = 0;       // and so many from the beginning
    bool rotated = false;  // rows are stored behind a Hadamard rotation
    bool shared = false;   // a value is the first value_dim features of its key, stored once
};

namespace detail {

// The numbers of a cache, checked once.
struct cache_shape {
    index batch;
    index kv_heads;
    index head_dim;
    kv_cache_config config;
    // Features that are rotated together; 0 where nothing is. Shared values are rotated as their keys.
    index key_block = 0;
    index value_block = 0;

    cache_shape(std::string_view function, index batch_, index kv_heads_, index head_dim_,
                const kv_cache_config& config_)
        : batch(batch_), kv_heads(kv_heads_), head_dim(head_dim_), config(config_) {
        check_number(function, "batch", batch, 0);
        check_number(function, "kv_heads", kv_heads, 1);
        check_number(function, "head_dim", head_dim, 1);
        check_number(function, "value_dim", config.value_dim, 0);
        check_number(function, "page", config.page, page_step);
        check_number(function, "window", config.window, 0);
        check_number(function, "sinks", config.sinks, 0);
        if (config.page % page_step != 0)
            fail(function, {"page is ", config.page, ", needs a multiple of ", page_step, " positions"});
        if (config.value_dim == 0) config.value_dim = head_dim;
        if (config.shared && config.value_dim > head_dim)
            fail(function, {"value_dim is ", config.value_dim, ", needs at most the ", head_dim,
                            " features of a key, which the values share"});
        if (!config.rotated) return;
        key_block = block(function, "head_dim", head_dim);
        value_block = config.shared ? key_block : block(function, "value_dim", config.value_dim);
        if (config.value_dim % value_block != 0)
            fail(function, {"value_dim is ", config.value_dim, ", needs a multiple of the ", key_block,
                            " features that are rotated together, since the values share the keys' rows"});
    }

    index scratch() const { return greatest(head_dim, config.value_dim); }

    template <class T>
    page_layout layout(std::string_view function) const {
        const page_layout l = lay_out(function, config.page, row_bytes<T>(head_dim),
                                      row_bytes<T>(config.value_dim), config.shared, has_scales<T>);
        checked_product(function, kv_heads, l.head_bytes);
        return l;
    }

private:
    static void check_number(std::string_view function, std::string_view name, index number, index least) {
        if (!(number >= least && number <= longest_axis))
            fail(function, {name, " is ", number, ", needs a number from ", least, " to 2^31 - 1"});
    }
    static index block(std::string_view function, std::string_view name, index features) {
        const index n = hadamard_block(features);
        if (n < least_hadamard_block)
            fail(function, {name, " is ", features, ", needs a multiple of ", least_hadamard_block,
                            " features to be rotated"});
        return n;
    }
};

}  // namespace detail
}  // namespace heed::inline HEED_ABI
