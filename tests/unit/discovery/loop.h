// tests/unit/discovery/loop.h -- a real loop, turned until something is so; and a directory that goes away.
#pragma once
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>

#include "shared/base/clock.h"
#include "shared/net/event_ptr.h"

namespace lb::discovery::test {

struct Loop {
    EventBasePtr base = make_event_base();

    bool until(const std::function<bool()>& so, Micros patience = 10'000'000) {
        const Micros end = monotonic_now() + patience;
        EventPtr alarm(evtimer_new(
            base.get(), [](evutil_socket_t, short, void*) {}, nullptr));
        while (!so()) {
            if (monotonic_now() >= end) return false;
            const timeval t{0, 20'000};
            evtimer_add(alarm.get(), &t);
            event_base_loop(base.get(), EVLOOP_ONCE);
        }
        return true;
    }
};

struct Directory {
    std::string path;
    Directory() {
        char name[] = "/tmp/lb-discovery-XXXXXX";
        path = mkdtemp(name);
    }
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;
    ~Directory() { std::filesystem::remove_all(path); }
    [[nodiscard]] std::string operator/(const std::string& name) const { return path + "/" + name; }
};

inline void write_file(const std::string& path, const std::string& text) {
    FILE* file = std::fopen(path.c_str(), "w");
    ASSERT_NE(file, nullptr) << path;
    ASSERT_EQ(std::fwrite(text.data(), 1, text.size(), file), text.size());
    ASSERT_EQ(std::fclose(file), 0);
}
// Written aside and put in its place, as careful writers do.
inline void replace_file(const std::string& path, const std::string& text) {
    write_file(path + ".new", text);
    ASSERT_EQ(std::rename((path + ".new").c_str(), path.c_str()), 0);
}

}  // namespace lb::discovery::test
