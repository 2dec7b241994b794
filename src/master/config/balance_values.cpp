// master/config/balance_values.cpp -- see balance_values.h.
#include "master/config/balance_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "master/config/tokens.h"

namespace lb::config {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr hours longest_ttl(10 * 365 * 24);
constexpr std::size_t longest_name = 256;  // of a header, a cookie or a parameter: more is a slip of the pen
constexpr std::size_t least_secret = 16, most_secret = 64;  // bytes
constexpr std::string_view make_secret = "openssl rand -hex 16 makes one";

constexpr bool has_name(KeyKind kind) noexcept {
    return kind == KeyKind::header || kind == KeyKind::cookie || kind == KeyKind::query;
}

// The name of a header, in lower case, of a cookie or of a parameter.
Parsed<std::string> read_name(KeyKind kind, std::string_view name) {
    if (name.size() > longest_name)
        return problem(fmt::format("the name is longer than {} bytes", longest_name));
    if (kind == KeyKind::query && !name.empty()) return std::string(name);
    if (!is_token(name)) {
        return problem(fmt::format("'{}' is no name of a {}", name,
                                   kind == KeyKind::header   ? "header field"
                                   : kind == KeyKind::cookie ? "cookie"
                                                             : "parameter"));
    }
    return kind == KeyKind::header ? lowered(name) : std::string(name);
}

int hex_digit(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    const char low = text::lower(c);
    return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

Parsed<std::string> read_secret(std::string_view hex) {
    std::string bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
        const int high = hex_digit(hex[i]), low = hex_digit(hex[i + 1]);
        if (high < 0 || low < 0) break;
        bytes += static_cast<char>(high * 16 + low);
    }
    if (bytes.size() * 2 != hex.size() || bytes.size() < least_secret || bytes.size() > most_secret) {
        return problem(fmt::format("secret must be {} to {} hex digits, two for each byte", 2 * least_secret,
                                   2 * most_secret),
                       std::string(make_secret));
    }
    return bytes;
}

std::string print_secret(std::string_view bytes) {
    std::string out;
    for (const char c : bytes)
        fmt::format_to(std::back_inserter(out), "{:02x}", static_cast<unsigned char>(c));
    return out;
}

// Max-Age counts seconds (RFC 6265 5.2.2).
Parsed<milliseconds> read_ttl(std::string_view text) {
    auto ttl = parse_duration(text, seconds(1), longest_ttl);
    if (ttl && ttl.value() % seconds(1) != milliseconds(0)) return problem("must be whole seconds");
    return ttl;
}

Parsed<SameSite> read_same_site(std::string_view text) {
    const auto place = parse_choice(text, std::span(same_site_names).subspan(1));
    if (!place) return Failed{place.error()};
    return static_cast<SameSite>(place.value() + 1);
}

// What browsers drop without a word, so that no client would ever stay.
std::optional<Problem> refused_by_browsers(const Sticky& sticky) {
    if (sticky.secure) return std::nullopt;
    if (sticky.same_site == SameSite::none) {
        return Problem{"samesite=none needs secure", "browsers refuse such a cookie otherwise"};
    }
    const std::string name = lowered(sticky.name);
    if (name.starts_with("__secure-") || name.starts_with("__host-")) {
        return Problem{fmt::format("a cookie called {} needs secure", sticky.name),
                       "browsers refuse it otherwise"};
    }
    return std::nullopt;
}

Parsed<Sticky> read_cookie(std::string name, std::span<const std::string> rest) {
    static constexpr OptionName known[] = {
        {"secret", true}, {"ttl", true}, {"secure", false}, {"httponly", false}, {"samesite", true}};
    const auto options = OptionList::parse(rest, known);
    if (!options) return Failed{options.error()};
    const OptionList& given = options.value();
    const auto hex = given.find("secret");
    if (!hex) return problem("cookie needs a secret=HEX", std::string(make_secret));
    auto secret = read_secret(*hex);
    if (!secret) return Failed{secret.error()};

    Sticky out;
    out.kind = StickyKind::cookie;
    out.name = std::move(name);
    out.secret = std::move(secret).value();
    auto bad = read_option(given, "ttl", out.ttl, read_ttl);
    if (!bad) bad = read_option(given, "samesite", out.same_site, read_same_site);
    out.secure = given.find("secure").has_value();
    out.httponly = given.find("httponly").has_value();
    if (!bad) bad = refused_by_browsers(out);
    if (bad) return Failed{*bad};
    return out;
}

}  // namespace

