// lb-metrics(7) lists each way an exchange can end with its side and status; the worker decides them.
#include <gtest/gtest.h>

#include <string>

#include "master/admin/manual.h"
#include "worker/exchange/failure.h"
#include "worker/variables/evaluate.h"

namespace lb {
namespace {

TEST(Ends, the_manual_names_the_side_that_logs_name) {
    for (const admin::EndText& one : admin::end_texts()) {
        const std::string_view logged = side(one.end);
        EXPECT_EQ(one.side, logged.empty() ? "-" : logged) << word(one.end);
    }
}

TEST(Ends, the_manual_names_the_status_that_clients_get) {
    for (const admin::EndText& one : admin::end_texts()) {
        const std::uint16_t status = status_of(one.end);
        const std::string first(one.status.substr(0, one.status.find(',')));
        EXPECT_EQ(first, status == 0 ? "-" : std::to_string(status)) << word(one.end);
    }
}

}  // namespace
}  // namespace lb
