// SPDX-License-Identifier: MIT
// examples/language_model/model.hpp: what training, generation and measurements ask of a language model
//
// Behind this interface stands one template (transformer.hpp) with a variant of attention inside. The
// variants are compiled in files of their own (variants/) and chosen at run time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <heed/thread_pool.hpp>

#include "batch.hpp"
#include "parameter_list.hpp"
#include "settings.hpp"

namespace language_model {

inline constexpr index symbols = 256;      // a byte is a token
inline constexpr index decode_steps = 33;  // timed behind each length of --decode

struct model_config {
    index width, layers, heads;
    index hidden;     // 0: matched_hidden() of transformer.hpp
    index length;     // of the sequences it is trained on
    index positions;  // the last one it may ever see; at least length
    std::uint64_t seed;

    explicit model_config(const settings& s);
};

// Of the scored positions of a batch, or of many.
struct judgement {
    double loss_sum = 0;  // of -log(probability of the right byte), in nats
    index right = 0;      // where that byte was the likeliest
    index scored = 0;

    double loss() const { return scored > 0 ? loss_sum / static_cast<double>(scored) : 0; }
    double accuracy() const {
        return scored > 0 ? static_cast<double>(right) / static_cast<double>(scored) : 0;
    }
    void add(const judgement& other) {
        loss_sum += other.loss_sum;
        right += other.right;
        scored += other.scored;
    }
};

class model {
public:
    virtual ~model() = default;

    virtual const parameter_list& parameters() const = 0;
    virtual index hidden() const = 0;

    // Forward and backward: the gradients become those of the mean loss over the scored positions.
    // Allocates nothing from the second batch of a size on.
    virtual judgement learn(const batch& b) = 0;

    // Forward alone.
    virtual judgement judge(const batch& b) = 0;

    // A stream: what it has read so far is its context. Returns the logits of the byte that follows.
    virtual void forget() = 0;
    virtual const float* read(const std::uint8_t* bytes, index count) = 0;
};

struct variant {
    const char* name;
    const char* words;  // what stands inside the layers
    std::unique_ptr<model> (*make)(const model_config&, const heed::thread_pool&);
};
const std::vector<variant>& variants();

// The variant of this name; settings::parse has checked that there is one.
const variant& variant_named(const std::string& name);

}  // namespace language_model
