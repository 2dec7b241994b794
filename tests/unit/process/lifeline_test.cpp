// tests/unit/process/lifeline_test.cpp -- a pipe that nobody reads.
#include "shared/process/lifeline.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>

namespace lb {
namespace {

struct Line : testing::Test {
    Lifeline::Ends ends = Lifeline::make().value();
    [[nodiscard]] Told told() const { return Lifeline::told(ends.read.get()); }
    void tell(Told what) const { Lifeline::tell(ends.write.get(), what); }
};

TEST_F(Line, SaysTheSameToEveryReaderAsOftenAsAsked) {
    EXPECT_EQ(told(), Told::nothing);
    EXPECT_FALSE(Lifeline::spoken(ends.read.get()));
    tell(Told::drain);
    const Fd another(dup(ends.read.get()));
    EXPECT_EQ(told(), Told::drain);
    EXPECT_EQ(Lifeline::told(another.get()), Told::drain);
    EXPECT_EQ(told(), Told::drain);
}

TEST_F(Line, OnlyEverGetsMoreUrgent) {
    tell(Told::drain);
    tell(Told::drain);
    EXPECT_EQ(told(), Told::drain);
    tell(Told::quit);
    EXPECT_EQ(told(), Told::quit);
    tell(Told::drain);
    EXPECT_EQ(told(), Told::quit);
}

TEST_F(Line, EndsWithItsLastWriterWhateverWasSaid) {
    tell(Told::quit);
    const Fd another(dup(ends.write.get()));
    ends.write.reset();
    EXPECT_EQ(told(), Told::quit);
    Fd last(dup(another.get()));
    const_cast<Fd&>(another).reset();
    last.reset();
    EXPECT_EQ(told(), Told::end);
    EXPECT_TRUE(Lifeline::spoken(ends.read.get()));
}

TEST_F(Line, ShowsWhetherAnybodyHears) {
    EXPECT_TRUE(Lifeline::heard(ends.write.get()));
    const auto before = std::signal(SIGPIPE, SIG_IGN);
    ends.read.reset();
    EXPECT_FALSE(Lifeline::heard(ends.write.get()));
    tell(Told::quit);  // to nobody
    std::signal(SIGPIPE, before);
}

TEST_F(Line, IsAPipeAndNothingElse) {
    int pair[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    const Fd one(pair[0]), other(pair[1]);
    EXPECT_FALSE(Lifeline::heard(one.get()));
    EXPECT_FALSE(Lifeline::heard(-1));
}

}  // namespace
}  // namespace lb
