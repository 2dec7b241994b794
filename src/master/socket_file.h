// master/socket_file.h -- the file by which clients find a unix listening socket.
// Owns:  the file that bind_to() made, until its destructor; moves or removes it only while it is still that file.
// Never: removes what is not a socket, or a socket on which somebody listens.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <string>

#include "shared/net/address.h"

namespace lb {

// Everybody may connect: who may is decided by the directory, as with nginx.
inline constexpr mode_t socket_file_mode = 0666;

// What is at the path of a unix address. Asking a socket whether somebody listens is one connection, closed at once.
struct AtPath {
    enum class What : std::uint8_t { nothing, stale, listening, no_socket, unknown };
    What what = What::nothing;
    pid_t holder = 0;  // listening: the process that called listen(2); 0: not visible
    int error = 0;     // unknown: why
};
AtPath look_at(const Address& address);
// Why the path cannot be had: "in use, held by nginx (pid 42)"; "" when it can.
std::string path_problem(const AtPath& there);

class SocketFile {
 public:
    SocketFile() = default;
    SocketFile(SocketFile&& other) noexcept;
    SocketFile& operator=(SocketFile&& other) noexcept;
    SocketFile(const SocketFile&) = delete;
    SocketFile& operator=(const SocketFile&) = delete;
    ~SocketFile() { remove(); }

    // Binds a fresh unix socket to the path of `address`; a file that nobody listens on is replaced. "" or why not.
    std::string bind_to(int fd, const Address& address);
    // The file of a socket that an earlier process bound, if it is still the one: device and inode as of then, perhaps
    // hidden. Otherwise this is a lost one.
    void adopt(const Address& address, std::uint64_t device, std::uint64_t inode);
    // The file stays, and is somebody else's from now on.
    void release() noexcept;
    [[nodiscard]] std::uint64_t device() const noexcept { return device_; }
    [[nodiscard]] std::uint64_t inode() const noexcept { return inode_; }

    // Gives the file another name, beside its own: from now on nobody new finds the socket. "" or errno's text.
    std::string hide();
    // Gives it its name again, unless somebody took that meanwhile.
    std::string show();
    // Whether somebody removed or replaced the file: nobody finds the socket any more.
    [[nodiscard]] bool lost() const noexcept { return hidden_as_.empty() && !still_ours(path_); }
    void remove() noexcept;

 private:
    [[nodiscard]] bool still_ours(const std::string& path) const noexcept;
    [[nodiscard]] std::string hidden_name() const;

    std::string path_;       // as configured; empty: none
    std::string hidden_as_;  // where it is now, if not there
    dev_t device_ = 0;
    ino_t inode_ = 0;
};

}  // namespace lb
