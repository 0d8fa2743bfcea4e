// SPDX-License-Identifier: Apache-2.0
#include "daemon/config_fabric.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace braidway::daemon {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

std::vector<std::string> problems_of(const std::string& text) {
    const auto config = parse_config(text, "/etc/b.toml");
    std::vector<std::string> lines;
    if (!config)
        for (const ConfigProblem& each : config.error()) lines.push_back(each.text());
    return lines;
}

Config good(const std::string& text) {
    auto config = parse_config(text, "/etc/b.toml");
    if (config) return *config;
    ADD_FAILURE() << problems_text(config.error());
    return {};
}

TEST(ConfigFabric, IscsiPathsAreReadWithTheirKeys) {
    const Config config = good(R"(
[api]
socket = "/run/api.sock"
[defaults]
initiator = "iqn.2026-11.org.example:all"
[path.a1]
device = "iscsi://joe@server:3261/iqn.2026-11.org.example:disks/5?target_user=array"
chap_secret_file = "joe.secret"
chap_mutual_secret_file = "/etc/array.secret"
connect_timeout = "2 s"
task_management_timeout = "1 s"
keepalive = "off"
resend_quiesce = "3 s"
initiator = "iqn.2026-11.org.example:one"
[path.a2]
device = "iscsi://server/iqn.2026-11.org.example:disks/5"
[map.db]
groups = [{ paths = ["a1", "a2"] }]
[export.db]
map = "db"
nbd = ["unix:/run/braidway/db.sock"]
)");
    const IscsiPathConfig& one = config.paths[0].device.iscsi;
    EXPECT_EQ(config.paths[0].device.kind, DeviceConfig::Kind::iscsi);
    EXPECT_TRUE(config.paths[0].device.is_fabric());
    EXPECT_EQ(config.paths[0].device.text(),
              "iscsi://joe@server:3261/iqn.2026-11.org.example:disks/5?target_user=array");
    EXPECT_EQ(one.chap_secret_file, "/etc/joe.secret") << "from the folder of the file";
    EXPECT_EQ(one.chap_mutual_secret_file, "/etc/array.secret");
    EXPECT_EQ(one.connect_timeout, 2s);
    EXPECT_EQ(one.task_management_timeout, 1s);
    EXPECT_FALSE(one.keepalive.has_value());
    EXPECT_EQ(config.paths[0].device.resend_quiesce(), 3s);
    EXPECT_EQ(one.initiator, "iqn.2026-11.org.example:one");
    EXPECT_EQ(one.place, "/run/api.sock db");
    const IscsiPathConfig& other = config.paths[1].device.iscsi;
    EXPECT_EQ(other.initiator, "iqn.2026-11.org.example:all");
    EXPECT_EQ(other.resend_quiesce, 30s);
    EXPECT_EQ(other.keepalive, 5s);
}

/// What is wrong with one path over iSCSI with these lines behind its device.
std::vector<std::string> iscsi_problems(const std::string& uri, const std::string& lines) {
    return problems_of("[path.a1]\ndevice = \"" + uri + "\"\n" + lines + R"(
[map.db]
groups = [{ paths = ["a1"] }]
[export.db]
map = "db"
nbd = ["unix:/run/braidway/db.sock"]
)");
}

TEST(ConfigFabric, WhatIsWrongWithAnIscsiPathIsOneLine) {
    const std::string uri = "iscsi://server/iqn.2026-11.org.example:disks/5";
    EXPECT_THAT(iscsi_problems(uri, ""), IsEmpty());
    EXPECT_THAT(iscsi_problems("iscsi://server", ""),
                ElementsAre(HasSubstr("path.a1.device: 'iscsi://server': no target is named")));
    EXPECT_THAT(iscsi_problems("iscsi://joe%hush@server/x/1", ""),
                ElementsAre(AllOf(HasSubstr("does not begin with iqn."), Not(HasSubstr("hush")))));
    EXPECT_THAT(iscsi_problems(uri, "data_digest = true"),
                ElementsAre(HasSubstr("path.a1.data_digest: data_digest is not offered")));
    EXPECT_THAT(iscsi_problems("iscsi://joe@server/iqn.x/1", ""),
                ElementsAre(HasSubstr("the user 'joe' has no secret; name a chap_secret_file")));
    EXPECT_THAT(iscsi_problems(uri, "chap_secret_file = \"x\""),
                ElementsAre(HasSubstr("no user; write iscsi://USER@HOST/...")));
    EXPECT_THAT(iscsi_problems(uri, "initiator = \"us\""),
                ElementsAre(HasSubstr("path.a1.initiator: the initiator's name 'us'")));
    EXPECT_THAT(iscsi_problems(uri, "resend_quiesce = \"2 min\""),
                ElementsAre(HasSubstr("is not shorter than the fence_timeout of map db")));
    EXPECT_THAT(iscsi_problems(uri, "connections = 2"),
                ElementsAre(HasSubstr("path.a1.connections: belongs to nbd: devices only")));
    EXPECT_THAT(iscsi_problems("nbd://server/x", "chap_secret_file = \"x\""),
                ElementsAre(HasSubstr("chap_secret_file: belongs to iscsi: devices only")));
    EXPECT_THAT(
        iscsi_problems("zero:1M", "keepalive = \"1 s\""),
        ElementsAre(HasSubstr("path.a1.keepalive: belongs to nbd: and iscsi: devices only")));
}

}  // namespace
}  // namespace braidway::daemon
