// worker/exchange/local_answer.h -- the answers that routes give themselves: redirect and respond. error_page.h has those
// that say what went wrong.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "shared/config/model.h"
#include "shared/http/message.h"
#include "worker/variables/evaluate.h"

namespace lb {

struct LocalAnswer {
    std::uint16_t status = 0;
    bool too_long = false;  // a redirect whose location is over location_max: what is here says 414
    std::string fields;  // whole lines: Date, Content-Type, Content-Length, Location. For edit_lines(), too
    std::string page;    // a body of lb's own
    std::string_view file;  // or the content of a file; lives as long as the configuration

    // What goes behind the head; HEAD gets the fields alone.
    [[nodiscard]] std::string_view body(http::Method method) const noexcept {
        if (method == http::Method::head) return {};
        return file.empty() ? std::string_view{page} : file;
    }
};

inline constexpr std::size_t location_max = 8192;  // bytes of a Location
// Bytes that no URI may hold are percent-encoded in Location; a location that came out empty is left out. Values cannot name
// another host by slashes in front ("//evil.example"): unless the operator's own text begins with two, one of them is kept.
LocalAnswer redirect_answer(const config::Redirect& redirect, const Facts& facts, std::string_view date_line);
LocalAnswer respond_answer(const config::Respond& respond, std::string_view date_line);

}  // namespace lb
