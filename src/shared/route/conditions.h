// shared/route/conditions.h -- the conditions of a route, one by one. Pure.
// Names: header names in any case; methods, cookies, parameters and all values exactly. A header, cookie or parameter that
//        comes several times holds when any one of them does. Fields count as received, those that end here too.
#pragma once
#include <string>
#include <string_view>

#include "shared/config/model.h"
#include "shared/http/message.h"
#include "shared/net/address.h"

namespace lb::route {

// The country of a request's client, looked up when a condition first asks for it.
class ClientCountry {
 public:
    // `database`: null when there is none; then, and when it does not know the client, the country is "".
    ClientCountry(const geo::Countries* database, const Address& client) noexcept
        : database_(database), client_(client) {}
    [[nodiscard]] std::string_view get() const noexcept;

 private:
    const geo::Countries* database_;
    const Address& client_;
    mutable bool known_ = false;
    mutable std::string_view code_;
};

// A request as routes compare it.
struct Asked {
    const http::RequestHead& head;
    const Address& client;
    std::string_view host;   // see host.h
    std::string_view path;   // see path.h; empty for "*", which only a route without a path takes
    std::string_view query;  // as received
    ClientCountry country;
};

bool host_holds(const config::HostMatch& match, std::string_view host) noexcept;
bool path_holds(const config::PathMatch& match, std::string_view path) noexcept;
bool method_holds(const config::Route& route, const http::RequestHead& head) noexcept;
bool header_holds(const config::ValueMatch& match, const http::RequestHead& head) noexcept;
// Pairs of all Cookie fields; a quoted value keeps its quotes, a piece without '=' is no pair.
bool cookie_holds(const config::ValueMatch& match, const http::RequestHead& head) noexcept;
// Names and values are decoded, see path.h; a parameter without '=' has an empty value.
bool query_holds(const config::ValueMatch& match, std::string_view query, std::string& scratch);
bool source_holds(const config::Route& route, const Address& client) noexcept;
// A client whose country is not known is in none of them.
bool country_holds(const config::Route& route, const ClientCountry& country) noexcept;

// Method, headers, cookies, parameters, source and country: what no index decides.
bool rest_holds(const config::Route& route, const Asked& asked, std::string& scratch);

}  // namespace lb::route
