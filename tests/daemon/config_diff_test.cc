// SPDX-License-Identifier: Apache-2.0
#include "daemon/config_diff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace braidway::daemon {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const std::string base = R"(
[path.a1]
device = "zero:1G"
[path.a2]
device = "zero:1G"
[map.db]
groups = [{ paths = ["a1", "a2"] }]
[export.db]
map = "db"
nbd = ["/run/db.sock"]
)";

Config config_of(const std::string& text) {
    auto config = parse_config(text, "b.toml");
    EXPECT_TRUE(config) << (config ? "" : problems_text(config.error()));
    return config ? *config : Config{};
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
}

ConfigDiff diff(const std::string& old_text, const std::string& new_text) {
    const auto found = diff_configs(config_of(old_text), config_of(new_text));
    EXPECT_TRUE(found) << (found ? "" : problems_text(found.error()));
    return found ? *found : ConfigDiff{};
}

std::string refusal(const std::string& old_text, const std::string& new_text) {
    const auto found = diff_configs(config_of(old_text), config_of(new_text));
    return found ? "accepted" : problems_text(found.error());
}

TEST(ConfigDiff, TheSameFileChangesNothing) {
    const ConfigDiff none = diff(base, "# A comment moves every line.\n" + base);
    EXPECT_TRUE(none.empty());
    EXPECT_EQ(none.summary(), "nothing changed");
}

TEST(ConfigDiff, AddedAndRemovedPartsAreNamed) {
    const std::string more = base + R"([path.z]
device = "zero:1G"
[map.other]
groups = [{ paths = ["z"] }]
[export.other]
map = "other"
nbd = ["/run/other.sock"]
)";
    const ConfigDiff added = diff(base, more);
    EXPECT_THAT(added.paths_added, ElementsAre("z"));
    EXPECT_THAT(added.maps_added, ElementsAre("other"));
    EXPECT_THAT(added.exports_added, ElementsAre("other"));
    EXPECT_THAT(added.maps_changed, IsEmpty());
    EXPECT_EQ(added.summary(), "path z added, map other added, export other added");
    const ConfigDiff removed = diff(more, base);
    EXPECT_THAT(removed.paths_removed, ElementsAre("z"));
    EXPECT_EQ(removed.summary(), "path z removed, map other removed, export other removed");
}

TEST(ConfigDiff, APathAddedToAMapChangesItsGroups) {
    const std::string more =
        replaced(base, "\"a2\"] }]", "\"a2\", \"a3\"] }]") + "[path.a3]\ndevice = \"zero:1G\"\n";
    const ConfigDiff found = diff(base, more);
    EXPECT_THAT(found.paths_added, ElementsAre("a3"));
    ASSERT_EQ(found.maps_changed.size(), 1u);
    EXPECT_TRUE(found.maps_changed[0].groups);
    EXPECT_FALSE(found.maps_changed[0].no_path);
}

TEST(ConfigDiff, OtherWordsForASelectorChangeTheGroups) {
    for (const char* groups : {"[{ selector_arguments = [1], paths = [\"a1\", \"a2\"] }]",
                               "[{ paths = [{ path = \"a1\", arguments = [1, 50] }, \"a2\"] }]"}) {
        const ConfigDiff found =
            diff(base, replaced(base, "[{ paths = [\"a1\", \"a2\"] }]", groups));
        ASSERT_EQ(found.maps_changed.size(), 1u) << groups;
        EXPECT_TRUE(found.maps_changed[0].groups) << groups;
    }
}

TEST(ConfigDiff, AnotherDeviceIsAnotherPath) {
    const ConfigDiff found = diff(base, replaced(base, "\"zero:1G\"", "\"zero:2G\""));
    EXPECT_THAT(found.paths_replaced, ElementsAre("a1"));
    EXPECT_THAT(found.paths_added, ElementsAre("a1"));
    EXPECT_THAT(found.paths_removed, ElementsAre("a1"));
    ASSERT_EQ(found.maps_changed.size(), 1u);
    EXPECT_TRUE(found.maps_changed[0].groups);
    EXPECT_EQ(found.summary(), "path a1 replaced, map db changed");
}

