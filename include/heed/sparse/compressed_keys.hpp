// SPDX-License-Identifier: MIT
// heed/sparse/compressed_keys.hpp: means of blocks of keys and values, kept from call to call
//
//     heed::compressed_keys<float> means(batch, kv_heads, d_k, d_v);      blocks of 32 keys, one every 16
//     means.append(k, v);                                                 as keys come, in any pieces
//     auto y = heed::native_sparse_attention(q, k, v, gates, heed::compressed(means));
//
// Compressed key i is the mean of keys [i stride, i stride + block), in the type sums are kept in. The bits
// do not depend on the pieces. A decode step then reads one compressed key for every `stride` keys instead of
// making them anew.
//
// Cost: an append costs three additions for each number. Memory: 2 / stride of that of the keys and values,
// and the last `block` keys and values, so that a few can be taken back.
// Source: the compressed branch of NSA (arXiv 2502.11089), with mean pooling.
#pragma once

#include <vector>

#include <heed/core/check.hpp>
#include <heed/kernel/exact/kernels.hpp>
#include <heed/kernel/native/pool.hpp>
#include <heed/sparse/native_blocks.hpp>

namespace heed::inline HEED_ABI {

template <class T>
class compressed_keys {
    static_assert(element<T>, "heed::compressed_keys<T>: T is float, double, Eigen::half or Eigen::bfloat16");

public:
    using sum_type = sum_t<T>;

    // No keys yet. Throws heed::error when block is no multiple of stride, or a size is negative.
    compressed_keys(index batch, index kv_heads, index d_k, index d_v, index block = 32, index stride = 16)
        : batch_(checked(batch, "batch")),
          heads_(checked(kv_heads, "kv_heads")),
          sides_{{checked(d_k, "d_k"), {}, {}, {}}, {checked(d_v, "d_v"), {}, {}, {}}},
          block_(block),
          stride_(stride) {
        detail::check_pooling("compressed_keys", block, stride);
        for (side& x : sides_) {
            const index size =
                detail::checked_product("compressed_keys", {batch_, heads_, block_, x.features});
            x.recent.resize(static_cast<std::size_t>(size));
        }
    }

    // Memory for this many keys, so that appends up to there allocate nothing. Throws heed::error for more
    // than 2^31 - 1, std::bad_alloc.
    void reserve(index keys) {
        if (keys > longest_axis)
            detail::fail("compressed_keys::reserve", {"keys is ", keys, ", needs at most 2^31 - 1"});
        const index chunks = keys / stride_ + 1;
        if (chunks <= capacity_) return;
        side grown[2] = {{sides_[0].features, {}, {}, {}}, {sides_[1].features, {}, {}, {}}};
        for (int s = 0; s < 2; ++s) {
            const index row = sides_[s].features;
            const index size =
                detail::checked_product("compressed_keys::reserve", {batch_ * heads_, chunks, row});
            grown[s].sums.resize(static_cast<std::size_t>(size));
            grown[s].means.resize(static_cast<std::size_t>(size));
            for (index h = 0; h < batch_ * heads_; ++h)
                for (index x = 0; x < capacity_ * row; ++x) {
                    at(grown[s].sums, h * chunks * row + x) = at(sides_[s].sums, h * capacity_ * row + x);
                    at(grown[s].means, h * chunks * row + x) = at(sides_[s].means, h * capacity_ * row + x);
                }
        }
        for (int s = 0; s < 2; ++s) {
            sides_[s].sums.swap(grown[s].sums);
            sides_[s].means.swap(grown[s].means);
        }
        capacity_ = chunks;
    }

