// master/config/file.h -- a whole file of the operator's, with a bound.
// Never: reads what is no regular file (a pipe would stop the master).
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "shared/config/words.h"

namespace lb::config {

struct FileContent {
    std::string bytes;
    std::pair<std::uint64_t, std::uint64_t> identity;  // device and inode
    std::uint32_t mode = 0;                            // permissions, as in stat(2)
};
Parsed<FileContent> read_file(const std::string& path, std::size_t largest);

}  // namespace lb::config
