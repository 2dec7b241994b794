// worker/limit/limits.h -- whether a request is within the limits of its listener and its route.
// Owns:   what is made of the settings once: a hash key for each limit, its rate in the table's units. One for each process.
// Never:  allocates for a request, waits, or answers: who asks sends Verdict::refused->status.
//
// A key of a client's address is an IPv4 address, an IPv4-mapped one too, or the first 64 bits of an IPv6 address: one
// customer has at least these (RFC 6177), and could bring each request from another address inside. All clients of unix sockets
// are one key. A request without the header or cookie that a limit names is none of its business: who wants it refused says so
// with a route. Buckets belong to the limit's name: they stay over reloads, in old and new workers alike.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/clock.h"
#include "shared/config/model.h"
#include "shared/http/message.h"
#include "shared/limit/key_table.h"
#include "shared/limit/siphash.h"
#include "shared/shm/counters.h"

namespace lb::worker {

// The places that one request holds; leave() gives them back. Trivial, so that it costs nothing where no limit is.
struct Held {
    // Of limits with `connections` on a listener and a route together. A request holds no place of those beyond: they
    // refuse only while others fill them.
    static constexpr std::size_t most = 8;
    std::array<std::uint32_t, most> entries;  // the first `count`; entries of the limit table
    std::uint8_t count = 0;
};

class Limits {
 public:
    // All must outlive it. `column`: index of this process's own.
    Limits(const config::Config& config, const shm::Segment& segment, shm::Column& column,
           std::uint32_t column_index);

    struct Verdict {
        const config::Limit* refused = nullptr;  // the first that refused; null: it may pass
        std::uint32_t retry_after = 0;           // seconds, at least 1; 0 when not refused
    };
    // The listener's limits, then the route's (null: no route took the request), each in the order of the file; one that both
    // name counts once. The first that refuses ends it: `held`, which must be empty, is empty again then, but what limits
    // before it noted of their rates stays.
    Verdict admit(const config::Listener& listener, const config::Route* route, const http::RequestHead& head,
                  const Address& client, std::string_view client_text, Micros now, Held& held);
    // Any number of times.
    void leave(Held& held) noexcept;

 private:
    struct Prepared {
        limit::SipKey key;
        limit::Terms terms;
    };
    struct Asked {
        const http::RequestHead& head;
        const Address& client;
        std::string_view client_text;
        std::string_view route_name;
        Micros now;
    };
    // Whether it passes; notes in `verdict` when not.
    bool ask(std::uint32_t index, const Asked& asked, Held& held, Verdict& verdict);

    const config::Config& config_;
    shm::Column& column_;
    limit::KeyTable table_;
    std::vector<Prepared> prepared_;  // as Config::limits
    std::string room_;
};

}  // namespace lb::worker
