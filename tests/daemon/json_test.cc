// SPDX-License-Identifier: Apache-2.0
#include "daemon/json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "fake_control_target.h"

namespace braidway::daemon {
namespace {

TEST(Json, AnEventComesBackAsItWent) {
    EventRecord event;
    event.sequence = 7;
    event.wall_clock = std::chrono::nanoseconds(1'700'000'000'123'456'789);
    event.severity = Severity::critical;
    event.kind = "no-paths-left";
    event.map = "db";
    event.group = 2;
    event.valid_paths = 0;
    event.reason = "the \"last\"\none";
    const auto read = event_from_json(json_document(event_json(event)));
    ASSERT_TRUE(read);
    EXPECT_EQ(read->sequence, 7u);
    EXPECT_EQ(read->wall_clock, event.wall_clock);
    EXPECT_EQ(read->severity, Severity::critical);
    EXPECT_EQ(read->map, "db");
    EXPECT_EQ(read->group, 2u);
    EXPECT_EQ(read->valid_paths, 0u);
    EXPECT_EQ(read->reason, event.reason);
}

TEST(Json, WhatIsNoEventIsNone) {
    for (const char* line : {"", "{", "[]", "{}", "{\"lost\":3}", "{\"sequence\":\"1\"}"})
        EXPECT_FALSE(event_from_json(line)) << line;
}

TEST(Json, DocumentsAreOneLineWhateverBytesNamesHave) {
    PathSnapshot path = sample_path("a1", 1);
    path.device = "file:/\xff\n\"x";
    const std::string text = json_document(path_json(path));
    EXPECT_EQ(text.find('\n'), text.size() - 1);
    const auto value = nlohmann::json::parse(text, nullptr, false);
    ASSERT_TRUE(value.is_object());
    EXPECT_EQ(value["device"], "file:/\xef\xbf\xbd\n\"x");
    EXPECT_TRUE(value["last_failure"].is_null());
    EXPECT_EQ(value["outcomes"].size(), io_statuses);
}

TEST(Json, TheWallClockIsInUtcWithMilliseconds) {
    EXPECT_EQ(format_wall_clock(std::chrono::nanoseconds(0)), "1970-01-01T00:00:00.000Z");
    EXPECT_EQ(format_wall_clock(std::chrono::milliseconds(951'827'696'789)),
              "2000-02-29T12:34:56.789Z");
}

}  // namespace
}  // namespace braidway::daemon
