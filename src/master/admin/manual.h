// master/admin/manual.h -- the generated part of lb-metrics(7): every row of the catalog, and every way an exchange
// can end. Pure.
#pragma once
#include <span>
#include <string>
#include <string_view>

#include "shared/metrics/end_reason.h"

namespace lb::admin {

// One way an exchange can end, for people.
struct EndText {
    End end;
    std::string_view side;    // who ended it: client, lb, backend, or "-" for a good end
    std::string_view status;  // what lb answers with, as long as no answer has begun; "-": nothing of its own
    std::string_view text;
};
// In the order of End.
std::span<const EndText> end_texts();

// In man(7) macros.
std::string manual_metrics();

}  // namespace lb::admin
