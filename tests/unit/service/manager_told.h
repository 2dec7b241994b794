// tests/unit/service/manager_told.h -- the other end of a Manager: what it was told, and which descriptors came along.
#pragma once
#include <sys/socket.h>
#include <sys/stat.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "master/service/manager.h"

namespace lb {

class Told {
 public:
    struct Message {
        std::string text;
        Fd fd;
    };
    explicit Told(Micros watchdog = 0) {
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) return;
        theirs_ = Fd(ends[1]);
        manager = service::Manager(Fd(ends[0]), watchdog);
    }
    // The next message; an empty text when there is none.
    Message next() {
        Message message;
        char text[4096];
        alignas(cmsghdr) char space[CMSG_SPACE(sizeof(int))];
        iovec part{text, sizeof text};
        msghdr head{};
        head.msg_iov = &part;
        head.msg_iovlen = 1;
        head.msg_control = space;
        head.msg_controllen = sizeof space;
        const ssize_t got = recvmsg(theirs_.get(), &head, MSG_CMSG_CLOEXEC);
        if (got < 0) return message;
        message.text.assign(text, static_cast<std::size_t>(got));
        if (const cmsghdr* control = CMSG_FIRSTHDR(&head); control != nullptr) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(control), sizeof fd);
            message.fd = Fd(fd);
        }
        return message;
    }
    std::vector<std::string> texts() {
        std::vector<std::string> list;
        for (Message message = next(); !message.text.empty(); message = next()) list.push_back(message.text);
        return list;
    }

    service::Manager manager;

 private:
    Fd theirs_;
};

inline ino_t inode_of(int fd) {
    struct stat info {};
    return fstat(fd, &info) == 0 ? info.st_ino : 0;
}

}  // namespace lb
