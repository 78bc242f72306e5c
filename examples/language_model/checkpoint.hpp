// SPDX-License-Identifier: MIT
// examples/language_model/checkpoint.hpp: a run in one file, to go on from
//
//     "heed-lm\n"  version u32  0 u32  bytes of the file u64
//     configuration, source                     each: length u64, bytes
//     step u64, state of the generator u64
//     tensors u64, and of each: name (as above), axes u64, extents u64 …, floats
//     digest of all before it u64
//
// Numbers are little-endian. The file is written beside its place and renamed, so a run that is killed while
// it writes leaves the one before. Reading checks the whole file, digest first, and then every name and
// shape, before anything is changed; what does not fit is an error that says what it is.
#pragma once

#include <cstdint>
#include <string>

#include "parameter_list.hpp"

namespace language_model {

struct checkpoint {
    std::string configuration;  // settings::configuration()
    std::string source;         // source::fingerprint()
    std::uint64_t step = 0;
    std::uint64_t generator = 0;
};

// Throws error where save() could not write its file; makes and removes the one beside it. Asked before hours
// of training.
void check_place(const std::string& path);

// Throws error when the file cannot be written; the one before then still stands.
void save(const std::string& path, const checkpoint& state, const parameter_list& tensors);

class checkpoint_file {
public:
    // Reads and checks the file. Throws error.
    explicit checkpoint_file(std::string path);

    const checkpoint& state() const { return state_; }
    const std::string& path() const { return path_; }

    // Copies the tensors into the list's, which have to be the same ones. Throws error, and changes nothing.
    void restore(const parameter_list& tensors) const;

private:
    struct stored {
        std::string name;
        std::vector<index> shape;
        std::size_t at;  // of the first float, in bytes_
    };
    std::string path_, bytes_;
    checkpoint state_;
    std::vector<stored> tensors_;
};

}  // namespace language_model
