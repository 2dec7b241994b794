// tests/unit/master/adoption_test.cpp -- listening sockets that a service manager keeps from one master to the next.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "../service/manager_told.h"
#include "master/listeners.h"
#include "sockets.h"

namespace lb {
namespace {

// What a manager would keep, and hand over.
struct Store {
    Told told;
    std::map<std::string, Fd> kept;

    void take() {
        for (Told::Message message = told.next(); !message.text.empty(); message = told.next()) {
            const auto at = message.text.find("FDNAME=");
            const std::string name = at == std::string::npos ? "" : message.text.substr(at + 7);
            if (message.text.starts_with("FDSTOREREMOVE=1")) kept.erase(name);
            if (message.text.starts_with("FDSTORE=1")) kept[name] = std::move(message.fd);
        }
    }
    std::vector<service::Stored> hand_over() {
        take();
        std::vector<service::Stored> list;
        for (const auto& [name, fd] : kept) list.push_back({Fd(dup(fd.get())), name});
        std::reverse(list.begin(), list.end());  // systemd has them newest first
        return list;
    }
    std::vector<std::string> places() {  // "SLOT.PLACE", sorted
        take();
        std::vector<std::string> list;
        for (const auto& [name, fd] : kept) {
            const std::string numbers = name.substr(std::string("lb.listen.").size());
            list.push_back(numbers.substr(0, numbers.find('.', numbers.find('.') + 1)));
        }
        std::sort(list.begin(), list.end());
        return list;
    }
};

struct Adoption : testing::Test {
    Store store;
    config::Bind bind = any_port();
    std::vector<SocketId> opened;

