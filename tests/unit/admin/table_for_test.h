// A shared table filled by hand: slots, names, workers' columns. What the master's writer does is tested elsewhere; here
// each field is exactly what the test says.
#pragma once
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/clock.h"
#include "shared/shm/counters.h"
#include "shared/shm/segment.h"

namespace lb::admin {

class TableForTest {
 public:
    explicit TableForTest(std::uint32_t backends = 64)
        : segment(make({8, 16, 16, 16, 16, backends, 16, 16u << 20})) {}

    std::uint64_t text(std::string_view s) {
        const auto offset = block(sizeof(shm::TextBlock) + s.size());
        auto* at = arena(offset);
        const auto length = static_cast<std::uint32_t>(s.size());
        std::memcpy(at, &length, sizeof length);
        std::memcpy(at + sizeof length, s.data(), s.size());
        return offset;
    }
    void listener(std::uint32_t slot, std::string_view name) {
        segment.listener(slot).name = text(name);
        segment.listener(slot).state = shm::SlotState::used;
    }
    void route(std::uint32_t slot, std::string_view name) {
        segment.route(slot).name = text(name);
        segment.route(slot).state = shm::SlotState::used;
    }
    void limit(std::uint32_t slot, std::string_view name) {
        segment.limit(slot).name = text(name);
        segment.limit(slot).state = shm::SlotState::used;
    }
    void pool(std::uint32_t slot, std::string_view name) {
        segment.pool(slot).name = text(name);
        segment.pool(slot).published = block(sizeof(shm::PublishedPool));
        segment.pool(slot).state = shm::SlotState::used;
    }
    shm::BackendSlot& backend(std::uint32_t slot, std::uint32_t pool, std::string_view name,
                              shm::Health health = shm::Health::up,
                              std::string_view address = "10.0.0.1:80") {
        shm::BackendSlot& one = segment.backend(slot);
        one.incarnation = 1;
        one.pool = pool;
        one.name = text(name);
        one.health = health;
        one.weight = 1;
        one.member = 1;
        const auto offset = block(sizeof(shm::AddressBlock) + sizeof(Address));
        const std::uint32_t count[2] = {address.empty() ? 0u : 1u, 0};
        std::memcpy(arena(offset), count, sizeof count);
        if (!address.empty()) {
            const auto parsed = parse_address(address);
            EXPECT_TRUE(parsed.ok());
            if (parsed)
                std::memcpy(arena(offset) + sizeof(shm::AddressBlock), &parsed.value(), sizeof(Address));
        }
        one.addresses = offset;
        one.state = shm::SlotState::used;
        return one;
    }
    // The backends that a pool hands out.
    void publish(std::uint32_t pool, const std::vector<std::uint32_t>& slots) {
        const auto count = static_cast<std::uint32_t>(slots.size());
        const auto offset = block(sizeof(shm::PublishedPool) + sizeof(shm::PublishedGroup) +
                                  slots.size() * sizeof(shm::Eligible));
        const shm::PublishedPool head{count, count, 1, 0, 0, 0, 0, 0};
        shm::PublishedGroup group{};
        group.count = count;
        group.eligible_at = sizeof head + sizeof group;
        std::memcpy(arena(offset), &head, sizeof head);
        std::memcpy(arena(offset) + sizeof head, &group, sizeof group);
        for (std::size_t i = 0; i < slots.size(); i++) {
            const shm::Eligible one{slots[i], 1, 1, 0};
            std::memcpy(arena(offset) + group.eligible_at + i * sizeof one, &one, sizeof one);
        }
        segment.pool(pool).published = offset;
    }
    // A process with a column of its own.
    shm::Column process(std::uint32_t column, shm::Role role, std::uint32_t generation = 1,
                        Micros heartbeat = 0) {
        shm::ColumnHead& head = segment.column(column);
        head.role = role;
        head.pid = static_cast<std::int32_t>(1000 + column);
        head.generation = generation;
        head.worker = column;
        head.heartbeat = static_cast<std::uint64_t>(heartbeat);
        head.detail = 1;
        head.detail_rows = segment.header().backends;
        head.state = shm::ColumnState::used;
        auto& touched = segment.header().columns_touched;
        if (touched <= column) touched = column + 1;
        return {segment, column};
    }

    shm::Segment segment;

 private:
    static shm::Segment make(const shm::Capacity& capacity) {
        auto made = shm::Segment::create(capacity);
        EXPECT_TRUE(made.ok()) << made.error();
        return std::move(made).value();
    }
    std::uint64_t block(std::size_t size) {
        const std::uint64_t offset = segment.header().arena + used_;
        used_ += (size + 15) / 16 * 16;
        EXPECT_LE(used_, segment.header().arena_size);
        return offset;
    }
    char* arena(std::uint64_t offset) { return reinterpret_cast<char*>(segment.at(offset)); }
    std::uint64_t used_ = 64;
};

}  // namespace lb::admin
