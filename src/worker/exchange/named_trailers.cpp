#include "worker/exchange/named_trailers.h"

#include <algorithm>
#include <utility>

#include "shared/base/text.h"
#include "shared/http/trailers.h"

namespace lb {
namespace {

bool same_name(std::string_view a, std::string_view b) noexcept {
    return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
               return text::lower(x) == text::lower(y);
           });
}

bool is_named(std::string_view name, std::string_view named) noexcept {
    while (!named.empty()) {
        named.remove_prefix(1);  // the comma in front
        const std::string_view each = named.substr(0, named.find(','));
        if (same_name(each, name)) return true;
        named.remove_prefix(each.size());
    }
    return false;
}

}  // namespace

void note_named(std::string& out, const std::vector<http::Field>& fields) {
    for (const http::Field& field : fields) {
        if (field.id != http::FieldId::connection) continue;
        for (std::string_view rest = field.value; !rest.empty();) {
            const std::string_view part = rest.substr(0, rest.find(','));
            rest.remove_prefix(std::min(part.size() + 1, rest.size()));
            const std::string_view option = text::trim(part);
            if (option.empty() || text::equals_lower(option, "close") || !http::may_trail(option)) continue;
            out += ',';
            out += option;
        }
    }
}

std::string_view without_named(std::string& named, std::string_view lines) {
    if (named.empty()) return lines;
    constexpr std::string_view line_end = "\r\n";
    std::string kept;
    while (!lines.empty()) {
        const std::size_t size = std::min(lines.find(line_end), lines.size() - line_end.size());
        const std::string_view line = lines.substr(0, size + line_end.size());
        if (!is_named(line.substr(0, line.find(':')), named)) kept += line;
        lines.remove_prefix(line.size());
    }
    named = std::move(kept);
    return named;
}

}  // namespace lb
