// master/discovery/hosts.cpp -- see hosts.h, hosts(5).
#include "master/discovery/hosts.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "master/discovery/answer.h"
#include "master/discovery/small_file.h"
#include "shared/base/text.h"

namespace lb::discovery {
namespace {

// The words that blanks of any kind part; a carriage return is one.
std::vector<std::string_view> words_of(std::string_view line) {
    while (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    return text::words(line);
}

}  // namespace

std::vector<Address> Hosts::find(const std::string& name) {
    read_again();
    if (const auto found = names_.find(name); found != names_.end()) return found->second;
    std::vector<Address> out;
    if (name == "localhost" || name.ends_with(".localhost")) {
        for (const char* each : {"127.0.0.1", "::1"}) {
            if (auto address = parse_host(each, 0)) out.push_back(address.value());
        }
    }
    return out;
}

void Hosts::read_again() {
    struct stat now {};
    if (stat(path_.c_str(), &now) != 0) {
        names_.clear();
        seen_ = {};
        return;
    }
    if (same_file(now, seen_)) return;
    names_.clear();
    seen_ = now;
    if (const auto text = read_small_file(path_, most_bytes)) parse(text.value().text);
}

void Hosts::parse(std::string_view text) {
    while (!text.empty()) {
        const auto end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        line = line.substr(0, line.find('#'));
        const auto words = words_of(line);
        if (words.size() < 2) continue;
        const auto address = parse_host(words[0], 0);
        if (!address || !usable_address(address.value())) continue;
        for (const std::string_view word : std::span(words).subspan(1)) {
            std::string name(word);
            std::transform(name.begin(), name.end(), name.begin(), text::lower);
            if (name.ends_with('.')) name.pop_back();
            names_[name].push_back(address.value());
        }
    }
    for (auto& [name, addresses] : names_) sort_addresses(addresses);
}

}  // namespace lb::discovery
