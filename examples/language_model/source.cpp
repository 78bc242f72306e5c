// SPDX-License-Identifier: MIT
// examples/language_model/source.cpp: text, tasks, and one batch for ever
#include "source.hpp"

#include "tasks.hpp"

namespace language_model {
namespace {

constexpr std::uint64_t validation_seed = 0x6a756467;  // apart from the seeds people choose
constexpr int validation_batches = 8;                  // of a task

const std::vector<std::string>& texts_of(const settings& s) {
    static const std::vector<std::string> shipped = {HEED_SOURCE_FOLDER "/bench/data/pages.txt",
                                                     HEED_SOURCE_FOLDER
                                                     "/examples/language_model/data/evenings.txt"};
    return s.texts.empty() ? shipped : s.texts;
}

}  // namespace

source::source(const settings& s)
    : task_(s.task), overfit_(s.overfit), sequences_(s.batch), length_(s.length) {
    if (task_ != "text") return;
    for (const std::string& path : texts_of(s))
        name_ += (name_.empty() ? "" : " and ") + path.substr(path.find_last_of('/') + 1);
    text_ = std::make_unique<const text>(text::from_files(texts_of(s)));
    text_->check_length(overfit_ ? sequences_ * length_ : length_);
}

void source::draw(batch& b, generator& random) const {
    b.resize(sequences_, length_);
    generator fixed(validation_seed + 1);
    generator& used = overfit_ ? fixed : random;
    if (task_ == "copy_first") {
        draw_copy_first(b, used);
    } else if (task_ == "recall") {
        draw_recall(b, used);
    } else if (overfit_) {
        for (std::ptrdiff_t i = 0; i < sequences_; ++i) b.set_text(i, text_->training().data() + i * length_);
    } else {
        text_->draw(b, random);
    }
}

void source::validate(const std::function<void(const batch&)>& judge) const {
    batch b;
    generator fixed(validation_seed);
    if (overfit_) {
        draw(b, fixed);
        judge(b);
    } else if (text_ == nullptr) {
        for (int i = 0; i < validation_batches; ++i) {
            draw(b, fixed);
            judge(b);
        }
    } else {
        const std::ptrdiff_t all = text_->validation_sequences(length_);
        b.resize(sequences_, length_);
        for (std::ptrdiff_t first = 0; first < all; first += sequences_) {
            text_->validation_from(first, b);
            judge(b);
        }
    }
}

std::string source::description() const {
    std::string words = task_;
    if (task_ == "copy_first")
        words += ": " + std::to_string(copied_bytes(length_)) + " bytes after " +
                 std::to_string(length_ - 2 * copied_bytes(length_)) + " of noise";
    else if (task_ == "recall")
        words += ": " + std::to_string(recall_pairs(length_)) + " values, each by its key";
    else
        words += ": " + std::to_string(text_->training().size()) + " bytes to learn, " +
                 std::to_string(text_->validation().size()) + " to judge by";
    return overfit_ ? words + "; one batch again and again" : words;
}

std::string source::fingerprint() const {
    return text_ == nullptr ? task_ : task_ + " " + std::to_string(text_->digest());
}

std::size_t source::bytes() const { return text_ == nullptr ? 0 : text_->size(); }
std::size_t source::epoch_bytes() const { return text_ == nullptr ? 0 : text_->training().size(); }

}  // namespace language_model
