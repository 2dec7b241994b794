// master/discovery/small_file.h -- a file of an operator, read whole or not at all.
// Never: waits (on a FIFO, say); reads more than it was allowed to.
#pragma once
#include <sys/stat.h>

#include <string>

#include "shared/base/result.h"

namespace lb::discovery {

struct SmallFile {
    std::string text;
    struct stat info {};
};

// The error is a sentence fragment: "no such file or directory", "larger than 1048576 bytes".
Result<SmallFile, std::string> read_small_file(const std::string& path, std::size_t most_bytes);
// Whether nothing says that the content is another one.
bool same_file(const struct stat& a, const struct stat& b) noexcept;

}  // namespace lb::discovery