    // A first master that listens with so many sockets, on a port of its own choice.
    std::unique_ptr<Listeners> first(std::uint32_t slots) {
        {
            Listeners finds_a_port({});
            EXPECT_EQ(finds_a_port.open(bind, 1, false, opened), "");
            bind.address = finds_a_port.group(key_of(bind))->address;
        }
        opened.clear();
        auto listeners = std::make_unique<Listeners>(std::vector<int>(), &store.told.manager);
        EXPECT_EQ(listeners->open(bind, slots, true, opened), "");
        return listeners;
    }
    [[nodiscard]] std::string key() const { return key_of(bind); }
};

TEST_F(Adoption, TheManagerKeepsEverySocketWithItsPlace) {
    const auto listeners = first(3);
    EXPECT_THAT(store.places(), testing::ElementsAre("0.0", "1.1", "2.2"));
    listeners->close({key(), 0});  // the last one moves into its place
    EXPECT_THAT(store.places(), testing::ElementsAre("1.1", "2.0"));
    listeners->close({key(), 1});
    listeners->close({key(), 2});
    EXPECT_THAT(store.places(), testing::IsEmpty());
}

TEST_F(Adoption, TheNextMasterGoesOnWithTheSameSocketsAndWhoWaitsInThem) {
    auto listeners = first(2);
    const Fd client = connect_to(bind.address);
    ASSERT_EQ(write(client.get(), "x", 1), 1);  // the kernel waits for it
    auto stored = store.hand_over();
    listeners.reset();  // as if killed: nothing is said
    Listeners second({}, &store.told.manager);
    second.adopt(std::move(stored));
    opened.clear();
    ASSERT_EQ(second.open(bind, 2, false, opened), "");
    EXPECT_TRUE(opened.empty()) << "nothing had to be opened";
    for (const std::uint32_t slot : {0U, 1U}) EXPECT_GE(second.descriptor({key(), slot}), 0);
    bool found = false;
    for (const auto& member : second.group(key())->members) {
        EXPECT_FALSE(member.retiring);
        found = found || accept_from(member.fd.get(), 1000);
    }
    EXPECT_TRUE(found) << "who connected before is still there";
    EXPECT_THAT(store.places(), testing::ElementsAre("0.0", "1.1"));
}

TEST_F(Adoption, SteeringGoesByTheKernelsOrderAfterwardsToo) {
    auto listeners = first(3);
    listeners->close({key(), 0});  // places now: 2, 1
    auto stored = store.hand_over();
    listeners.reset();
    Listeners second({}, &store.told.manager);
    second.adopt(std::move(stored));
    ASSERT_EQ(second.open(bind, 3, false, opened), "");  // and 0 behind them
    for (const std::uint32_t only : {2U, 1U, 0U}) {
        const std::uint32_t live[] = {only};
        second.set_live(key(), live);
        for (int i = 0; i < 20; i++) {
            const Fd client = connect_to(bind.address);
            EXPECT_TRUE(accept_from(second.descriptor({key(), only}), 1000)) << "slot " << only;
        }
    }
}

TEST_F(Adoption, WithoutTheOrderNobodyIsSteeredAndAllAreThere) {
    auto listeners = first(3);
    store.take();
    store.kept.erase(store.kept.begin());  // place 0
    auto stored = store.hand_over();
    listeners.reset();
    Listeners second({}, &store.told.manager);
    second.adopt(std::move(stored));
    ASSERT_EQ(second.open(bind, 3, false, opened), "");
    EXPECT_FALSE(second.group(key())->steerable());
    EXPECT_EQ(second.group(key())->members.size(), 3U);
    const std::uint32_t live[] = {1};
    second.set_live(key(), live);  // changes nothing in the kernel
    std::vector<Fd> clients;
    for (int i = 0; i < 30; i++) clients.push_back(connect_to(bind.address));
    int served = 0;
    for (const auto& member : second.group(key())->members) {
        while (accept_from(member.fd.get(), served == 30 ? 0 : 200)) served++;
    }
    EXPECT_EQ(served, 30);
}

TEST_F(Adoption, WhatIsNotNamedAgainIsOnItsWayOut) {
    auto listeners = first(2);
    auto stored = store.hand_over();
    listeners.reset();
    Listeners second({}, &store.told.manager);
    second.adopt(std::move(stored));
    ASSERT_NE(second.group(key()), nullptr);
    for (const auto& member : second.group(key())->members) EXPECT_TRUE(member.retiring);
    second.close({key(), 0});
    second.close({key(), 1});
    EXPECT_THAT(store.places(), testing::IsEmpty());
    EXPECT_FALSE(connect_to(bind.address));
}

TEST_F(Adoption, AUnixSocketKeepsItsFile) {
    const std::string path = "/tmp/lb-adoption-" + std::to_string(getpid()) + ".sock";
    bind.address = unix_address(path);
    auto listeners = std::make_unique<Listeners>(std::vector<int>(), &store.told.manager);
    ASSERT_EQ(listeners->open(bind, 1, false, opened), "");
    auto stored = store.hand_over();
    listeners->leave_open();
    listeners.reset();
    {
        Listeners second({}, &store.told.manager);
        second.adopt(std::move(stored));
        opened.clear();
        ASSERT_EQ(second.open(bind, 1, false, opened), "");
        EXPECT_TRUE(opened.empty());
        const Fd client = connect_to(bind.address);
        EXPECT_TRUE(accept_from(second.descriptor({key(), 0}), 1000));
    }
    EXPECT_NE(access(path.c_str(), F_OK), 0) << "the last one removes it";
}

TEST_F(Adoption, AUnixSocketWhoseFileSomebodyReplacedIsOpenedAnew) {
    const std::string path = "/tmp/lb-adoption-" + std::to_string(getpid()) + ".sock";
    bind.address = unix_address(path);
    auto listeners = std::make_unique<Listeners>(std::vector<int>(), &store.told.manager);
    ASSERT_EQ(listeners->open(bind, 1, false, opened), "");
    auto stored = store.hand_over();
    listeners->leave_open();
    listeners.reset();
    ASSERT_EQ(unlink(path.c_str()), 0);
    Listeners second({}, &store.told.manager);
    second.adopt(std::move(stored));
    opened.clear();
    ASSERT_EQ(second.open(bind, 1, false, opened), "");
    EXPECT_EQ(opened.size(), 1U);
    const Fd client = connect_to(bind.address);
    EXPECT_TRUE(accept_from(second.descriptor({key(), 0}), 1000));
    store.take();
    EXPECT_EQ(store.kept.size(), 1U) << "the old one is forgotten";
}

}  // namespace
}  // namespace lb
