// master/cli/given.cpp -- see given.h.
#include "master/cli/given.h"

#include <fmt/format.h>

#include <algorithm>

#include "master/config/values.h"

namespace lb::cli {
namespace {

constexpr Flag table[] = {
    {'c', "config", "FILE", "read FILE instead of /etc/lb/lb.ini"},
    {'t', "test", "", "check the settings"},
    {'T', "dump", "", "check the settings, print what they come to"},
    {'g', "set", "KEY=VALUE", "set a key of [global]; may be repeated"},
    {'p', "prefix", "DIR", "relative paths are below DIR"},
    {'s', "signal", "NAME", "one of stop quit reload reopen status handover"},
    {'q', "quiet", "", "with -t, -s and backend: print errors only"},
    {'H', "header", "LINE", "a field of the request, NAME: VALUE; may be repeated", "explain"},
    {0, "from", "ADDR", "the client's address (127.0.0.1)", "explain"},
    {0, "listener", "NAME", "where the request comes in", "explain"},
    {0, "json", "", "for programs: the same as /status of the admin port", "status"},
    {0, "wait", "[TIME]", "until nothing is open there, or for TIME, as in 30s", "backend"},
    {0, "backends", "URL,URL", "run without a file, in front of these backends"},
    {0, "port", "PORT", "with --backends: listen on this port (3030)"},
    {'v', "version", "", "print the version"},
    {'V', "build-info", "", "print version, compiler and libraries"},
    {'h', "help", "", "print this"},
    {0, "manual", "", "print the KEYS part of lb.ini(5)"},
};
static_assert(std::size(table) == flag_count);

// The most words that a command takes: of backend, "add POOL" and the parts of a backend's line.
constexpr std::size_t most_words[] = {2, 0, 16};

std::optional<std::size_t> find_name(std::string_view name) {
    for (std::size_t i = 0; i < flag_count; i++) {
        if (table[i].name == name) return i;
    }
    return std::nullopt;
}
std::optional<std::size_t> find_letter(char letter) {
    for (std::size_t i = 0; i < flag_count; i++) {
        if (table[i].letter == letter) return i;
    }
    return std::nullopt;
}

// Walks the arguments once; flags into Given.
class Scanner {
 public:
    Scanner(std::span<char*> arguments, Given& given) : left_(arguments), given_(given) {}

    Message run() {
        while (!left_.empty()) {
            const std::string_view word = next();
            if (word.size() < 2 || word[0] != '-') {
                if (Message bad = plain_word(word)) return bad;
                continue;
            }
            const std::string_view body = word.substr(word.starts_with("--") ? 2 : 1);
            const std::size_t equals = std::min(body.find('='), body.size());
            const auto id = find_name(body.substr(0, equals));
            Message bad;
            if (id) {
                bad = long_flag(*id, body, equals);
            } else if (word.starts_with("--") || !find_letter(body[0])) {
                bad = unknown(word.substr(0, word.size() - body.size() + equals), "flag");
            } else {
                bad = letters(body);
            }
            if (bad) return bad;
        }
        return std::nullopt;
    }

 private:
    std::string_view next() {
        const std::string_view word = left_.front();
        left_ = left_.subspan(1);
        return word;
    }

    Message plain_word(std::string_view word) {
        if (given_.has_command()) {
            if (given_.words.size() == most_words[given_.command]) return unknown(word, "argument");
            given_.words.emplace_back(word);
            return std::nullopt;
        }
        const auto* const named = std::ranges::find(command_names, word);
        if (named == std::end(command_names)) return unknown(word, "argument");
        given_.command = static_cast<std::size_t>(named - command_names);
        return std::nullopt;
    }

    static Message unknown(std::string_view word, std::string_view what) {
        std::vector<std::string_view> names{"demo"};
        names.insert(names.end(), std::begin(command_names), std::end(command_names));
        for (const Flag& flag : table) names.push_back(flag.name);
        const std::string_view bare = word.substr(std::min(word.find_first_not_of('-'), word.size()));
        const std::string hint = config::near_miss(bare, names);
        return fmt::format("unknown {} '{}'{}{}", what, word, hint.empty() ? "" : "; ", hint);
    }

    Message take(std::size_t id, std::string_view value) {
        std::vector<std::string>& values = given_.values[id];
        if (!values.empty() && id != set_flag && id != header_flag)
            return fmt::format("{} is given twice", spelling(id));
        values.emplace_back(value);
        return std::nullopt;
    }

    // The value of a flag that has none attached is the next argument.
    Message take_next(std::size_t id) {
        if (left_.empty() || *left_.front() == '\0') {
            return fmt::format("{} needs a value: {}", spelling(id), table[id].value);
        }
        return take(id, next());
    }

    Message long_flag(std::size_t id, std::string_view body, std::size_t equals) {
        const bool attached = equals != body.size();
        if (table[id].value.empty()) {
            return attached ? fmt::format("{} takes no value", spelling(id)) : take(id, {});
        }
        if (!attached) return table[id].value.starts_with('[') ? take(id, {}) : take_next(id);
        if (equals + 1 == body.size())
            return fmt::format("{} needs a value: {}", spelling(id), table[id].value);
        return take(id, body.substr(equals + 1));
    }

    // "-tq", "-c FILE", "-cFILE", "-tcFILE".
    Message letters(std::string_view body) {
        for (std::size_t i = 0; i < body.size(); i++) {
            const auto id = find_letter(body[i]);
            if (!id) return unknown(fmt::format("-{}", body[i]), "flag");
            if (!table[*id].value.empty()) {
                return i + 1 == body.size() ? take_next(*id) : take(*id, body.substr(i + 1));
            }
            if (Message bad = take(*id, {})) return bad;
        }
        return std::nullopt;
    }

    std::span<char*> left_;
    Given& given_;
};

}  // namespace

std::span<const Flag> flags() noexcept { return table; }

std::string spelling(std::size_t id) {
    const Flag& flag = table[id];
    return flag.letter != 0 ? fmt::format("-{}", flag.letter) : fmt::format("--{}", flag.name);
}

Message scan(std::span<char*> arguments, Given& given) { return Scanner(arguments, given).run(); }

}  // namespace lb::cli
