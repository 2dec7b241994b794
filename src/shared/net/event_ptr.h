// shared/net/event_ptr.h -- owners of libevent's objects.
// A handle's event must be freed before its descriptor is closed: declare the Fd first, the EventPtr after it.
#pragma once
#include <event2/event.h>

#include <memory>

namespace lb {

template <auto Free>
struct Frees {
    void operator()(auto* p) const noexcept { Free(p); }
};
using EventPtr = std::unique_ptr<event, Frees<event_free>>;
using EventBasePtr = std::unique_ptr<event_base, Frees<event_base_free>>;
using EventConfigPtr = std::unique_ptr<event_config, Frees<event_config_free>>;

// A base without locks that ignores EVENT_* variables of the environment. No changelist: it is unsafe with
// descriptors shared by fork. Null when the kernel gives no epoll descriptor.
inline EventBasePtr make_event_base() {
    EventConfigPtr config(event_config_new());
    if (!config) return nullptr;
    event_config_set_flag(config.get(), EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV);
    event_config_require_features(config.get(), EV_FEATURE_ET | EV_FEATURE_O1 | EV_FEATURE_EARLY_CLOSE);
    return EventBasePtr(event_base_new_with_config(config.get()));
}

}  // namespace lb
