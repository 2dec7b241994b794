#include "worker/exchange/mirror.h"

#include <algorithm>

namespace lb {

using stream::Flow;

Mirror::Mirror(Mirrors& owner, const stream::ClientOrigin& origin, const Address& local) noexcept
    : owner_(owner), peer_(origin.peer), client_(origin.client), local_(local), request_(origin.request) {
    text_size_ = static_cast<std::uint8_t>(std::min(origin.text.size(), text_.size()));
    std::copy_n(origin.text.begin(), text_size_, text_.begin());
}

Flow Mirror::send_head(const http::ResponseHead&, const stream::FieldRules&, std::string_view, bool, bool) {
    return Flow::ok;
}
Flow Mirror::send_body(std::string_view, bool) { return Flow::ok; }
Flow Mirror::send_interim(const http::ResponseHead&, const stream::FieldRules&) { return Flow::ok; }

int Mirror::raw_source(std::uint64_t& left) {
    left = 0;
    return -1;
}

stream::ClientOrigin Mirror::origin() const noexcept {
    return {peer_, client_, {text_.data(), text_size_}, request_};
}

void Mirror::exchange_over() { owner_.over(*this); }
void Mirror::cut() { owner_.over(*this); }

void Mirror::on_deadline() {
    if (!over_ && exchange_ != nullptr) exchange_->on_client_failed(End::request_timeout);
}

Mirror* Mirrors::make(const stream::ClientOrigin& origin, const Address& local, Micros limit) {
    if (in_flight_ >= most_) return nullptr;
    Mirror& mirror = mirrors_.make(*this, origin, local);
    in_flight_++;
    mirror.next_ = first_;
    if (first_ != nullptr) first_->previous_ = &mirror;
    first_ = &mirror;
    const Micros now = clock_.now();
    const Micros time = limit > 0 ? limit : longest;
    mirror.deadline = now + time;
    wheel_.add(mirror, std::min(time, io::Wheel::longest_horizon), now);
    return &mirror;
}

void Mirrors::over(Mirror& mirror) noexcept {
    if (mirror.over_) return;
    mirror.over_ = true;
    io::Wheel::remove(mirror);
    if (mirror.previous_ != nullptr) mirror.previous_->next_ = mirror.next_;
    if (mirror.next_ != nullptr) mirror.next_->previous_ = mirror.previous_;
    if (first_ == &mirror) first_ = mirror.next_;
    in_flight_--;
    mirrors_.retire(mirror);
}

void Mirrors::stop_all() {
    while (first_ != nullptr) {
        Mirror& mirror = *first_;
        if (mirror.exchange_ != nullptr) mirror.exchange_->on_client_failed(End::stopped);
        over(mirror);  // whatever the exchange made of it
    }
}

}  // namespace lb
