// SPDX-License-Identifier: MIT
// examples/language_model/checkpoint.cpp: writing, checking and reading the file
#include "checkpoint.hpp"

#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

#include "digest.hpp"
#include "error.hpp"
#include "file.hpp"

namespace language_model {
namespace {

static_assert(std::endian::native == std::endian::little, "checkpoints hold numbers as they stand in memory");

constexpr char magic[] = {'h', 'e', 'e', 'd', '-', 'l', 'm', '\n'};
constexpr std::uint32_t version = 2;  // 1 did not remember the steps
constexpr std::size_t head_bytes = sizeof magic + 2 * sizeof(std::uint32_t) + sizeof(std::uint64_t);

std::string shape_text(const std::vector<index>& shape) {
    std::string words;
    for (index extent : shape) words += (words.empty() ? "" : " x ") + std::to_string(extent);
    return words;
}

class writer {
public:
    std::string bytes;

    template <class Number>
    void number(Number value) {
        raw(&value, sizeof value);
    }
    void words(const std::string& text) {
        number(std::uint64_t{text.size()});
        bytes += text;
    }
    void raw(const void* data, std::size_t size) { bytes.append(static_cast<const char*>(data), size); }
};

// Reads on from a place; every length is checked against what is left.
class reader {
public:
    reader(const std::string& path, const std::string& bytes, std::size_t at, std::size_t end)
        : path_(path), bytes_(bytes), at_(at), end_(end) {}

    std::size_t at() const { return at_; }
    bool done() const { return at_ == end_; }

    template <class Number = std::uint64_t>
    Number number() {
        Number value;
        std::memcpy(&value, bytes_.data() + take(sizeof value), sizeof value);
        return value;
    }
    std::string words() {
        const std::uint64_t size = number();
        return bytes_.substr(take(size), size);
    }
    std::size_t take(std::uint64_t size) {
        if (size > end_ - at_) throw error("the checkpoint " + path_ + " is damaged: a length is wrong");
        const std::size_t first = at_;
        at_ += size;
        return first;
    }

private:
    const std::string& path_;
    const std::string& bytes_;
    std::size_t at_, end_;
};

// On the disk before its name is: a machine that stops leaves the old file or the new one.
void write_through(const std::string& path, const std::string& bytes) {
    std::FILE* file = std::fopen(path.c_str(), "wb");
    if (file == nullptr) throw error("cannot write the checkpoint " + path + ": " + std::strerror(errno));
    bool written = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
    written = std::fflush(file) == 0 && written;
#if defined(__unix__) || defined(__APPLE__)
    written = fsync(fileno(file)) == 0 && written;
#endif
    const int reason = errno;
    written = std::fclose(file) == 0 && written;
    if (!written) {
        std::remove(path.c_str());
        throw error("cannot write the checkpoint " + path + ": " + std::strerror(reason));
    }
}

}  // namespace

void check_place(const std::string& path) {
    if (is_folder(path)) throw error("cannot write the checkpoint " + path + ": it is a folder");
    const std::string beside = path + ".new";
    write_through(beside, "");
    std::remove(beside.c_str());
}

void save(const std::string& path, const checkpoint& state, const parameter_list& tensors) {
    writer out;
    std::size_t total = 4096;
    for (const parameter& t : tensors) total += static_cast<std::size_t>(t.size) * sizeof(float) + 256;
    out.bytes.reserve(total);
    out.raw(magic, sizeof magic);
    out.number(version);
    out.number(std::uint32_t{0});
    out.number(std::uint64_t{0});  // the size, once it is known
    out.words(state.configuration);
    out.words(state.source);
    out.number(state.step);
    out.number(state.generator);
    out.number(std::uint64_t{tensors.size()});
    for (const parameter& t : tensors) {
        out.words(t.name);
        out.number(std::uint64_t{t.shape.size()});
        for (index extent : t.shape) out.number(static_cast<std::uint64_t>(extent));
        out.raw(t.values, static_cast<std::size_t>(t.size) * sizeof(float));
    }
    const std::uint64_t size = out.bytes.size() + sizeof(std::uint64_t);
    std::memcpy(out.bytes.data() + head_bytes - sizeof size, &size, sizeof size);
    out.number(digest_of(out.bytes.data(), out.bytes.size()));

    const std::string beside = path + ".new";
    write_through(beside, out.bytes);
    if (std::rename(beside.c_str(), path.c_str()) != 0) {
        const int reason = errno;
        std::remove(beside.c_str());
        throw error("cannot write the checkpoint " + path + ": " + std::strerror(reason));
    }
}

checkpoint_file::checkpoint_file(std::string path) : path_(std::move(path)) {
    bytes_ = bytes_of_file("checkpoint", path_);
    if (bytes_.size() < sizeof magic || std::memcmp(bytes_.data(), magic, sizeof magic) != 0)
        throw error(path_ + " is not a checkpoint of this program");
    if (bytes_.size() < head_bytes + sizeof(std::uint64_t))
        throw error("the checkpoint " + path_ + " is cut off: it has " + std::to_string(bytes_.size()) +
                    " bytes");
    reader head(path_, bytes_, sizeof magic, head_bytes);
    if (const auto found = head.number<std::uint32_t>(); found != version)
        throw error("the checkpoint " + path_ + " is of version " + std::to_string(found) +
                    ", this program reads version " + std::to_string(version) +
                    ": go on with the program that wrote it, or start anew without --resume");
    head.number<std::uint32_t>();
    if (const std::uint64_t size = head.number(); size != bytes_.size())
        throw error("the checkpoint " + path_ + " is cut off or damaged: it has " +
                    std::to_string(bytes_.size()) + " bytes of " + std::to_string(size));
    const std::size_t end = bytes_.size() - sizeof(std::uint64_t);
    if (reader(path_, bytes_, end, bytes_.size()).number() != digest_of(bytes_.data(), end))
        throw error("the checkpoint " + path_ + " is damaged: its digest is not that of its bytes");

    reader in(path_, bytes_, head_bytes, end);
    state_.configuration = in.words();
    state_.source = in.words();
    state_.step = in.number();
    state_.generator = in.number();
    for (std::uint64_t left = in.number(); left > 0; --left) {
        stored t;
        t.name = in.words();
        std::uint64_t size = sizeof(float);
        for (std::uint64_t axes = in.number(); axes > 0; --axes) {
            t.shape.push_back(static_cast<index>(in.number()));
            size *= static_cast<std::uint64_t>(t.shape.back());
        }
        t.at = in.take(size);
        tensors_.push_back(std::move(t));
    }
    if (!in.done()) throw error("the checkpoint " + path_ + " is damaged: bytes are left over");
}

void checkpoint_file::restore(const parameter_list& tensors) const {
    if (tensors_.size() != tensors.size())
        throw error("the checkpoint " + path_ + " holds " + std::to_string(tensors_.size()) +
                    " tensors, the model has " + std::to_string(tensors.size()));
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        if (tensors_[i].name != tensors[i].name)
            throw error("the checkpoint " + path_ + " holds '" + tensors_[i].name +
                        "' where the model has '" + tensors[i].name + "'");
        if (tensors_[i].shape != tensors[i].shape)
            throw error("the checkpoint " + path_ + " holds " + tensors[i].name + " as " +
                        shape_text(tensors_[i].shape) + ", the model has " + shape_text(tensors[i].shape));
    }
    for (std::size_t i = 0; i < tensors.size(); ++i)
        std::memcpy(tensors[i].values, bytes_.data() + tensors_[i].at,
                    static_cast<std::size_t>(tensors[i].size) * sizeof(float));
}

}  // namespace language_model