    // Takes in the keys (batch, kv_head, position, d_k) and values that come next. Throws heed::error when a
    // shape is another than the object's, std::bad_alloc; nothing has changed then.
    template <class K, class V>
    void append(const K& k, const V& v) {
        const auto keys = as_view(k);
        const auto values = as_view(v);
        static_assert(std::is_same_v<detail::element_t<decltype(keys)>, T> &&
                          std::is_same_v<detail::element_t<decltype(values)>, T>,
                      "heed::compressed_keys<T>::append: k or v holds another element type than T");
        validate("k", keys, sides_[0].features);
        validate("v", values, sides_[1].features);
        if (values.positions() != keys.positions())
            detail::fail("compressed_keys::append",
                         {"v has ", values.positions(), " positions, k has ", keys.positions()});
        if (keys.positions() > longest_axis - length_)
            detail::fail("compressed_keys::append", {"more than 2^31 - 1 keys"});
        const index needed = length_ + keys.positions();
        if (needed / stride_ + 1 > capacity_) reserve(needed > 2 * length_ ? needed : 2 * length_);
        for (index p = 0; p < keys.positions(); ++p, ++length_) {
            take(sides_[0], view<const T>(keys), p);
            take(sides_[1], view<const T>(values), p);
        }
        if (length_ - block_ > kept_from_) kept_from_ = length_ - block_;
    }

    // Forgets the keys from n on. n is a multiple of the stride, or lies in a stride that began within the
    // last `block` keys: throws heed::error where keys of a partial stride are no longer known.
    void truncate(index n) {
        if (!(n >= 0 && n <= length_))
            detail::fail("compressed_keys::truncate",
                         {"n is ", n, ", needs a number of the ", length_, " keys there are"});
        const index whole = n / stride_ * stride_;
        if (n == length_) return;
        if (n != whole && whole < kept_from_)
            detail::fail("compressed_keys::truncate", {"n is ", n, ", needs a multiple of the stride ",
                                                       stride_, ", or a stride that began within the last ",
                                                       block_, " keys: those before them are gone"});
        for (side& x : sides_)
            for (index h = 0; h < batch_ * heads_; ++h)
                for (index p = whole; p < n; ++p)
                    detail::add_to_chunk(sums_of(x, h, whole / stride_), recent_of(x, h, p), x.features,
                                         p == whole);
        length_ = n;
        if (kept_from_ > n) kept_from_ = n;
    }

    index length() const { return length_; }  // keys taken in
    index size() const { return blocks().compressed_of(length_); }
    index block() const { return block_; }
    index stride() const { return stride_; }

    // (batch, kv_head, size(), feature): the compressed keys and values, until the next append.
    view<const sum_type> keys() const { return view_of(sides_[0]); }
    view<const sum_type> values() const { return view_of(sides_[1]); }

private:
    // Keys, or values: of every head sums of whole strides (chunks), means of blocks, the last rows.
    struct side {
        index features;
        std::vector<sum_type> sums;
        std::vector<sum_type> means;
        std::vector<sum_type> recent;
    };

    native_blocks blocks() const {
        native_blocks b;
        b.compress_block = block_;
        b.compress_stride = stride_;
        return b;
    }
    static index checked(index n, const char* name) {
        if (!(n >= 0 && n <= longest_axis))
            detail::fail("compressed_keys", {name, " is ", n, ", needs a number from 0 to 2^31 - 1"});
        return n;
    }
    static sum_type& at(std::vector<sum_type>& x, index i) { return x[static_cast<std::size_t>(i)]; }

    void validate(const char* name, const view<const T>& x, index features) const {
        const char* const function = "compressed_keys::append";
        detail::check_extents(function, name, x);
        if (x.batch() != batch_)
            detail::fail(function, {name, " has ", x.batch(), " batch entries, needs ", batch_});
        if (x.heads() != heads_) detail::fail(function, {name, " has ", x.heads(), " heads, needs ", heads_});
        if (x.features() != features)
            detail::fail(function, {name, " has ", x.features(), " features, needs ", features});
    }

    sum_type* sums_of(side& x, index head, index chunk) {
        return x.sums.data() + (head * capacity_ + chunk) * x.features;
    }
    sum_type* recent_of(side& x, index head, index position) {
        return x.recent.data() + (head * block_ + position % block_) * x.features;
    }

