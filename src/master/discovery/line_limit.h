// master/discovery/line_limit.h -- so many lines of a log in a second, then how many more there were. Pure.
#pragma once
#include <cstdint>
#include <utility>

#include "shared/base/clock.h"

namespace lb::discovery {

class LineLimit {
 public:
    explicit LineLimit(std::uint32_t a_second) noexcept : most_(a_second) {}

    // Whether a line may be written now; if not it is counted.
    bool allows(Micros now) noexcept {
        if (now - since_ >= 1'000'000) {
            since_ = now;
            written_ = 0;
        }
        if (written_ < most_) {
            written_++;
            return true;
        }
        left_out_++;
        return false;
    }
    // How many were left out in a second that is over; 0 while it is not. Call now and then.
    std::uint64_t take_left_out(Micros now) noexcept {
        return now - since_ >= 1'000'000 ? std::exchange(left_out_, 0) : 0;
    }
    [[nodiscard]] std::uint64_t left_out() const noexcept { return left_out_; }

 private:
    std::uint32_t most_;
    std::uint32_t written_ = 0;
    std::uint64_t left_out_ = 0;
    Micros since_ = 0;
};

}  // namespace lb::discovery
