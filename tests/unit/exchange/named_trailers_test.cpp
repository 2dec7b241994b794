// Trailers that Connection names.
#include "worker/exchange/named_trailers.h"

#include <gtest/gtest.h>

#include <string>

#include "support.h"

namespace lb {
namespace {

std::string noted(const std::string& lines) {
    const Request request(lines);
    std::string out;
    note_named(out, request.head.fields);
    return out;
}

std::string kept(std::string named, const std::string& lines) {
    return std::string(without_named(named, lines));
}

TEST(NamedTrailers, OptionsThatNoTrailerCanHaveAreNotNoted) {
    EXPECT_EQ(noted("Connection: close, keep-alive, Upgrade, TE, Host, , X-Forwarded-For\r\n"), "");
    EXPECT_EQ(noted("X-A: X-B\r\n"), "");
    EXPECT_EQ(noted("Connection: close, X-A\r\nConnection: ,\tx-B ,TE\r\n"), ",X-A,x-B");
}

TEST(NamedTrailers, NamedLinesEndHere) {
    const std::string lines = "X-A: 1\r\nX-Sum: 2\r\nx-a: 3\r\nX-AB: 4\r\nX-B: 5\r\n";
    EXPECT_EQ(kept(",x-A,X-b", lines), "X-Sum: 2\r\nX-AB: 4\r\n");
    EXPECT_EQ(kept(",X", lines), lines);
    EXPECT_EQ(kept(",X-A,X-Sum,X-AB,X-B", lines), "");
    std::string none;
    EXPECT_EQ(without_named(none, lines).data(), lines.data()) << "nothing is copied";
}

}  // namespace
}  // namespace lb