TEST(ConfigDiff, LayersChecksAndTimeoutsChangeInPlace) {
    const ConfigDiff found = diff(
        base, replaced(base, "\"zero:1G\"",
                       "\"zero:1G\"\nlayers = [{ kind = \"delay\" }]\npolling_interval = \"1 s\""));
    ASSERT_EQ(found.paths_changed.size(), 1u);
    EXPECT_TRUE(found.paths_changed[0].layers);
    EXPECT_TRUE(found.paths_changed[0].check);
    EXPECT_FALSE(found.paths_changed[0].io_timeout);
    EXPECT_THAT(found.maps_changed, IsEmpty());
}

TEST(ConfigDiff, WhatAPathInheritsIsComparedToo) {
    const ConfigDiff found = diff(base, base + "[defaults]\nio_timeout = \"off\"\n");
    ASSERT_EQ(found.paths_changed.size(), 2u);
    EXPECT_TRUE(found.paths_changed[1].io_timeout);
}

TEST(ConfigDiff, PolicyAndLimitsOfAMapChangeInPlace) {
    const ConfigDiff found = diff(base, replaced(base, "[map.db]",
                                                 "[map.db]\nno_path_timeout = \"queue\"\n"
                                                 "held_requests_max = 3\nattempts_max = 3"));
    ASSERT_EQ(found.maps_changed.size(), 1u);
    EXPECT_TRUE(found.maps_changed[0].no_path);
    EXPECT_TRUE(found.maps_changed[0].held_limits);
    EXPECT_TRUE(found.maps_changed[0].retries);
    EXPECT_FALSE(found.maps_changed[0].groups);
}

TEST(ConfigDiff, AnotherHardwareHandlerChangesAMapInPlace) {
    const ConfigDiff found =
        diff(base, replaced(base, "[map.db]", "[map.db]\nhardware_handler = \"alua\""));
    ASSERT_EQ(found.maps_changed.size(), 1u);
    EXPECT_TRUE(found.maps_changed[0].handler);
    EXPECT_FALSE(found.maps_changed[0].groups);
}

TEST(ConfigDiff, ExportsDistinguishAddressesFromOptions) {
    const ConfigDiff moved = diff(base, replaced(base, "/run/db.sock", "/run/x.sock"));
    ASSERT_EQ(moved.exports_changed.size(), 1u);
    EXPECT_TRUE(moved.exports_changed[0].addresses);
    EXPECT_FALSE(moved.exports_changed[0].options);
    const ConfigDiff described = diff(base, base + "description = \"x\"\n");
    ASSERT_EQ(described.exports_changed.size(), 1u);
    EXPECT_FALSE(described.exports_changed[0].addresses);
    EXPECT_TRUE(described.exports_changed[0].options);
    const ConfigDiff encrypted = diff(base, base + "tls_psk = \"/keys\"\n");
    ASSERT_EQ(encrypted.exports_changed.size(), 1u);
    EXPECT_TRUE(encrypted.exports_changed[0].options);
}

TEST(ConfigDiff, AnExportOfAnotherMapIsReplaced) {
    const std::string two = base +
                            "[path.z]\ndevice = \"zero:1G\"\n[map.z]\ngroups = [{ paths = "
                            "[\"z\"] }]\n";
    const ConfigDiff found = diff(two, replaced(two, "map = \"db\"", "map = \"z\""));
    EXPECT_THAT(found.exports_replaced, ElementsAre("db"));
    EXPECT_THAT(found.exports_added, ElementsAre("db"));
    EXPECT_THAT(found.exports_removed, ElementsAre("db"));
}

TEST(ConfigDiff, WhatARunningDaemonCannotChangeIsRefused) {
    EXPECT_EQ(refusal(base, base + "[api]\nsocket = \"/x.sock\"\n"),
              "b.toml:12: api.socket, api.mode: cannot change while the daemon runs; restart it\n");
    EXPECT_EQ(refusal(base, base + "[daemon]\nio_backend = \"epoll\"\n"),
              "b.toml: daemon.io_backend: cannot change while the daemon runs; restart it\n");
    EXPECT_EQ(refusal(base, replaced(base, "[map.db]", "[map.db]\nread_only = true")),
              "b.toml:6: map.db.read_only: cannot change while the map is served; restart the "
              "daemon, or remove the map, reload and add it again\n");
}

}  // namespace
}  // namespace braidway::daemon
