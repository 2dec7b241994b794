// worker/exchange/trusted_hops.h -- who the client is: through the hops that the operator trusts, the one they vouch for.
// Sources: RFC 7239; X-Forwarded-For as nginx (real_ip_recursive) and HAProxy write and read it. Pure.
// Never:   looks at a field when the sender is not trusted; allocates; looks at more than most_hops of a list.
//
// The list is walked from its right end: while the hop that spoke is trusted, the next address to the left is believed.
// The first one that is not trusted is the client; so is the last one believed when the list ends or goes on with what is
// no address (RFC 7239's "unknown" and "_names" too).
// Which list: Forwarded where `forwarded = rfc7239` (X-Forwarded-For when there is none), else X-Forwarded-For alone, with
// `both` too: a trusted sender passes on as it came what it does not write itself, so "whichever is there" would let its
// clients choose. A list is read backwards, so that what a client wrote into it cannot reach what came behind.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "shared/config/model.h"
#include "shared/http/message.h"
#include "shared/net/address.h"
#include "worker/stream/client_stream.h"

namespace lb {

class Hops {
 public:
    static constexpr unsigned most_hops = 64;

    // `scheme`: of the connection itself. What `origin` and `head` point to must live as long as this.
    Hops(const stream::ClientOrigin& origin, const config::Listener& listener, const http::RequestHead& head,
         std::string_view scheme = "http") noexcept
        : address_(&origin.client), text_(origin.text), scheme_(scheme) {
        // The unix socket that a PROXY header names is that of another machine, unless it came by one itself.
        const bool local =
            origin.client.length != 0 && origin.client.family() == AF_UNIX && origin.peer.family() == AF_UNIX;
        if (local || !listener.trusted.empty()) walk(listener, head, local);
    }
    Hops(const Hops&) = delete;
    Hops& operator=(const Hops&) = delete;

    [[nodiscard]] const Address& address() const noexcept { return *address_; }
    // Without its port: "192.0.2.1", "2001:db8::1", "unix:".
    [[nodiscard]] std::string_view text() const noexcept { return text_; }
    // 0 when only an address is known.
    [[nodiscard]] std::uint16_t port() const noexcept { return address_->port(); }
    // The direct sender: its range is configured, or it came over a unix socket of this machine.
    [[nodiscard]] bool sender_trusted() const noexcept { return trusted_; }
    // "http" or "https", as the client sees it.
    [[nodiscard]] std::string_view scheme() const noexcept { return scheme_; }

 private:
    void walk(const config::Listener& listener, const http::RequestHead& head, bool local) noexcept;
    // Takes the next address to the left; nothing when there was none to read. False: the walk is over.
    bool believe(const std::optional<Address>& next, const config::Listener& listener) noexcept;
    void walk_x_forwarded_for(const config::Listener& listener, const http::RequestHead& head) noexcept;
    bool walk_forwarded(const config::Listener& listener, const http::RequestHead& head) noexcept;
    void read_x_forwarded_proto(const http::RequestHead& head) noexcept;

    const Address* address_;
    std::string_view text_;
    std::string_view scheme_;
    bool trusted_ = false;
    unsigned believed_ = 0;  // hops of the list
    std::optional<Address> own_;
    std::array<char, INET6_ADDRSTRLEN> own_text_;
};

// Whether a whole Forwarded value keeps the grammar of RFC 7239 4, so that something may be appended to it.
bool valid_forwarded(std::string_view value) noexcept;

}  // namespace lb
