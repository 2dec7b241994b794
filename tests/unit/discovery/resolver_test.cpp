// Real questions to a name server on the loopback that this test plays; both share the loop.
#include "master/discovery/resolver.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <map>

#include "loop.h"
#include "master/discovery/discovery.h"
#include "packets.h"
#include "shared/net/fd.h"
#include "shared/net/socket.h"

namespace lb::discovery {
namespace {

using test::Bytes;
using test::Packet;
using test::text_of;

// Answers on UDP and TCP as the test says: by name and type.
class NameServer {
 public:
    explicit NameServer(event_base* base) : base_(base) {
        tcp_ = Fd(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        address = parse_address("127.0.0.1:0", true).value();
        EXPECT_EQ(bind(tcp_.get(), &address.any.base, address.length), 0);
        address = local_address(tcp_.get());
        EXPECT_EQ(listen(tcp_.get(), 16), 0);
        udp_ = Fd(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        EXPECT_EQ(bind(udp_.get(), &address.any.base, address.length), 0);
        udp_event_.reset(event_new(base, udp_.get(), EV_READ | EV_PERSIST, on_udp, this));
        tcp_event_.reset(event_new(base, tcp_.get(), EV_READ | EV_PERSIST, on_tcp, this));
        event_add(udp_event_.get(), nullptr);
        event_add(tcp_event_.get(), nullptr);
    }
    // The answer to NAME/TYPE; without one the question is ignored. The identity is put in.
    std::map<std::string, Packet> answers;
    bool truncate_udp = false;
    int udp_questions = 0, tcp_questions = 0;
    Address address;

    void say(const std::string& name, int type, Packet packet) {
        answers.insert_or_assign(name + "/" + std::to_string(type), std::move(packet));
    }

 private:
    // What is asked, from the question section.
    static std::string key_of(const Bytes& question) {
        std::string name;
        std::size_t at = 12;
        while (at < question.size() && question[at] != 0) {
            if (!name.empty()) name += '.';
            name.append(question.begin() + static_cast<std::ptrdiff_t>(at) + 1,
                        question.begin() + static_cast<std::ptrdiff_t>(at) + 1 + question[at]);
            at += question[at] + 1U;
        }
        return name + "/" + std::to_string(question.at(at + 1) * 256 + question.at(at + 2));
    }
    Bytes answer_to(const Bytes& question) const {
        const auto found = answers.find(key_of(question));
        if (found == answers.end()) return {};
        Bytes out = found->second.bytes;
        out[0] = question[0];
        out[1] = question[1];
        return out;
    }
    static void on_udp(evutil_socket_t fd, short, void* self) {
        auto& server = *static_cast<NameServer*>(self);
        Bytes question(4096);
        Address from;
        from.length = sizeof from.any;
        socklen_t length = from.length;
        const ssize_t n = recvfrom(fd, question.data(), question.size(), 0, &from.any.base, &length);
        if (n <= 0) return;
        question.resize(static_cast<std::size_t>(n));
        server.udp_questions++;
        Bytes answer = server.answer_to(question);
        if (answer.empty()) return;
        if (server.truncate_udp) answer[2] |= 0x02;
        EXPECT_EQ(sendto(fd, answer.data(), answer.size(), 0, &from.any.base, length),
                  static_cast<ssize_t>(answer.size()));
    }
    static void on_tcp(evutil_socket_t fd, short, void* self) {
        auto& server = *static_cast<NameServer*>(self);
        auto conn = std::make_unique<Conn>();
        conn->server = &server;
        conn->fd = Fd(accept4(fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        conn->event.reset(event_new(server.base_, conn->fd.get(), EV_READ | EV_PERSIST, on_conn, conn.get()));
        event_add(conn->event.get(), nullptr);
        server.conns_.push_back(std::move(conn));
    }
    struct Conn {
        NameServer* server;
        Fd fd;
        EventPtr event;
        Bytes got;
    };
    static void on_conn(evutil_socket_t fd, short, void* arg) {
        auto& conn = *static_cast<Conn*>(arg);
        unsigned char piece[4096];
        const ssize_t n = recv(fd, piece, sizeof piece, 0);
        if (n <= 0) {
            conn.event.reset();
            return;
        }
        conn.got.insert(conn.got.end(), piece, piece + n);
        while (conn.got.size() >= 2 && conn.got.size() >= 2U + conn.got[0] * 256U + conn.got[1]) {
            const auto end = conn.got.begin() + 2 + conn.got[0] * 256 + conn.got[1];
            conn.server->tcp_questions++;
            Bytes answer = conn.server->answer_to(Bytes(conn.got.begin() + 2, end));
            conn.got.erase(conn.got.begin(), end);
            Bytes framed;
            test::put16(framed, static_cast<std::uint32_t>(answer.size()));
            framed.insert(framed.end(), answer.begin(), answer.end());
            EXPECT_EQ(send(fd, framed.data(), framed.size(), MSG_NOSIGNAL),
                      static_cast<ssize_t>(framed.size()));
        }
    }

    event_base* base_;
    Fd tcp_, udp_;
    EventPtr udp_event_, tcp_event_;
    std::vector<std::unique_ptr<Conn>> conns_;
};

struct ResolverTest : testing::Test {
    test::Loop loop;
    NameServer server{loop.base.get()};
    test::Directory directory;
    std::map<metrics::QueryLabel, int> counted;
    Resolver resolver{loop.base.get(),
                      [this](metrics::QueryLabel label) { counted[label]++; },
                      directory / "hosts",
                      {100, 3}};

    ResolverTest() { resolver.use({server.address}); }
    Reply ask(const Question& question, Micros patience = 10'000'000) {
        Reply out;
        bool done = false;
        resolver.ask(question, [&](const Question& asked, Reply reply) {
            EXPECT_EQ(asked, question);
            out = std::move(reply);
            done = true;
        });
        EXPECT_FALSE(done) << "never from within the call";
        EXPECT_TRUE(loop.until([&] { return done; }, patience));
        return out;
    }
    Reply ask(const std::string& name) { return ask({Question::Kind::addresses, name}); }
};

TEST_F(ResolverTest, AsksForBothFamilies) {
    server.say("app.example", ns_t_a, Packet("app.example").a("app.example", 30, "10.0.0.1"));
    server.say("app.example", ns_t_aaaa,
               Packet("app.example", ns_t_aaaa).aaaa("app.example", 20, "2001:db8::1"));
    const Reply reply = ask("app.example");
    EXPECT_EQ(reply.v4.outcome, Outcome::ok);
    EXPECT_EQ(text_of(reply.v4.answer.addresses), "10.0.0.1");
    EXPECT_EQ(text_of(reply.v6.answer.addresses), "2001:db8::1");
    EXPECT_EQ(reply.v6.answer.ttl, 20u);
    EXPECT_EQ(counted[metrics::query_ok], 2);
    EXPECT_EQ(resolver.under_way(), 0u);
}

TEST_F(ResolverTest, TellsNoSuchNameFromNothingAndFromFailure) {
    server.say("gone.example", ns_t_a, Packet("gone.example", ns_t_a, ns_r_nxdomain));
    server.say("gone.example", ns_t_aaaa, Packet("gone.example", ns_t_aaaa, ns_r_nxdomain));
    server.say("bare.example", ns_t_a, Packet("bare.example"));
    server.say("bare.example", ns_t_aaaa, Packet("bare.example", ns_t_aaaa, ns_r_servfail));
    const Reply gone = ask("gone.example");
    EXPECT_EQ(gone.v4.outcome, Outcome::no_such_name);
    EXPECT_EQ(gone.v6.outcome, Outcome::no_such_name);
    const Reply bare = ask("bare.example");
    EXPECT_EQ(bare.v4.outcome, Outcome::nothing);
    EXPECT_EQ(bare.v6.outcome, Outcome::failed);
    EXPECT_NE(bare.v6.error, "");
    EXPECT_EQ(counted[metrics::query_no_such_name], 2);
    EXPECT_EQ(counted[metrics::query_ok], 1);
    EXPECT_EQ(counted[metrics::query_failed], 1);
}

TEST_F(ResolverTest, ATruncatedAnswerIsAskedForAgainByTcp) {
    Packet many("app.example");
    for (unsigned char i = 1; i <= 200; i++) many.record("app.example", ns_t_a, 30, {10, 0, 1, i});
    server.say("app.example", ns_t_a, many);
    server.say("app.example", ns_t_aaaa, Packet("app.example", ns_t_aaaa));
    server.truncate_udp = true;
    const Reply reply = ask("app.example");
    EXPECT_EQ(reply.v4.answer.addresses.size(), 200u);
    EXPECT_GE(server.tcp_questions, 1);
}

TEST_F(ResolverTest, AServerThatIsSilentOrRefusesIsAFailureInTime) {
    const Micros begun = monotonic_now();
    const Reply silent = ask({Question::Kind::addresses, "nobody.example"}, 20'000'000);
    EXPECT_EQ(silent.v4.outcome, Outcome::failed);
    EXPECT_NE(silent.v4.error, "");
    EXPECT_LT(monotonic_now() - begun, 3'000'000);
    EXPECT_GE(server.udp_questions, 2 * 3) << "it was asked again";

    Address closed = parse_address("127.0.0.1:1").value();
    resolver.use({closed});
    const Micros again = monotonic_now();
    EXPECT_EQ(ask("app.example").v4.outcome, Outcome::failed);
    EXPECT_LT(monotonic_now() - again, 3'000'000);
}

TEST_F(ResolverTest, TheNextServerIsAskedWhenTheFirstIsDead) {
    server.say("app.example", ns_t_a, Packet("app.example").a("app.example", 30, "10.0.0.1"));
    server.say("app.example", ns_t_aaaa, Packet("app.example", ns_t_aaaa));
    resolver.use({parse_address("127.0.0.1:1").value(), server.address});
    EXPECT_EQ(text_of(ask("app.example").v4.answer.addresses), "10.0.0.1");
}

TEST_F(ResolverTest, HostsComeFirstAndNobodyIsAsked) {
    test::write_file(directory / "hosts", "10.9.9.9 app.example\n");
    const Reply reply = ask("app.example");
    EXPECT_EQ(text_of(reply.v4.answer.addresses), "10.9.9.9");
    EXPECT_EQ(reply.v6.outcome, Outcome::nothing);
    EXPECT_EQ(server.udp_questions, 0);
    EXPECT_EQ(text_of(ask("localhost").v6.answer.addresses), "::1");
}

TEST_F(ResolverTest, ServicesWithTheirAddresses) {
    Packet packet("_http._tcp.x", ns_t_srv);
    packet.record("_http._tcp.x", ns_t_srv, 60, test::srv(10, 5, 8001, "s1.x"))
        .a("s1.x", 30, "10.0.0.1", true);
    server.say("_http._tcp.x", ns_t_srv, packet);
    const Reply reply = ask({Question::Kind::srv, "_http._tcp.x"});
    EXPECT_EQ(reply.srv_outcome, Outcome::ok);
    ASSERT_EQ(reply.srv.records.size(), 1u);
    EXPECT_EQ(reply.srv.records[0], (SrvRecord{10, 5, 8001, "s1.x"}));
    ASSERT_EQ(reply.srv.targets.size(), 1u);
}

TEST_F(ResolverTest, ABrokenAnswerIsAFailure) {
    server.say("app.example", ns_t_a, Packet("app.example").record("app.example", ns_t_a, 30, {1, 2}));
    server.say("app.example", ns_t_aaaa, Packet("app.example", ns_t_aaaa));
    EXPECT_EQ(ask("app.example").v4.error, "an address of a wrong length");
    EXPECT_EQ(counted[metrics::query_failed], 1);
}

TEST_F(ResolverTest, StopsInTheMiddleOfQuestionsAndGoesOnAfterwards) {
    bool called = false;
    for (int i = 0; i < 20; i++) {
        resolver.ask({Question::Kind::addresses, "n" + std::to_string(i)},
                     [&](const Question&, Reply) { called = true; });
    }
    loop.until([&] { return server.udp_questions > 0; });
    resolver.stop();
    EXPECT_EQ(resolver.under_way(), 0u);
    loop.until([] { return false; }, 200'000);
    EXPECT_FALSE(called);
    EXPECT_TRUE(counted.empty());
    server.say("app.example", ns_t_a, Packet("app.example").a("app.example", 30, "10.0.0.1"));
    server.say("app.example", ns_t_aaaa, Packet("app.example", ns_t_aaaa));
    EXPECT_EQ(text_of(ask("app.example").v4.answer.addresses), "10.0.0.1");
}

TEST_F(ResolverTest, OtherServersTakeTheNextQuestionWhileTheOldOnesFinish) {
    NameServer other(loop.base.get());
    server.say("slow.example", ns_t_aaaa, Packet("slow.example", ns_t_aaaa));
    std::string first;
    resolver.ask({Question::Kind::addresses, "slow.example"},
                 [&](const Question&, const Reply& reply) { first = text_of(reply.v4.answer.addresses); });
    ASSERT_TRUE(loop.until([&] { return server.udp_questions >= 2; }));
    resolver.use({other.address});
    other.say("app.example", ns_t_a, Packet("app.example").a("app.example", 30, "10.0.0.2"));
    other.say("app.example", ns_t_aaaa, Packet("app.example", ns_t_aaaa));
    EXPECT_EQ(text_of(ask("app.example").v4.answer.addresses), "10.0.0.2");
    server.say("slow.example", ns_t_a, Packet("slow.example").a("slow.example", 30, "10.0.0.1"));
    EXPECT_TRUE(loop.until([&] { return first == "10.0.0.1"; })) << "asked again, of the one it was sent to";
}

// --- all of it together

TEST_F(ResolverTest, DiscoveryFollowsServicesAndTheNamesTheyBring) {
    int changes = 0;
    Discovery discovery(loop.base.get(), {[&] { changes++; }, [](metrics::QueryLabel) {}},
                        directory / "hosts");
    config::Resolver settings;
    settings.nameservers = {server.address};
    settings.ttl_min = config::Millis(100);
    settings.ttl_max = config::Millis(60'000);
    settings.stale = config::Millis(60'000);
    config::Discover source;
    source.kind = config::DiscoverKind::srv;
    source.name = "_http._tcp.x";
    Packet packet("_http._tcp.x", ns_t_srv);
    packet.record("_http._tcp.x", ns_t_srv, 0, test::srv(10, 5, 8001, "s1.x"));
    server.say("_http._tcp.x", ns_t_srv, packet);
    server.say("s1.x", ns_t_a, Packet("s1.x").a("s1.x", 0, "10.0.0.1"));
    server.say("s1.x", ns_t_aaaa, Packet("s1.x", ns_t_aaaa));
    Wanted wanted;
    wanted.add(source);
    wanted.add(source);
    EXPECT_EQ(wanted.sources.size(), 1u);
    discovery.want(wanted, settings);
    EXPECT_FALSE(discovery.settled());
    ASSERT_TRUE(loop.until([&] { return discovery.settled(); }));
    ASSERT_NE(discovery.members(source), nullptr);
    EXPECT_EQ(discovery.members(source)->at(0).dns_name, "s1.x");
    wanted.names.insert("s1.x");
    discovery.want(wanted, settings);
    ASSERT_TRUE(loop.until([&] { return discovery.addresses("s1.x") != nullptr; }));
    EXPECT_EQ(text_of(*discovery.addresses("s1.x")), "10.0.0.1");

    // The record changes; a name server that dies changes nothing.
    server.say("s1.x", ns_t_a, Packet("s1.x").a("s1.x", 0, "10.0.0.2"));
    ASSERT_TRUE(loop.until([&] { return text_of(*discovery.addresses("s1.x")) == "10.0.0.2"; }));
    server.answers.clear();
    server.say("s1.x", ns_t_a, Packet("s1.x", ns_t_a, ns_r_nxdomain));
    server.say("s1.x", ns_t_aaaa, Packet("s1.x", ns_t_aaaa, ns_r_nxdomain));
    ASSERT_TRUE(
        loop.until([&] { return discovery.why_unresolved("s1.x") == "cannot resolve s1.x: no such name"; }));
    EXPECT_EQ(text_of(*discovery.addresses("s1.x")), "10.0.0.2");
    EXPECT_NE(discovery.members(source), nullptr);
    discovery.want({}, settings);
    EXPECT_EQ(discovery.members(source), nullptr);
    EXPECT_TRUE(discovery.settled());
}

}  // namespace
}  // namespace lb::discovery
