// master/operator/state_text.cpp -- see state_text.h. Written by hand, because 65 536 entries must not take longer than a
// turn of the master's loop may; read by nlohmann-json, once, at the start.
#include "master/operator/state_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>

#include "shared/base/text.h"
#include "shared/config/backend_text.h"

namespace lb::operators {
namespace {

using nlohmann::json;

constexpr std::uint64_t form = 1;
constexpr std::size_t deepest = 6;
constexpr std::size_t most_mistakes = 20;

std::string_view word_of(shm::Operator state) noexcept {
    return shm::operator_words[static_cast<std::size_t>(state)];
}

// Arrays and objects inside each other, whatever the text is.
std::size_t depth_of(std::string_view text) noexcept {
    std::size_t depth = 0;
    std::size_t most = 0;
    bool quoted = false;
    for (std::size_t i = 0; i < text.size(); i++) {
        const char c = text[i];
        if (quoted) {
            if (c == '\\') i++;
            if (c == '"') quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            most = std::max(most, ++depth);
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return most;
}

// Writes a comma before all but the first.
class Commas {
 public:
    explicit Commas(std::string& out) : out_(&out) {}
    void next(std::string_view indent) {
        *out_ += first_ ? "\n" : ",\n";
        *out_ += indent;
        first_ = false;
    }
    [[nodiscard]] bool any() const noexcept { return !first_; }

 private:
    std::string* out_;
    bool first_ = true;
};

void print_settings(std::string& out, const Store::Pool& pool) {
    out += "\"backends\": {";
    Commas commas(out);
    for (const auto& [name, setting] : pool.settings) {
        commas.next("    ");
        text::append_json(out, name);
        out += ": {";
        if (setting.state != shm::Operator::ready) {
            fmt::format_to(std::back_inserter(out), R"("state": "{}")", word_of(setting.state));
        }
        if (setting.weight != 0) {
            fmt::format_to(std::back_inserter(out), R"({}"weight": {})",
                           setting.state != shm::Operator::ready ? ", " : "", setting.weight);
        }
        out += "}";
    }
    out += "}";
}

void print_members(std::string& out, const Store::Pool& pool, shm::MemberOf from, const Moment& moment) {
    const bool registered = from == shm::MemberOf::registry;
    out += registered ? "\"registered\": [" : "\"added\": [";
    Commas commas(out);
    for (const auto& each : pool.members) {
        const Member& member = each.second;
        if (member.from != from) continue;
        commas.next("    ");
        if (registered) out += "{\"backend\": ";
        text::append_json(out, config::print_backend(member.backend));
        if (!registered) continue;
        fmt::format_to(std::back_inserter(out), ", \"expires\": {}}}",
                       moment.unix_millis + (member.deadline - moment.now) / 1000);
    }
    out += "]";
}

class Reader {
 public:
    Reader(Store& store, const Moment& moment) : store_(&store), moment_(&moment) {}
    std::vector<std::string> mistakes;

    void read(const json& root) {
        if (!root.is_object()) return wrong("it is no object");
        if (!only(root, {"lb_state", "pools"}, "the file")) return;
        const json* version = find(root, "lb_state");
        const auto* number =
            version == nullptr ? nullptr : version->get_ptr<const json::number_unsigned_t*>();
        if (number == nullptr || *number != form) return wrong("lb_state is not 1");
        const json* pools = find(root, "pools");
        if (pools == nullptr) return;
        if (!pools->is_object()) return wrong("pools is no object");
        for (const auto& each : pools->items()) pool(each.key(), each.value());
    }

 private:
    void wrong(std::string what) {
        if (mistakes.size() < most_mistakes) mistakes.push_back(std::move(what));
    }
    static const json* find(const json& object, const char* key) {
        const auto found = object.find(key);
        return found == object.end() ? nullptr : &*found;
    }
    bool only(const json& object, std::initializer_list<std::string_view> known, const std::string& where) {
        for (const auto& each : object.items()) {
            if (std::find(known.begin(), known.end(), each.key()) != known.end()) continue;
            wrong(fmt::format("{}: unknown field '{}'", where, each.key().substr(0, 64)));
            return false;
        }
        return true;
    }
    void take(const Store::Done& done, const std::string& where) {
        if (!done) wrong(fmt::format("{}: {}", where, done.error()));
    }

    void pool(const std::string& name, const json& value) {
        if (config::check_name(name)) return wrong("a pool has a bad name");
        const std::string where = "pool " + name;
        if (!value.is_object()) return wrong(where + " is no object");
        if (!only(value, {"backends", "added", "registered"}, where)) return;
        if (const json* list = find(value, "backends")) {
            if (!list->is_object()) {
                wrong(where + ": backends is no object");
            } else {
                for (const auto& each : list->items()) setting(name, each.key(), each.value());
            }
        }
        for (const char* key : {"added", "registered"}) {
            const json* list = find(value, key);
            if (list == nullptr) continue;
            if (!list->is_array()) {
                wrong(fmt::format("{}: {} is no array", where, key));
                continue;
            }
            const bool registered = std::string_view(key) == "registered";
            for (const json& each : *list) registered ? enroll(name, each) : add(name, each);
        }
    }

    void setting(const std::string& pool, const std::string& backend, const json& value) {
        if (config::check_name(backend)) return wrong(fmt::format("pool {}: a backend has a bad name", pool));
        const std::string where = fmt::format("pool {}: backend {}", pool, backend);
        if (!value.is_object()) return wrong(where + " is no object");
        if (!only(value, {"state", "weight"}, where)) return;
        Setting read;
        if (const json* state = find(value, "state")) {
            const auto* word = state->get_ptr<const json::string_t*>();
            const auto known =
                word == nullptr ? std::end(shm::operator_words)
                                : std::find_if(std::begin(shm::operator_words), std::end(shm::operator_words),
                                               [&](const char* each) { return *word == each; });
            if (known == std::end(shm::operator_words))
                return wrong(where + ": state is ready, drain or maint");
            read.state = static_cast<shm::Operator>(known - std::begin(shm::operator_words));
        }
        if (const json* weight = find(value, "weight")) {
            const auto* number = weight->get_ptr<const json::number_unsigned_t*>();
            if (number == nullptr || *number == 0 || *number > most_weight) {
                return wrong(fmt::format("{}: weight is 1 to {}", where, most_weight));
            }
            read.weight = static_cast<std::uint32_t>(*number);
        }
        take(store_->set(pool, backend, read), where);
    }

    std::optional<config::Backend> backend(const std::string& pool, const json* value) {
        const auto* text = value == nullptr ? nullptr : value->get_ptr<const json::string_t*>();
        if (text == nullptr) {
            wrong(fmt::format("pool {}: a backend is no text", pool));
            return std::nullopt;
        }
        auto read = read_backend(*text);
        if (read) return std::move(read).value();
        wrong(fmt::format("pool {}: backend = {}: {}", pool, text->substr(0, 128), read.error()));
        return std::nullopt;
    }

    void add(const std::string& pool, const json& value) {
        auto read = backend(pool, &value);
        if (!read) return;
        const std::string where = fmt::format("pool {}: backend {}", pool, read->name);
        take(store_->add(pool, std::move(*read)), where);
    }

    void enroll(const std::string& pool, const json& value) {
        if (!value.is_object()) return wrong(fmt::format("pool {}: a registration is no object", pool));
        if (!only(value, {"backend", "expires"}, fmt::format("pool {}: a registration", pool))) return;
        auto read = backend(pool, find(value, "backend"));
        if (!read) return;
        const std::string where = fmt::format("pool {}: backend {}", pool, read->name);
        const json* expires = find(value, "expires");
        const auto* at = expires == nullptr ? nullptr : expires->get_ptr<const json::number_integer_t*>();
        if (at == nullptr || *at < 0) return wrong(where + ": expires is a unix time in milliseconds");
        if (*at <= moment_->unix_millis) return;
        if (store_->member(pool, read->name) != nullptr) return wrong(where + " is there twice");
        // enroll() takes a time to live of a day at most: a clock that was set back makes nothing last for ever.
        const auto enrolled = store_->enroll(pool, std::move(*read), *at - moment_->unix_millis, *moment_);
        if (!enrolled) wrong(fmt::format("{}: {}", where, enrolled.error()));
    }

    Store* store_;
    const Moment* moment_;
};

}  // namespace

std::string print_state(const Store& store, const Moment& moment) {
    std::string out = fmt::format("{{\"lb_state\": {}, \"pools\": {{", form);
    Commas commas(out);
    for (const auto& [name, pool] : store.pools()) {
        commas.next("");
        text::append_json(out, name);
        out += ": {";
        Commas parts(out);
        const auto has = [&members = pool.members](shm::MemberOf from) {
            return std::any_of(members.begin(), members.end(),
                               [from](const auto& each) { return each.second.from == from; });
        };
        if (!pool.settings.empty()) {
            parts.next("  ");
            print_settings(out, pool);
        }
        for (const auto from : {shm::MemberOf::operators, shm::MemberOf::registry}) {
            if (!has(from)) continue;
            parts.next("  ");
            print_members(out, pool, from, moment);
        }
        out += "}";
    }
    out += "}}\n";
    return out;
}

std::vector<std::string> read_state(std::string_view text, Store& store, const Moment& moment) {
    if (text.size() > most_state_bytes)
        return {fmt::format("it is larger than {} MiB", most_state_bytes >> 20)};
    if (depth_of(text) > deepest) return {"it is nested too deep"};
    const json root = json::parse(text, nullptr, false);
    if (root.is_discarded()) return {"it is no JSON"};
    Reader reader(store, moment);
    reader.read(root);
    return std::move(reader.mistakes);
}

}  // namespace lb::operators
