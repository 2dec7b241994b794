// master/half_open.cpp -- see half_open.h.
#include "master/half_open.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "master/tcp_table.h"
#include "shared/net/fd.h"

namespace lb {
namespace {

constexpr std::size_t largest_answer = std::size_t{1} << 20;

struct Question {
    nlmsghdr header;
    inet_diag_req_v2 what;
};

// Reads one datagram of messages. True when the last message was among them.
enum class Part { more, last, broken };
Part take(char* bytes, std::size_t size, std::uint16_t port, std::vector<HalfOpen>& found) {
    auto left = static_cast<unsigned>(size);
    for (auto* message = reinterpret_cast<nlmsghdr*>(bytes); NLMSG_OK(message, left);
         message = NLMSG_NEXT(message, left)) {
        if (message->nlmsg_type == NLMSG_DONE) return Part::last;
        if (message->nlmsg_type == NLMSG_ERROR) return Part::broken;
        if (message->nlmsg_len < NLMSG_LENGTH(sizeof(inet_diag_msg))) return Part::broken;
        inet_diag_msg one{};
        std::memcpy(&one, NLMSG_DATA(message), sizeof one);
        if (ntohs(one.id.idiag_sport) != port) continue;
        HalfOpen entry;
        std::memcpy(entry.local.data(), one.id.idiag_src, sizeof one.id.idiag_src);
        std::memcpy(entry.remote.data(), one.id.idiag_dst, sizeof one.id.idiag_dst);
        entry.remote_port = ntohs(one.id.idiag_dport);
        found.push_back(entry);
    }
    return Part::more;
}

std::optional<std::vector<HalfOpen>> from_table(int family, std::uint16_t port) {
    bool whole = false;
    const std::string table = read_tcp_table(family, whole);
    if (!whole) return std::nullopt;
    return half_open_in(table, port);
}

}  // namespace

std::vector<HalfOpen> half_open_in(std::string_view table, std::uint16_t port) {
    std::vector<HalfOpen> found;
    while (!table.empty()) {
        const auto end = table.find('\n');
        const auto row = tcp_row(table.substr(0, end));
        table.remove_prefix(end == std::string_view::npos ? table.size() : end + 1);
        if (!row || row->state != TCP_SYN_RECV || row->local_port != port) continue;
        HalfOpen entry;
        std::memcpy(entry.local.data(), row->local.data(), entry.local.size());
        std::memcpy(entry.remote.data(), row->remote.data(), entry.remote.size());
        entry.remote_port = row->remote_port;
        found.push_back(entry);
    }
    std::sort(found.begin(), found.end());
    return found;
}

std::optional<std::vector<HalfOpen>> half_open(int family, std::uint16_t port) {
    // A connection to a unix socket is in the queue or not there: nothing of it is under way.
    if (family == AF_UNIX) return std::vector<HalfOpen>{};
    const Fd netlink(socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG));
    if (!netlink) return from_table(family, port);
    Question question{};
    question.header.nlmsg_len = sizeof question;
    question.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    question.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    question.what.sdiag_family = static_cast<std::uint8_t>(family);
    question.what.sdiag_protocol = IPPROTO_TCP;
    question.what.idiag_states = 1U << TCP_SYN_RECV;
    question.what.id.idiag_sport = htons(port);
    if (send(netlink.get(), &question, sizeof question, 0) != static_cast<ssize_t>(sizeof question)) {
        return std::nullopt;
    }
    std::vector<HalfOpen> found;
    alignas(nlmsghdr) char bytes[32768];
    for (std::size_t total = 0; total < largest_answer;) {
        const ssize_t got = recv(netlink.get(), bytes, sizeof bytes, 0);
        if (got <= 0) return std::nullopt;
        total += static_cast<std::size_t>(got);
        const Part part = take(bytes, static_cast<std::size_t>(got), port, found);
        if (part == Part::broken) return std::nullopt;
        if (part == Part::last) {
            std::sort(found.begin(), found.end());
            return found;
        }
    }
    return std::nullopt;
}

std::uint32_t accept_queue(int listening) noexcept {
    int family = AF_UNSPEC;
    socklen_t length = sizeof family;
    if (getsockopt(listening, SOL_SOCKET, SO_DOMAIN, &family, &length) == 0 && family == AF_UNIX) {
        pollfd watched{listening, POLLIN, 0};
        return poll(&watched, 1, 0) > 0 && (watched.revents & POLLIN) != 0 ? 1 : 0;
    }
    tcp_info info{};
    socklen_t size = sizeof info;
    if (getsockopt(listening, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 || info.tcpi_state != TCP_LISTEN) {
        return 0;
    }
    return info.tcpi_unacked;  // for a listening socket the kernel reports the length of its queue here
}

}  // namespace lb