    // Position p of a piece becomes key length_.
    void take(side& x, const view<const T>& from, index p) {
        using E = storage_t<T>;
        const auto& leaf = detail::leaves_on_target<E>();
        const auto rows = detail::strided_of<E>(from);
        const index chunk = length_ / stride_;
        const bool ends = (length_ + 1) % stride_ == 0 && chunk + 1 >= block_ / stride_;
        const index mean = chunk + 1 - block_ / stride_;
        for (index h = 0; h < batch_ * heads_; ++h) {
            sum_type* const row = recent_of(x, h, length_);
            leaf.widen(rows.row(h / heads_, h % heads_, p), 0, rows.stride[3], 1, x.features, row, 0);
            detail::add_to_chunk(sums_of(x, h, chunk), row, x.features, length_ % stride_ == 0);
            if (ends)
                detail::mean_of_chunks(x.means.data() + (h * capacity_ + mean) * x.features,
                                       sums_of(x, h, mean), block_ / stride_, block_, x.features);
        }
    }

    view<const sum_type> view_of(const side& x) const {
        const index head = capacity_ * x.features;
        return {x.means.data(), {batch_, heads_, size(), x.features}, {heads_ * head, head, x.features, 1}};
    }

    index batch_;
    index heads_;
    side sides_[2];
    index block_;
    index stride_;
    index capacity_ = 0;   // chunks that there is memory for
    index length_ = 0;     // keys
    index kept_from_ = 0;  // keys from here on are among the recent rows
};

namespace detail {

template <class X>
inline constexpr bool is_compressed_keys = false;
template <class T>
inline constexpr bool is_compressed_keys<compressed_keys<T>> = true;

template <class S>
struct compressed_option : option<option_kind::compressed> {
    view<const S> keys;
    view<const S> values;
    index length;  // keys they were made of; -1: the caller's own
    index block;
    index stride;
    auto content() const { return std::tie(keys, values, block, stride); }
    const char* overlapped(const byte_span& output) const {
        return overlap(output, bytes_of(keys)) || overlap(output, bytes_of(values)) ? "the compressed keys"
                                                                                    : nullptr;
    }
};

}  // namespace detail

// The compressed keys of a call, carried from call to call: they have taken in the keys that the call gets.
template <class X>
auto compressed(X&& keys) {
    static_assert(
        detail::is_compressed_keys<std::remove_cvref_t<X>>,
        "heed::compressed: needs a heed::compressed_keys<T>, or two tensors of compressed keys and values");
    static_assert(
        std::is_lvalue_reference_v<X>,
        "heed::compressed: the compressed_keys are a temporary and would be gone; give them a name");
    using S = typename std::remove_cvref_t<X>::sum_type;
    return detail::compressed_option<S>{{},           keys.keys(),  keys.values(), keys.length(),
                                        keys.block(), keys.stride()};
}

// The caller's own compressed keys and values, (batch, kv_head, block, feature), of float (double for
// double): one for each whole block of the keys. Keeps references.
template <class K, class V>
auto compressed(K&& keys, V&& values) {
    static_assert(!detail::owns_elements<std::remove_cvref_t<K>> || std::is_lvalue_reference_v<K>,
                  "heed::compressed: the tensor is a temporary and would be gone; give it a name");
    static_assert(!detail::owns_elements<std::remove_cvref_t<V>> || std::is_lvalue_reference_v<V>,
                  "heed::compressed: the tensor is a temporary and would be gone; give it a name");
    const auto k = as_view(keys);
    const auto v = as_view(values);
    using S = detail::element_t<decltype(k)>;
    static_assert(std::is_same_v<S, detail::element_t<decltype(v)>>,
                  "heed::compressed: keys and values hold different element types");
    return detail::compressed_option<S>{{}, k, v, -1, 0, 0};
}

}  // namespace heed::inline HEED_ABI
