// master/config/include.h -- files into a Draft: the main file, and what `include` names.
// Owns:  which files were read, so that none is read twice.
// Never: creates or writes; reads what is no regular file (see file.h).
#pragma once
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "master/config/draft.h"
#include "master/config/reader.h"

namespace lb::config {

class Files {
 public:
    // `prefix`: where relative paths in files start; "": in the directory of the file they stand in.
    Files(Draft& draft, std::string prefix) : draft_(draft), prefix_(std::move(prefix)) {}

    // False when the file itself could not be read; that is in the draft's mistakes.
    bool read(const std::string& path, const Place& asked, unsigned depth = 0);
    void follow(const std::vector<Include>& includes, unsigned depth);

 private:
    Draft& draft_;
    std::string prefix_;
    using Identity = std::pair<std::uint64_t, std::uint64_t>;  // device and inode
    std::map<Identity, Place> seen_;                           // who asked for it first
    std::vector<Identity> open_;                               // from the main file to the one being read
};

// The paths that a pattern names, sorted. A pattern without * ? [ is returned as it is.
Parsed<std::vector<std::string>> expand(const std::string& pattern);

}  // namespace lb::config
