// shared/geo/countries.h -- in which country an address is, by a database in MaxMind's format (GeoLite2-Country, -City and
// what others make in that form).
// Owns:  a private copy of the file in memory, so that a file that is cut or overwritten in place later kills nobody by
//        SIGBUS. Children inherit it over fork and share its pages.
// Never: reads the file again, or allocates in a look-up (about half a microsecond).
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "shared/base/result.h"
#include "shared/net/address.h"

struct MMDB_s;

namespace lb::geo {

class Countries {
 public:
    static constexpr std::uint64_t largest_file = 512ull << 20;  // bytes

    // Reads the whole file. The error is a sentence with the path: "/x.mmdb: No such file or directory".
    static Result<std::shared_ptr<const Countries>, std::string> open(const std::string& path);

    // Two capital letters: of the country the address is in, else of the one it is registered in. "": the database
    // says neither, or it is no IP address. IPv4 in IPv6 notation counts as IPv4. Valid as long as this lives.
    [[nodiscard]] std::string_view country_of(const Address& address) const noexcept;

 private:
    struct Close {
        void operator()(MMDB_s* database) const noexcept;
    };
    using Database = std::unique_ptr<MMDB_s, Close>;
    explicit Countries(Database database) noexcept;

    Database database_;
};

}  // namespace lb::geo
