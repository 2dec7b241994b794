// worker/log/access_file.h -- buffered access logs: whole lines only, written once a tick or when enough has gathered.
// Owns:  one descriptor and one buffer per [log] of the configuration.
// Never: delays or fails a request: a file that takes no more costs lines, which are counted.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "shared/config/model.h"
#include "shared/net/fd.h"
#include "worker/log/access_line.h"

namespace lb {

class AccessLogs {
 public:
    // Opens every file for appending, with mode 0640. What cannot be opened is said in the error log and drops lines.
    AccessLogs(const std::vector<config::AccessLog>& logs, int standard_output);
    ~AccessLogs() { flush(); }
    AccessLogs(const AccessLogs&) = delete;
    AccessLogs& operator=(const AccessLogs&) = delete;

    void write(std::uint32_t log, const AccessEntry& entry);
    // Once a tick, before a wait that may be long, and at the end.
    void flush() noexcept;
    // The files were moved away: write out, open the names again. A file that cannot be opened keeps its descriptor.
    void reopen();
    // Lines lost since the last call.
    std::uint64_t take_dropped() noexcept;

 private:
    struct File {
        const config::AccessLog* settings = nullptr;
        Fd own;
        int fd = -1;
        std::string buffer;
        std::uint64_t lines = 0;  // in the buffer
    };
    static Fd open_file(const std::string& path);
    void flush(File& file) noexcept;
    std::vector<File> files_;
    std::uint64_t dropped_ = 0;
};

}  // namespace lb
