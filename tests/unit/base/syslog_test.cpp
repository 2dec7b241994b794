// What goes to syslog. The C library's functions are replaced in this executable, so that the test needs no syslog
// daemon and bothers none. syslog.h is left out: hardened builds define syslog() there as an inline function.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <string>
#include <vector>

#include "shared/base/log.h"

namespace {

std::vector<std::string>& calls() {
    static std::vector<std::string> all;
    return all;
}

void record(int priority, const char* format, va_list arguments) {
    char text[8192];
    std::vsnprintf(text, sizeof text, format, arguments);
    calls().push_back(std::to_string(priority) + ' ' + text);
}

}  // namespace

extern "C" {

void openlog(const char* ident, int, int) { calls().push_back(std::string("open ") + ident); }
void closelog() { calls().emplace_back("close"); }
void syslog(int priority, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    record(priority, format, arguments);
    va_end(arguments);
}
void __syslog_chk(int priority, int, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    record(priority, format, arguments);
    va_end(arguments);
}
}

namespace lb::log {
namespace {

TEST(Syslog, GetsOneEscapedMessageAndIsClosedAfterIt) {
    set_role("worker 2");
    ASSERT_EQ(open({Kind::syslog, "", Level::info}), "");
    EXPECT_EQ(descriptor(), -1);
    calls().clear();
    error("a\nb %s {}", 7);
    debug("below the level");
    EXPECT_THAT(calls(), testing::ElementsAre("open lb",
                                              fmt::format("3 [worker 2 {}] a\\x0ab %s 7", getpid()), "close"))
        << "an open syslog holds a descriptor that a child would take for its own";
    ASSERT_EQ(open({}), "");
    set_role("lb");
}

TEST(Syslog, LevelsAreItsPriorities) {
    ASSERT_EQ(open({Kind::syslog, "", Level::debug}), "");
    calls().clear();
    debug("x");
    info("x");
    notice("x");
    warn("x");
    error("x");
    std::string priorities;
    for (const std::string& call : calls()) {
        if (call != "open lb" && call != "close") priorities += call.front();
    }
    EXPECT_EQ(priorities, "76543");
    EXPECT_EQ(reopen(), 0) << "nothing to reopen";
    ASSERT_EQ(open({}), "");
}

}  // namespace
}  // namespace lb::log
