// The bounded buffer, and fields that leave as they came.
#include <gtest/gtest.h>

#include <string>

#include "shared/http/http1_parser.h"
#include "shared/http/http1_writer.h"

namespace lb::http {
namespace {

TEST(SinkTest, HoldsExactlyItsRoom) {
    char room[6] = "~~~~~";
    Sink sink(room, 5);
    sink.put("abc");
    sink.put(std::uint64_t{42});
    EXPECT_FALSE(sink.overflow());
    EXPECT_EQ(sink.view(), "abc42");
    sink.put("");
    EXPECT_FALSE(sink.overflow());
    sink.put("x");
    EXPECT_TRUE(sink.overflow());
    EXPECT_EQ(room[5], '\0') << "nothing is written past the room";
}

TEST(SinkTest, DropsAllThatFollowsAnOverflow) {
    char room[5];
    Sink sink(room, sizeof room);
    sink.put("abc");
    sink.put("too long");
    sink.put("d");
    EXPECT_TRUE(sink.overflow());
    EXPECT_EQ(sink.view(), "abc");
}

TEST(SinkTest, WritesTheLargestNumber) {
    char room[20];
    Sink sink(room, sizeof room);
    sink.put(std::uint64_t{18446744073709551615U});
    EXPECT_EQ(sink.view(), "18446744073709551615");
    EXPECT_FALSE(sink.overflow());
}

class FieldsTest : public testing::Test {
 protected:
    void SetUp() override {
        bytes_ =
            "GET / HTTP/1.1\r\nHost: a\r\nX-A:  1 \r\nConnection: x-b\r\nX-B: 2\r\nX-C: 3\r\nX-D:\r\n\r\n";
        ASSERT_EQ(parse_request(bytes_, 0, {}, head_).state, HeadResult::State::complete);
    }
    template <class Keep>
    std::string written(Keep keep) {
        char room[512];
        Sink sink(room, sizeof room);
        put_fields(sink, head_.fields, keep);
        EXPECT_FALSE(sink.overflow());
        return std::string(sink.view());
    }
    std::string bytes_;
    RequestHead head_;
};

TEST_F(FieldsTest, AllKeptAreTheReceivedBytes) {
    EXPECT_EQ(written([](const Field&) { return true; }), bytes_.substr(16, bytes_.size() - 18));
}

TEST_F(FieldsTest, LeavesOutWhatIsNotKept) {
    const auto keep = [](const Field& f) { return f.id != FieldId::connection && !f.ends_here; };
    EXPECT_EQ(written(keep), "Host: a\r\nX-A:  1 \r\nX-C: 3\r\nX-D:\r\n");
    EXPECT_EQ(written([](const Field&) { return false; }), "");
    EXPECT_EQ(written([](const Field& f) { return f.name == "X-D"; }), "X-D:\r\n");
    EXPECT_EQ(written([](const Field& f) { return f.id == FieldId::host || f.name == "X-D"; }),
              "Host: a\r\nX-D:\r\n");
}

TEST_F(FieldsTest, AFieldThatWasNoLineIsWrittenAsOne) {
    head_.fields.insert(head_.fields.begin() + 2, Field{"x-h2", "v", {}, FieldId::other, false});
    EXPECT_EQ(written([](const Field& f) { return f.id != FieldId::connection; }),
              "Host: a\r\nX-A:  1 \r\nx-h2: v\r\nX-B: 2\r\nX-C: 3\r\nX-D:\r\n");
}

TEST_F(FieldsTest, SmallRoomOverflowsInsteadOfSpilling) {
    char room[10];
    Sink sink(room, sizeof room);
    put_fields(sink, head_.fields, [](const Field& f) { return f.id != FieldId::connection; });
    EXPECT_TRUE(sink.overflow());
    EXPECT_LE(sink.size(), sizeof room);
}

TEST(StatusLine, HasAReasonForEveryStatus) {
    EXPECT_EQ(reason_phrase(404), "Not Found");
    EXPECT_EQ(reason_phrase(503), "Service Unavailable");
    EXPECT_EQ(reason_phrase(299), "OK");
    EXPECT_EQ(reason_phrase(499), "Bad Request");
    EXPECT_EQ(reason_phrase(599), "Internal Server Error");
    EXPECT_EQ(reason_phrase(700), "Unknown");
    char room[64];
    Sink sink(room, sizeof room);
    put_status_line(sink, 404, reason_phrase(404));
    EXPECT_EQ(sink.view(), "HTTP/1.1 404 Not Found\r\n");
    for (std::uint16_t status = 100; status < 600; status++) EXPECT_FALSE(reason_phrase(status).empty());
}

}  // namespace
}  // namespace lb::http
