// master/operator/state_file.h -- keeps the store over restarts, in one file that is replaced as a whole.
// Owns:  the file at its path, mode 0640, and FILE.bad, a copy of what could not be read. Both stay when lb ends.
// Never: stops lb because of what the file holds, or because it cannot be written; moves or replaces what is no regular file.
#pragma once
#include <string>
#include <vector>

#include "master/operator/store.h"

namespace lb::operators {

class StateFile {
 public:
    // From now on this file; "": none.
    void use(const std::string& path) { path_ = path; }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

    // Into an empty store. What is missing is no mistake. Returns lines for the log; when there are any, the file is
    // FILE.bad from then on, and what could be read of it wants to be written anew. What is no regular file stays.
    std::vector<std::string> load(Store& store, const Moment& moment);
    // What load() would have to say about the file. Nothing is changed.
    [[nodiscard]] std::vector<std::string> problems(const Moment& moment) const;
    // Written beside it, then put in its place: whenever the machine stops, one of the two is there as a whole. `sure`: it is
    // the new one from when this returns. "" or why not.
    [[nodiscard]] std::string save(const Store& store, const Moment& moment, bool sure) const;

 private:
    [[nodiscard]] std::vector<std::string> read(Store& store, const Moment& moment) const;
    std::string path_;
};

}  // namespace lb::operators