Parsed<RequestKey> take_request_key(std::span<const std::string>& words, std::span<const KeyKind> kinds) {
    std::vector<std::string_view> names;
    std::transform(kinds.begin(), kinds.end(), std::back_inserter(names),
                   [](KeyKind kind) { return key_names[static_cast<std::size_t>(kind)]; });
    if (words.empty()) return problem("needs a key", "one of " + join_choices(names));
    const auto place = parse_choice(words[0], names);
    if (!place) return problem(fmt::format("the key {}", place.error().what), place.error().hint);
    RequestKey key;
    key.kind = kinds[place.value()];
    words = words.subspan(1);
    if (!has_name(key.kind)) return key;
    const std::string_view word = names[place.value()];
    if (words.empty())
        return problem(fmt::format("{} needs a name", word), fmt::format("write {} NAME", word));
    auto name = read_name(key.kind, words[0]);
    if (!name) return Failed{name.error()};
    key.name = std::move(name).value();
    words = words.subspan(1);
    return key;
}

std::string print_request_key(const RequestKey& key) {
    const std::string_view word = key_names[static_cast<std::size_t>(key.kind)];
    return has_name(key.kind) ? fmt::format("{} {}", word, quote(key.name)) : std::string(word);
}

Parsed<Balance> parse_balance(std::string_view text) {
    static constexpr KeyKind kinds[] = {KeyKind::uri,    KeyKind::path,   KeyKind::client_addr,
                                        KeyKind::header, KeyKind::cookie, KeyKind::query};
    static constexpr OptionName for_hash[] = {{"bound", true}};
    const auto words = split_words(text);
    if (!words) return Failed{words.error()};
    std::span<const std::string> rest(words.value());
    const auto policy = parse_choice(rest[0], policy_names);
    if (!policy) return Failed{policy.error()};
    rest = rest.subspan(1);

    Balance out;
    out.policy = static_cast<Policy>(policy.value());
    if (out.policy != Policy::hash) {
        if (!rest.empty()) return problem(fmt::format("{} takes no options", words.value()[0]));
        return out;
    }
    auto key = take_request_key(rest, kinds);
    if (!key) return Failed{key.error()};
    out.key = std::move(key).value();
    const auto options = OptionList::parse(rest, for_hash);
    if (!options) return Failed{options.error()};
    const auto bad = read_option(options.value(), "bound", out.bound, [](std::string_view bound) {
        return bound == "off" ? Parsed<std::uint32_t>(0u) : parse_percent(bound, 101, 1000);
    });
    if (bad) return Failed{*bad};
    return out;
}

std::string print_balance(const Balance& balance) {
    std::string out(policy_names[static_cast<std::size_t>(balance.policy)]);
    if (balance.policy != Policy::hash) return out;
    out += ' ' + print_request_key(balance.key);
    if (balance.bound != 0) out += fmt::format(" bound={}%", balance.bound);
    return out;
}

Parsed<Sticky> parse_sticky(std::string_view text) {
    const auto words = split_words(text);
    if (!words) return Failed{words.error()};
    std::span<const std::string> rest(words.value());
    const auto kind = parse_choice(rest[0], sticky_names);
    if (!kind) return Failed{kind.error()};
    rest = rest.subspan(1);

    Sticky out;
    out.kind = static_cast<StickyKind>(kind.value());
    const std::string_view word = sticky_names[kind.value()];
    if (out.kind == StickyKind::cookie || out.kind == StickyKind::header) {
        const bool cookie = out.kind == StickyKind::cookie;
        if (rest.empty()) {
            return problem(fmt::format("{} needs a name", word),
                           cookie ? "write cookie NAME secret=HEX" : "write header NAME");
        }
        auto name = read_name(cookie ? KeyKind::cookie : KeyKind::header, rest[0]);
        if (!name) return Failed{name.error()};
        rest = rest.subspan(1);
        if (cookie) return read_cookie(std::move(name).value(), rest);
        out.name = std::move(name).value();
    }
    if (!rest.empty()) return problem(fmt::format("{} takes no options", word));
    return out;
}

std::string print_sticky(const Sticky& sticky) {
    std::string out(sticky_names[static_cast<std::size_t>(sticky.kind)]);
    if (!sticky.name.empty()) out += ' ' + quote(sticky.name);
    if (sticky.kind != StickyKind::cookie) return out;
    out += " secret=" + print_secret(sticky.secret);
    if (sticky.ttl != milliseconds(0)) out += " ttl=" + print_duration(sticky.ttl);
    if (sticky.secure) out += " secure";
    if (sticky.httponly) out += " httponly";
    if (sticky.same_site != SameSite::unset) {
        out += fmt::format(" samesite={}", same_site_names[static_cast<std::size_t>(sticky.same_site)]);
    }
    return out;
}

}  // namespace lb::config
