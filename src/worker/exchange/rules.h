// worker/exchange/rules.h -- which settings hold for a request: those of its route, else of its listener (the client's
// side) or its pool (the backend's side). Pure; nothing is copied.
#pragma once
#include "shared/base/clock.h"
#include "shared/config/model.h"

namespace lb {

struct Rules {
    const config::Listener* listener;
    const config::Route* route = nullptr;  // null: none matched, the listener's own pool answers
    const config::Pool* pool = nullptr;    // null: none is asked

    [[nodiscard]] std::uint32_t access_log() const noexcept {
        return route != nullptr && route->access_log ? *route->access_log : listener->access_log;
    }
    [[nodiscard]] std::uint64_t max_body() const noexcept {
        return route != nullptr && route->max_body ? *route->max_body : listener->traffic.max_body;
    }
    [[nodiscard]] const config::Retries& retries() const noexcept {
        return route != nullptr && route->retries ? *route->retries : pool->retries;
    }
    [[nodiscard]] Micros response_timeout() const noexcept {
        return time(&config::Route::response_timeout, pool->traffic.response_timeout);
    }
    [[nodiscard]] Micros backend_body_timeout() const noexcept {
        return time(&config::Route::body_timeout, pool->traffic.body_timeout);
    }
    [[nodiscard]] Micros client_body_timeout() const noexcept {
        return time(&config::Route::body_timeout, listener->traffic.body_timeout);
    }
    [[nodiscard]] std::uint64_t client_min_rate() const noexcept {
        return route != nullptr && route->min_rate ? *route->min_rate : listener->traffic.min_rate;
    }
    [[nodiscard]] Micros request_timeout() const noexcept {
        return time(&config::Route::request_timeout, listener->traffic.request_timeout);
    }
    [[nodiscard]] Micros tunnel_timeout() const noexcept {
        return time(&config::Route::tunnel_timeout, listener->traffic.tunnel_timeout);
    }
    // Whether the client's side has other times than its listener gave it.
    [[nodiscard]] bool own_times() const noexcept {
        return route != nullptr && (route->body_timeout || route->min_rate || route->request_timeout);
    }

 private:
    Micros time(std::optional<config::Millis> config::Route::*own, config::Millis inherited) const noexcept {
        return to_micros(route != nullptr && route->*own ? *(route->*own) : inherited);
    }
};

}  // namespace lb
