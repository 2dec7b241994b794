// shared/process/channel.h -- typed messages between the master and one child over a socketpair (SOCK_SEQPACKET).
// Owns:   its end of the pair. The other end closing is how a child notices that the master is gone, and the reverse.
// Never:  blocks; carries text from outside.
#pragma once
#include <cstdint>
#include <string>
#include <utility>

#include "shared/base/result.h"
#include "shared/net/fd.h"

namespace lb {

enum class MessageKind : std::uint32_t {
    // master to child
    drain,        // finish what is open, take nothing new, then end; value: milliseconds until it is cut;
                  // listener: 1 when lb itself ends, so that connections at rest are closed at once
    stop,         // end now
    reopen_logs,  // open the logs again, then say so; value: number of the request
    serve,  // accept from this listening socket too (with a descriptor); value: lending number, listener: index
    unserve,  // stop accepting from the socket lent under that number; close it
    // child to master
    ready,     // accepting
    suspect,   // value: slot of a backend that refused a connection; check it now
    eject,     // value: slot of a backend that failed as often in a row as its pool's `eject` says
    reopened,  // the logs are open again; value: the request's; listener: errno of one that could not be, or 0
};

// One message, fixed size. At most one descriptor travels with it.
struct Message {
    MessageKind kind{};
    std::uint32_t listener = 0;  // index into Config::listeners of the receiver's generation
    std::uint64_t value = 0;
};

class Channel {
 public:
    Channel() = default;
    explicit Channel(Fd fd) noexcept : fd_(std::move(fd)) {}
    // Both ends, non-blocking and close-on-exec. The error is errno text.
    static Result<std::pair<Channel, Channel>, std::string> pair();

    [[nodiscard]] int descriptor() const noexcept { return fd_.get(); }
    // False when the message could not be queued: the other end is gone or 64+ messages behind.
    bool send(const Message& message, int fd = -1) noexcept;

    enum class Got : std::uint8_t { message, nothing, closed };
    // A message of the wrong size or with more than one descriptor counts as `closed`: the other side is not ours.
    struct Received {
        Got got = Got::nothing;
        Message message{};
        Fd fd;
    };
    Received receive() noexcept;
    void close() noexcept { fd_.reset(); }

 private:
    Fd fd_;
};

}  // namespace lb
