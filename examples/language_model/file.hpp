// SPDX-License-Identifier: MIT
// examples/language_model/file.hpp: whole files, and what is wrong with those that cannot be read
#pragma once

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "error.hpp"

namespace language_model {

inline bool is_folder(const std::string& path) {
    std::error_code nothing_there;
    return std::filesystem::is_directory(path, nothing_there);
}

// All bytes of a file; `what` it is ("text") stands in the error that is thrown where it cannot be read.
inline std::string bytes_of_file(const char* what, const std::string& path) {
    const std::string problem = "cannot read the " + std::string(what) + " " + path;
    if (is_folder(path)) throw error(problem + ": it is a folder");
    errno = 0;
    std::ifstream file(path, std::ios::binary);
    if (!file) throw error(problem + (errno != 0 ? ": " + std::string(std::strerror(errno)) : ""));
    try {
        std::string bytes(std::istreambuf_iterator<char>(file), {});
        if (!file.bad()) return bytes;
    } catch (const std::ios_base::failure&) {  // a disk that fails; a stream's buffer throws it by itself
    }
    throw error(problem);
}

}  // namespace language_model
