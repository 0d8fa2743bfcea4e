// SPDX-License-Identifier: Apache-2.0
#include "daemon/log.h"

#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>

#include <cstdlib>
#include <sstream>

namespace braidway::daemon {
namespace {

using namespace std::chrono_literals;

Duration origin() {
    return 1001ms;
}

EventRecord failed_path() {
    EventRecord event;
    event.severity = Severity::warning;
    event.kind = "path-failed";
    event.map = "db";
    event.path = "a1";
    event.valid_paths = 3;
    event.reason = "I/O error: \"medium\"\nat 7";
    return event;
}

std::string logged(Severity level, LogFormat format, const std::vector<EventRecord>& events,
                   size_t kept_max = 100) {
    std::ostringstream text;
    EventRing ring(origin, kept_max);
    for (const EventRecord& event : events) ring.event(event);
    ring.close();
    {
        const EventLog log(ring, level, format,
                           std::make_shared<spdlog::sinks::ostream_sink_mt>(text));
    }
    return text.str();
}

TEST(EventLine, IsOneLineOfQuotedWords) {
    EXPECT_EQ(event_line(failed_path()),
              "warning path-failed map=db path=a1 paths_left=3 "
              "reason=\"I/O error: \\\"medium\\\"\\nat 7\"");
    EventRecord event;
    event.kind = "group-switched";
    event.map = "db";
    event.group = 2;
    event.reason = "operator";
    EXPECT_EQ(event_line(event), "info group-switched map=db group=2 reason=operator");
}

TEST(EventLog, WritesTheTimeOfTheEventInTextForm) {
    ::setenv("TZ", "UTC", 1);
    EXPECT_EQ(logged(Severity::info, LogFormat::text, {failed_path()}),
              "1970-01-01T00:00:01.001+00:00 " + event_line(failed_path()) + "\n");
}

TEST(EventLog, GivesTheJournalItsLevel) {
    EventRecord lost = failed_path();
    lost.severity = Severity::critical;
    EXPECT_EQ(logged(Severity::info, LogFormat::journald, {failed_path(), lost}),
              "<4>" + event_line(failed_path()) + "\n<2>" + event_line(lost) + "\n");
}

TEST(EventLog, LeavesOutWhatIsBelowItsLevel) {
    EventRecord detail = failed_path();
    detail.severity = Severity::debug;
    EXPECT_EQ(logged(Severity::info, LogFormat::journald, {detail}), "");
    EXPECT_NE(logged(Severity::debug, LogFormat::journald, {detail}), "");
}

TEST(EventLog, SaysHowManyEventsItMissed) {
    EXPECT_EQ(logged(Severity::info, LogFormat::journald,
                     {failed_path(), failed_path(), failed_path()}, 1),
              "<4>warning events-lost reason=\"2 events came faster than they could be written\"\n"
              "<4>" +
                  event_line(failed_path()) + "\n");
}

}  // namespace
}  // namespace braidway::daemon
