// worker/log/file_sink.h -- lines to a file, a FIFO or standard output.
// Owns:  the descriptor of a path; that of standard output is a loan.
// Never: waits: FIFOs are opened with O_NONBLOCK, sockets are sent to with MSG_DONTWAIT, and an inherited descriptor that
//        may block is asked first. Standard output is never made non-blocking: it belongs to others too.
//
// Several workers write to the same destination. A file opened O_APPEND keeps each write in one piece; a pipe does so up to
// PIPE_BUF bytes, so pipes, terminals and sockets get a few whole lines at a time.
#pragma once
#include <string>

#include "shared/net/fd.h"
#include "worker/log/log_sink.h"

namespace lb {

class FileSink final : public LogSink {
 public:
    // Opens for appending, with mode 0640. What cannot be opened is tried again once a second.
    explicit FileSink(std::string path);
    explicit FileSink(int standard_output);

    int reopen(Micros now) override;

 private:
    enum class Way : std::uint8_t { file, stream, socket, blocking };
    bool open(Micros now);
    void use(int fd) noexcept;
    void write_out(Micros now) noexcept override;
    [[nodiscard]] std::size_t next_piece(std::string_view rest) const noexcept;
    [[nodiscard]] ssize_t put(std::string_view bytes) const noexcept;

    std::string path_;  // empty: standard output
    Fd own_;
    int fd_ = -1;
    Way way_ = Way::file;
    bool torn_ = false;  // the first line that waits was begun already
    Micros try_at_ = 0;  // while the path could not be opened
};

}  // namespace lb
