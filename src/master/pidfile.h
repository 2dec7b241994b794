// master/pidfile.h -- the file that says who is running.
// Owns:  the file it wrote, until its destructor or release(); removes it only while it still holds our number.
// Never: leaves half a file: it is written under another name and renamed.
#pragma once
#include <sys/types.h>

#include <optional>
#include <string>

namespace lb {

class PidFile {
 public:
    PidFile() = default;
    PidFile(PidFile&& other) noexcept;
    PidFile& operator=(PidFile&& other) noexcept;
    PidFile(const PidFile&) = delete;
    PidFile& operator=(const PidFile&) = delete;
    ~PidFile() { remove(); }

    // Writes the number of this process. The error is a sentence with the path; "" is success. An empty path writes
    // nothing. What an earlier write() left at another path is removed after the new one stands.
    std::string write(const std::string& path);
    void remove() noexcept;
    // Leaves the file; for a process that is not the one that wrote it (a child after fork).
    void release() noexcept { path_.clear(); }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

    // The number in a pid file, if there is one.
    static std::optional<pid_t> read(const std::string& path);

 private:
    std::string path_;
};

}  // namespace lb
