// shared/http/http1_writer.h -- heads to bytes. Fields that pass unchanged are copied as ranges of the
// received bytes: neighbours make one copy, however many they are.
// Never: checks what a parser has checked; writes more than the room it was given.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "shared/http/message.h"

namespace lb::http {

// A bounded buffer being filled from the front. Running out of room is remembered, and everything after it
// dropped: check overflow() once at the end.
class Sink {
 public:
    Sink(char* at, std::size_t room) noexcept : begin_(at), at_(at), end_(at + room) {}
    void put(std::string_view s) noexcept {
        if (static_cast<std::size_t>(end_ - at_) < s.size()) {
            overflow_ = true;
            end_ = at_;  // a shorter piece that comes later must not slip in behind a gap
            return;
        }
        if (!s.empty()) std::memcpy(at_, s.data(), s.size());
        at_ += s.size();
    }
    void put(std::uint64_t number) noexcept;  // decimal
    [[nodiscard]] bool overflow() const noexcept { return overflow_; }
    [[nodiscard]] std::size_t size() const noexcept { return static_cast<std::size_t>(at_ - begin_); }
    [[nodiscard]] std::string_view view() const noexcept { return {begin_, size()}; }
    [[nodiscard]] char* position() const noexcept { return at_; }

 private:
    char* begin_;
    char* at_;
    char* end_;
    bool overflow_ = false;
};

// Copies the lines of those fields for which keep(field) is true. Lines that lie side by side in the received
// bytes go in one copy. A field that never was a line (HTTP/2) is written as "name: value".
template <class Keep>
void put_fields(Sink& out, const std::vector<Field>& fields, Keep keep) noexcept {
    const char* begin = nullptr;
    const char* end = nullptr;
    for (const Field& field : fields) {
        if (!keep(field)) continue;
        if (field.line.empty()) {
            if (begin != nullptr) out.put({begin, static_cast<std::size_t>(end - begin)});
            begin = end = nullptr;
            out.put(field.name);
            out.put(": ");
            out.put(field.value);
            out.put("\r\n");
            continue;
        }
        if (field.line.data() != end) {
            if (begin != nullptr) out.put({begin, static_cast<std::size_t>(end - begin)});
            begin = field.line.data();
        }
        end = field.line.data() + field.line.size();
    }
    if (begin != nullptr) out.put({begin, static_cast<std::size_t>(end - begin)});
}

// The registered phrase of a status, "Not Found" for 404; an unknown one gets that of its class (RFC 9110
// 15), and what is in no class "Unknown".
std::string_view reason_phrase(std::uint16_t status) noexcept;
// "HTTP/1.1 404 Not Found\r\n", with lb's own version whatever the backend's was. `status` has three digits.
void put_status_line(Sink& out, std::uint16_t status, std::string_view reason) noexcept;

}  // namespace lb::http
