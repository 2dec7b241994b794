#include "worker/exchange/request_id.h"

#include <algorithm>
#include <cstdint>

#include "shared/http/chars.h"

namespace lb {
namespace {

constexpr std::size_t longest = 128;

bool fits(char c) noexcept {
    return http::chars::is(c, http::chars::host) || c == '+' || c == '/' || c == '=';
}

}  // namespace

bool good_request_id(std::string_view id) noexcept {
    return !id.empty() && id.size() <= longest && std::all_of(id.begin(), id.end(), fits);
}

std::string_view request_id_of(const http::RequestHead& head, bool sender_trusted, Random& random,
                               RequestIdRoom& room) noexcept {
    if (sender_trusted) {
        std::string_view given;
        unsigned count = 0;
        for (const http::Field& field : head.fields) {
            if (field.id != http::FieldId::x_request_id) continue;
            given = field.value;
            count++;
        }
        if (count == 1 && good_request_id(given)) return given;
    }
    std::size_t at = 0;
    while (at < room.size()) {
        std::uint64_t bits = random.next();
        for (int digit = 0; digit < 16; digit++, bits >>= 4) room[at++] = "0123456789abcdef"[bits & 15];
    }
    return {room.data(), room.size()};
}

}  // namespace lb
