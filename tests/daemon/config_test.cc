// SPDX-License-Identifier: Apache-2.0
// Long because: it holds one table of everything that can be wrong with a configuration.
#include "daemon/config.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <string>

namespace braidway::daemon {
namespace {

using namespace std::chrono_literals;

/// The smallest good file, to which cases add lines. It ends at line 6.
const std::string small_file = R"([path.a1]
device = "zero:1G"
[map.db]
groups = [{ paths = ["a1"] }]
[export.db]
map = "db"
)";

std::vector<std::string> problems_of(const std::string& text) {
    const auto config = parse_config(text, "/etc/b.toml");
    if (config) return {"accepted"};
    std::vector<std::string> lines;
    for (const ConfigProblem& each : config.error()) lines.push_back(each.text());
    return lines;
}

Config good(const std::string& text) {
    auto config = parse_config(text, "/etc/b.toml");
    if (config) return *config;
    ADD_FAILURE() << problems_text(config.error());
    return {};
}

TEST(Config, NbdPathsAreReadWithTheirKeys) {
    const Config config = good(R"(
[path.a1]
device = "nbd://server:10810/disk"
connections = 2
connect_timeout = "2 s"
keepalive = "off"
resend_quiesce = "3 s"
drops_closed_requests = true
shared_cache = false
fingerprint = ["0+512", "1MiB+4KiB"]
[path.a2]
device = "nbd+unix:///disk?socket=run/nbd.sock"
resend_quiesce = "off"
[map.db]
wwid = "nbd:disk:1024"
groups = [{ paths = ["a1", "a2"] }]
[export.db]
map = "db"
nbd = ["unix:/run/braidway/db.sock"]
)");
    const NbdPathConfig& one = config.paths[0].device.nbd;
    EXPECT_EQ(config.paths[0].device.kind, DeviceConfig::Kind::nbd);
    EXPECT_EQ(config.paths[0].device.text(), "nbd://server:10810/disk");
    EXPECT_EQ(one.connections, 2u);
    EXPECT_EQ(one.connect_timeout, 2s);
    EXPECT_FALSE(one.keepalive.has_value());
    EXPECT_EQ(one.resend_quiesce, 3s);
    EXPECT_TRUE(one.drops_closed);
    EXPECT_FALSE(one.shared_cache);
    EXPECT_EQ(one.fingerprint.size(), 2u);
    const NbdPathConfig& other = config.paths[1].device.nbd;
    EXPECT_EQ(other.uri.socket, "/etc/run/nbd.sock");
    EXPECT_EQ(other.connections, limits::nbd_path_connections_default);
    EXPECT_EQ(other.keepalive, limits::nbd_path_keepalive_default);
    EXPECT_EQ(other.resend_quiesce, Duration(0));
    EXPECT_EQ(config.maps[0].wwid, "nbd:disk:1024");
}

TEST(Config, TheShapeOfTheManualIsRead) {
    const Config config = good(R"(
[api]
socket = "/run/braidway/api.sock"
[path.a1]
device = "file:/srv/disk.img"
layers = [{ kind = "delay", read = "5 ms" }, { kind = "error", enabled = false }]
[path.a2]
device = "file:disk.img"
[path.z]
device = "zero:1G"
holes = true
[map.db]
no_path_timeout = "30 s"
groups = [{ selector = "round-robin", paths = ["a1", "a2"] }, { paths = [{ path = "z", weight = 50 }] }]
[export.db]
map = "db"
nbd = ["unix:/run/braidway/db.sock", "tcp:127.0.0.1:10809"]
)");
    ASSERT_EQ(config.paths.size(), 3u);
    EXPECT_EQ(config.paths[0].name, "a1");
    EXPECT_EQ(config.paths[0].line, 4u);
    EXPECT_EQ(config.paths[0].device.text(), "file:/srv/disk.img");
    ASSERT_EQ(config.paths[0].layers.size(), 2u);
    EXPECT_EQ(config.paths[0].layers[0].delay.read, 5ms);
    EXPECT_EQ(config.paths[0].layers[1].kind, LayerKind::error);
    EXPECT_FALSE(config.paths[0].layers[1].enabled);
    EXPECT_EQ(config.paths[1].device.path, "/etc/disk.img") << "from the folder of the file";
    EXPECT_EQ(config.paths[2].device.size_bytes, 1u << 30);
    EXPECT_TRUE(config.paths[2].device.holes);
    ASSERT_EQ(config.maps.size(), 1u);
    const MapConfig& map = config.maps[0];
    EXPECT_EQ(map.no_path, (NoPathConfig{true, 30s}));
    ASSERT_EQ(map.groups.size(), 2u);
    EXPECT_EQ(map.groups[0].selector, "round-robin");
    EXPECT_EQ(map.groups[0].paths[1].path, "a2");
    EXPECT_EQ(map.groups[1].selector, "service-time");
    EXPECT_EQ(map.groups[1].paths[0].weight, 50u);
    ASSERT_EQ(config.exports.size(), 1u);
    EXPECT_EQ(config.exports[0].nbd[0].text(), "unix:/run/braidway/db.sock");
    EXPECT_EQ(config.exports[0].nbd[1].text(), "tcp:127.0.0.1:10809");
    EXPECT_EQ(config.map_of_path("z"), &map);
    EXPECT_EQ(config.map_of_path("y"), nullptr);
}

TEST(Config, EverySelectorIsReadWithItsArguments) {
    const Config config = good(R"(
[path.a1]
device = "zero:1G"
[path.a2]
device = "zero:1G"
[path.b1]
device = "zero:1G"
[path.b2]
device = "zero:1G"
[path.c1]
device = "zero:1G"
[path.d1]
device = "zero:1G"
[path.e1]
device = "zero:1G"
[map.db]
selector = "queue-length"
groups = [
    { selector = "io-affinity", paths = [{ path = "a1", arguments = ["f"] }, { path = "a2", arguments = ["f0"] }] },
    { selector = "historical-service-time", selector_arguments = [900, 2], paths = ["b1"] },
    { selector = "round-robin-count", paths = [{ path = "b2", arguments = [100, 1048576] }] },
    { selector = "latency", paths = ["c1"] },
    { paths = ["d1"] },
    { selector = "service-time", paths = [{ path = "e1", weight = 7 }] },
]
)");
    const std::vector<GroupConfig>& groups = config.maps.at(0).groups;
    ASSERT_EQ(groups.size(), 6u);
    using Words = std::vector<std::string>;
    EXPECT_EQ(groups[0].paths[1].selector_words(), Words{"f0"});
    EXPECT_EQ(groups[1].selector_arguments, (Words{"900", "2"}));
    EXPECT_EQ(groups[2].paths[0].selector_words(), (Words{"100", "1048576"}));
    EXPECT_EQ(groups[3].selector, "latency");
    EXPECT_EQ(groups[3].paths[0].selector_words(), Words{});
    EXPECT_EQ(groups[4].selector, "queue-length");
    EXPECT_EQ(groups[5].paths[0].selector_words(), (Words{"1", "7"}));
}

TEST(Config, DefaultsAreThoseOfTheLimits) {
    const Config config = good(small_file + "nbd = [\"/run/db.sock\"]\n");
    EXPECT_EQ(config.api.socket, "/run/braidway/api.sock");
    EXPECT_EQ(config.api.mode, 0600u);
    EXPECT_EQ(config.daemon, DaemonConfig{});
    EXPECT_EQ(config.paths[0].check, CheckConfig{});
    EXPECT_EQ(config.paths[0].io_timeout, limits::io_timeout_default);
    EXPECT_EQ(config.maps[0].no_path.timeout, limits::no_path_timeout_default);
    EXPECT_EQ(config.maps[0].initial_group, 1u);
    EXPECT_TRUE(config.exports[0].extended_headers);
    EXPECT_EQ(config.exports[0].minimum_block, std::nullopt);
}

TEST(Config, EveryKeyOfTheProgramIsRead) {
    const Config config = good(R"(
[api]
socket = "run/api.sock"
mode = "0660"
[daemon]
io_backend = "epoll"
log_level = "debug"
log_format = "journald"
shutdown_timeout = "3 s"
nbd_connections_max = 7
[path.a1]
device = "error:64K"
read_only = true
block_size = 4096
[map.db]
groups = [{ name = "controller A", paths = ["a1"] }]
no_path_timeout = "queue"
initial_group = 1
held_requests_max = 5
held_bytes_max = "1M"
attempts_max = 2
fence_timeout = "5 s"
kernel_strict = true
read_only = true
[export.db]
map = "db"
nbd = ["tcp:[::1]:10810"]
read_only = true
description = "the database"
minimum_block = 4096
maximum_payload = "1M"
extended_headers = false
tls = "allowed"
tls_certificates = "pki"
tls_verify_peer = true
)");
    EXPECT_EQ(config.api.socket, "/etc/run/api.sock");
    EXPECT_EQ(config.api.mode, 0660u);
    EXPECT_EQ(config.daemon,
              (DaemonConfig{IoBackend::epoll, Severity::debug, LogFormat::journald, 3s, 7}));
    EXPECT_EQ(config.paths[0].device.kind, DeviceConfig::Kind::error);
    EXPECT_TRUE(config.paths[0].read_only);
    EXPECT_EQ(config.paths[0].block_bytes, 4096u);
    EXPECT_EQ(config.maps[0].groups[0].name, "controller A");
    EXPECT_EQ(config.maps[0].no_path, (NoPathConfig{true, std::nullopt}));
    EXPECT_EQ(config.maps[0].held_requests_max, 5u);
    EXPECT_EQ(config.maps[0].held_bytes_max, 1u << 20);
    EXPECT_EQ(config.maps[0].attempts_max, 2u);
    EXPECT_EQ(config.maps[0].fence_timeout, 5s);
    EXPECT_FALSE(config.maps[0].quiesce_time.has_value());
    EXPECT_TRUE(config.maps[0].kernel_strict);
    EXPECT_TRUE(config.maps[0].read_only);
    EXPECT_TRUE(config.exports[0].read_only);
    EXPECT_EQ(config.exports[0].description, "the database");
    EXPECT_EQ(config.exports[0].minimum_block, 4096u);
    EXPECT_EQ(config.exports[0].maximum_payload, 1u << 20);
    EXPECT_FALSE(config.exports[0].extended_headers);
    EXPECT_EQ(config.exports[0].tls, wire::NbdTls::allowed);
    EXPECT_EQ(config.exports[0].tls_files,
              (tls::TlsServerConfig{.certificates = "/etc/pki", .verify_peer = true}));
}

TEST(Config, TheNearestOfPathMapAndDefaultsCounts) {
    const Config config = good(R"(
[defaults]
polling_interval = "2 s"
max_polling_interval = "6 s"
checker_timeout = "1 s"
io_timeout = "off"
selector = "round-robin"
no_path_timeout = "fail"
[path.a1]
device = "zero:1G"
polling_interval = "10 s"
[path.a2]
device = "zero:1G"
io_timeout = "9 s"
[map.db]
groups = [{ paths = ["a1", "a2"] }]
checker = "none"
)");
    EXPECT_EQ(config.paths[0].check.polling_interval, 10s);
    EXPECT_EQ(config.paths[0].check.max_polling_interval, 40s) << "the default's 6 s are too short";
    EXPECT_EQ(config.paths[0].check.checker, CheckConfig::Checker::none);
    EXPECT_EQ(config.paths[0].check.timeout, 1s);
    EXPECT_EQ(config.paths[0].io_timeout, std::nullopt);
    EXPECT_EQ(config.paths[1].check.polling_interval, 2s);
    EXPECT_EQ(config.paths[1].check.max_polling_interval, 6s);
    EXPECT_EQ(config.paths[1].io_timeout, 9s);
    EXPECT_EQ(config.maps[0].groups[0].selector, "round-robin");
    EXPECT_EQ(config.maps[0].no_path, (NoPathConfig{false, std::nullopt}));
}

TEST(Config, HardwareHandlersAreWrittenAsInATableLine) {
    const auto handler_of = [](const std::string& line) {
        return good("[path.a1]\ndevice = \"zero:1G\"\nchecker = \"tur\"\n[map.db]\n" + line +
                    "\ngroups = [{ paths = [\"a1\"] }]\n")
            .maps[0]
            .handler;
    };
    EXPECT_EQ(handler_of(""), HandlerConfig{});
    EXPECT_EQ(handler_of("hardware_handler = \"auto\""), HandlerConfig{});
    for (const char* none : {"off", "0"}) {
        const HandlerConfig off = handler_of(fmt::format("hardware_handler = \"{}\"", none));
        EXPECT_FALSE(off.automatic);
        EXPECT_EQ(off.name, "");
    }
    for (const char* words : {"emc 0 1", "3 emc 0 1", " emc  0 1"}) {
        const HandlerConfig emc = handler_of(fmt::format("hardware_handler = \"{}\"", words));
        EXPECT_EQ(emc.name, "emc") << words;
        EXPECT_EQ(emc.words, (std::vector<std::string>{"0", "1"})) << words;
    }
    const HandlerConfig tuned =
        handler_of("hardware_handler = \"1 alua\"\npg_init_retries = 50\npg_init_delay = \"5 s\"");
    EXPECT_EQ(tuned.retries, 50u);
    EXPECT_EQ(tuned.delay, 5s);
}

TEST(Config, WrongHardwareHandlersAreFoundWhenTheFileIsRead) {
    struct Row {
        const char* words;
        const char* problem;
    };
    const Row rows[] = {
        {"alau", "unknown hardware handler 'alau'; there are alua, emc, rdac and hp_sw"},
        {"2 alua", "the number at its beginning counts the words behind it, and there are 1"},
        {"alua 7", "optimize_stpg (0 or 1)"},
        {"", "expected \"auto\", \"off\" or a handler"},
        {"1", "the number at its beginning counts"}};
    for (const Row& row : rows) {
        const auto problems = problems_of(
            "[path.a1]\ndevice = \"zero:1G\"\n[map.db]\ngroups = [{ paths = [\"a1\"] }]\n" +
            fmt::format("hardware_handler = \"{}\"\n", row.words));
        ASSERT_EQ(problems.size(), 1u) << row.words;
        EXPECT_THAT(problems[0], testing::StartsWith("/etc/b.toml:5: map.db.hardware_handler: "));
        EXPECT_THAT(problems[0], testing::HasSubstr(row.problem));
    }
}

TEST(Config, SectionsKeepTheOrderOfTheFile) {
    const Config config = good(R"(
[path.z]
device = "zero:1G"
[path.a]
device = "zero:1G"
[map.y]
groups = [{ paths = ["z"] }]
[map.b]
groups = [{ paths = ["a"] }]
)");
    EXPECT_EQ(config.paths[0].name, "z");
    EXPECT_EQ(config.paths[1].name, "a");
    EXPECT_EQ(config.maps[0].name, "y");
    EXPECT_EQ(config.maps[1].name, "b");
}

struct BadFile {
    const char* name;
    std::string text;
    std::vector<std::string> problems;
};

class BadConfig : public testing::TestWithParam<BadFile> {};

TEST_P(BadConfig, SaysFileLineKeyAndWhatWasExpected) {
    EXPECT_EQ(problems_of(GetParam().text), GetParam().problems);
}

const std::string export_file = small_file + "nbd = [\"/run/db.sock\"]\n";  // Ends at line 7.
const std::string rest = "[map.db]\ngroups = [{ paths = [\"a1\"] }]\n";

std::string path_file(const std::string& lines) {
    return "[path.a1]\n" + lines + "\n" + rest;
}

std::string map_file(const std::string& lines) {
    return "[path.a1]\ndevice = \"zero:1G\"\n[map.db]\n" + lines + "\n";
}

const std::string device_forms =
    "; expected \"file:PATH\", \"nbd://HOST/EXPORT\", \"iscsi://HOST/TARGET/LUN\", \"zero:SIZE\" "
    "or "
    "\"error:SIZE\"";

const BadFile bad_files[] = {
    {"Syntax",
     "[path.a1]\ndevice = \n",
     {"/etc/b.toml:2: Error while parsing key-value pair: "
      "expected value, saw '\\n'"}},
    {"UnknownSection",
     export_file + "[maps.x]\n",
     {"/etc/b.toml:8: maps: unknown key (did you mean 'map'?)"}},
    {"UnknownKeyNearAnother",
     path_file("devise = \"zero:1G\""),
     {"/etc/b.toml:1: path.a1.device: is missing" + device_forms,
      "/etc/b.toml:2: path.a1.devise: unknown key (did you mean 'device'?)"}},
    {"UnknownKeyFarFromAll",
     export_file + "banana = 1\n",
     {"/etc/b.toml:8: export.db.banana: unknown key; expected one of description, "
      "extended_headers, map, maximum_payload, minimum_block, nbd, read_only, tls, "
      "tls_certificates, tls_psk, tls_verify_peer"}},
    {"QuiesceTimeAndFenceTimeoutExcludeEachOther",
     map_file("groups = [{ paths = [\"a1\"] }]\nquiesce_time = \"5 s\"\nfence_timeout = \"5 s\""),
     {"/etc/b.toml:6: map.db.fence_timeout: has no effect beside quiesce_time; leave one of them "
      "out"}},
    {"EveryProblemIsReported",
     "[daemon]\nio_backend = \"uring\"\nlog_level = 3\n[path.a1]\ndevice = \"zero:x\"\n",
     {"/etc/b.toml:2: daemon.io_backend: 'uring' is unknown; expected one of \"auto\", "
      "\"io_uring\", \"epoll\"",
      "/etc/b.toml:3: daemon.log_level: is a whole number; expected one of \"debug\", \"info\", "
      "\"warning\", \"critical\"",
      "/etc/b.toml:4: path.a1: is in no map; put it into a group of a map or take it out",
      "/etc/b.toml:5: path.a1.device: 'x' is not a size; expected a whole number with a unit such "
      "as 512, 64K, 10M or 1G"}},
    {"DeviceMissing", path_file(""), {"/etc/b.toml:1: path.a1.device: is missing" + device_forms}},
    {"DeviceWithoutScheme",
     path_file("device = \"/srv/disk.img\""),
     {"/etc/b.toml:2: path.a1.device: '/srv/disk.img' has no scheme" + device_forms}},
    {"NbdUriWrong",
     path_file("device = \"nbd://server:99999/x\""),
     {"/etc/b.toml:2: path.a1.device: " +
      wire::NbdUri::parse("nbd://server:99999/x").error().message}},
    {"NbdKeysOfAFile",
     path_file("device = \"zero:1G\"\nconnections = 2\nresend_quiesce = \"5 s\""),
     {"/etc/b.toml:3: path.a1.connections: belongs to nbd: devices only",
      "/etc/b.toml:4: path.a1.resend_quiesce: belongs to nbd: and iscsi: devices only"}},
    {"NbdKeysOutOfRange",
     path_file("device = \"nbd://h/x\"\nconnections = 99\nfingerprint = [\"x\"]"),
     {"/etc/b.toml:3: path.a1.connections: 99 is out of range; expected a whole number "
      "from 1 to 16",
      "/etc/b.toml:4: path.a1.fingerprint: 'x' is no range; expected offset and length such as "
      "\"0+512\" or \"1MiB+4KiB\", at most 1 MiB"}},
    {"QuiesceLongerThanTheFence",
     path_file("device = \"nbd://h/x\"\nresend_quiesce = \"2 min\""),
     {"/etc/b.toml:1: path.a1.resend_quiesce: 120 s is not shorter than the fence_timeout of map "
      "db (60 s), which would answer its writes with an error"}},
    {"DeviceTypo",
     path_file("device = \"fil:/x\""),
     {"/etc/b.toml:2: path.a1.device: 'fil:' is unknown (did you mean 'file'?)" + device_forms}},
    {"DeviceEmpty",
     path_file("device = \"file:\""),
     {"/etc/b.toml:2: path.a1.device: the file has no name" + device_forms}},
    {"DeviceSizeZero",
     path_file("device = \"zero:0\""),
     {"/etc/b.toml:2: path.a1.device: '0' is no size for a device"}},
    {"HolesOfAFile",
     path_file("device = \"file:/x\"\nholes = true"),
     {"/etc/b.toml:3: path.a1.holes: belongs to zero: devices only"}},
    {"BlockSize",
     path_file("device = \"zero:1G\"\nblock_size = 1000"),
     {"/etc/b.toml:3: path.a1.block_size: 1000 is no power of two"}},
    {"IoTimeoutWithoutUnit",
     path_file("device = \"zero:1G\"\nio_timeout = 30"),
     {"/etc/b.toml:3: path.a1.io_timeout: is a whole number; expected a duration with its unit, "
      "such as \"500 ms\" or \"60 s\""}},
    {"IntervalsReversed",
     path_file("device = \"zero:1G\"\npolling_interval = \"9 s\"\nmax_polling_interval = \"5 s\""),
     {"/etc/b.toml:4: path.a1.max_polling_interval: is shorter than polling_interval"}},
    {"IntervalTooShort",
     path_file("device = \"zero:1G\"\npolling_interval = \"1 ms\""),
     {"/etc/b.toml:3: path.a1.polling_interval: '1 ms' is out of range; expected 10 ms to 86400 "
      "s"}},
    {"LayerWithoutKind",
     path_file("device = \"zero:1G\"\nlayers = [{ read = \"5 ms\" }]"),
     {"/etc/b.toml:3: path.a1.layers[1].kind: is missing; expected one of delay, error, flakey, "
      "linear"}},
    {"LayerParameter",
     path_file("device = \"zero:1G\"\nlayers = [\n{ kind = \"delay\" },\n"
               "{ kind = \"error\", clas = \"io\" }]"),
     {"/etc/b.toml:5: path.a1.layers[2].clas: unknown parameter of a layer of kind error (did you "
      "mean "
      "'class'?); it has class, ops, offset, length, blocks, chance and count"}},
    {"LayerTwice",
     path_file("device = \"zero:1G\"\nlayers = [{ kind = \"error\" }, { kind = \"error\" }]"),
     {"/etc/b.toml:3: path.a1.layers[2].kind: the path has a layer of kind error already; `set "
      "path` "
      "names it by its kind"}},
    {"LayerNoTable",
     path_file("device = \"zero:1G\"\nlayers = [\"delay\"]"),
     {"/etc/b.toml:3: path.a1.layers[1]: expected a table such as { kind = \"delay\", read = \"5 "
      "ms\" }"}},
    {"LayersTooMany",
     path_file("device = \"zero:1G\"\nlayers = [1, 2, 3, 4, 5, 6, 7, 8, 9]"),
     {"/etc/b.toml:3: path.a1.layers: has 9 layers; expected at most 8"}},
    {"PathName",
     "[path.\"a 1\"]\ndevice = \"zero:1G\"\n",
     {"/etc/b.toml:1: path.a 1: 'a 1' is no name; expected 1 to 128 of letters, digits, '.', '_' "
      "and '-'"}},
    {"PathNoTable",
     "path.a1 = \"zero:1G\"\n",
     {"/etc/b.toml:1: path.a1: expected a section [path.a1]"}},
    {"PathTwice",
     path_file("device = \"zero:1G\"") + "[path.a1]\n",
     {"/etc/b.toml:5: Error while parsing table header: cannot redefine existing table "
      "'path.a1'"}},
    {"PathInTwoGroups",
     map_file("groups = [{ paths = [\"a1\"] },\n{ paths = [\"a1\"] }]"),
     {"/etc/b.toml:5: map.db.groups[2].paths[1]: path 'a1' is in a group already (line 4)"}},
    {"PathInTwoMaps",
     export_file + "[map.x]\ngroups = [{ paths = [\"a1\"] }]\n",
     {"/etc/b.toml:9: map.x.groups[1].paths[1]: path 'a1' is in a group already (line 4)"}},
    {"PathUnknown",
     map_file("groups = [{ paths = [\"a1\", \"a2\"] }]"),
     {"/etc/b.toml:4: map.db.groups[1].paths[2]: no path is called 'a2' (did you mean 'a1'?); "
      "expected one of a1"}},
    {"GroupsMissing",
     map_file(""),
     {"/etc/b.toml:1: path.a1: is in no map; put it into a group of a map or take it out",
      "/etc/b.toml:3: map.db.groups: is missing; expected an array such as [{ paths = [\"a1\"] "
      "}]"}},
    {"GroupsEmpty",
     map_file("groups = []"),
     {"/etc/b.toml:1: path.a1: is in no map; put it into a group of a map or take it out",
      "/etc/b.toml:4: map.db.groups: has 0 groups; expected 1 to 1024"}},
    {"GroupWithoutPaths",
     map_file("groups = [{ paths = [\"a1\"] }, { paths = [] }]"),
     {"/etc/b.toml:4: map.db.groups[2].paths: is empty; a group has at least one path"}},
    {"SelectorTypo",
     map_file("groups = [{ selector = \"round_robin\", paths = [\"a1\"] }]"),
     {"/etc/b.toml:4: map.db.groups[1].selector: 'round_robin' is unknown (did you mean "
      "'round-robin'?); expected one of \"round-robin\", \"queue-length\", \"service-time\", "
      "\"historical-service-time\", \"io-affinity\", \"round-robin-count\", \"latency\""}},
    {"SelectorArguments",
     map_file("groups = [{ selector_arguments = [1024], selector = \"historical-service-time\", "
              "paths = [\"a1\"] }]"),
     {"/etc/b.toml:4: map.db.groups[1].selector: path selector constructor failed: "
      "historical-service-time: base_weight '1024': expected a whole number from 0 to 1023"}},
    {"PathArguments",
     map_file("groups = [{ paths = [{ path = \"a1\", arguments = [1, \"50x\"] }] }]"),
     {"/etc/b.toml:4: map.db.groups[1].selector: service-time ps: invalid throughput value: path "
      "1: relative_throughput '50x': expected a whole number from 0 to 100"}},
    {"PathArgumentsMissing",
     map_file("groups = [{ selector = \"io-affinity\", paths = [\"a1\"] }]"),
     {"/etc/b.toml:4: map.db.groups[1].selector: io-affinity ps: invalid number of arguments: path "
      "1: 0 words, expected one: a CPU mask such as ff"}},
    {"ArgumentsThatAreNoWords",
     map_file("groups = [{ selector_arguments = [[1]], paths = [{ path = \"a1\", arguments = "
              "1 }] }]"),
     {"/etc/b.toml:4: map.db.groups[1].selector_arguments: expected words or whole numbers, such "
      "as [1, 50]",
      "/etc/b.toml:4: map.db.groups[1].paths[1].arguments: is a whole number; expected an array of "
      "words or whole numbers, such as [1, 50]"}},
    {"ArgumentsBesideWeight",
     map_file("groups = [{ paths = [{ path = \"a1\", weight = 50, arguments = [1] }] }]"),
     {"/etc/b.toml:4: map.db.groups[1].paths[1].arguments: stands beside weight; expected one of "
      "them"}},
    {"WeightOutOfRange",
     map_file("groups = [{ paths = [{ path = \"a1\", weight = 101 }] }]"),
     {"/etc/b.toml:4: map.db.groups[1].paths[1].weight: 101 is out of range; expected a whole "
      "number from 0 to 100"}},
    {"WeightOfRoundRobin",
     map_file("groups = [{ selector = \"round-robin\", paths = [{ path = \"a1\", weight = 1 }] }]"),
     {"/etc/b.toml:4: map.db.groups[1].paths[1]: weight belongs to the selector service-time "
      "only"}},
    {"NoPathTimeout",
     map_file("groups = [{ paths = [\"a1\"] }]\nno_path_timeout = \"never\""),
     {"/etc/b.toml:5: map.db.no_path_timeout: 'never' is unknown; expected a duration such as \"60 "
      "s\", \"queue\" or \"fail\""}},
    {"InitialGroup",
     map_file("groups = [{ paths = [\"a1\"] }]\ninitial_group = 2"),
     {"/etc/b.toml:5: map.db.initial_group: 2 is out of range; expected a whole number from 1 to "
      "1"}},
    {"HeldBytes",
     map_file("groups = [{ paths = [\"a1\"] }]\nheld_bytes_max = \"1K\""),
     {"/etc/b.toml:5: map.db.held_bytes_max: '1K' is out of range; expected 4.0K to 1.0T"}},
    {"ExportWithoutAddress",
     small_file,
     {"/etc/b.toml:5: export.db.nbd: is missing; expected an array of addresses such as "
      "\"unix:/run/db.sock\""}},
    {"ExportAddress",
     small_file + "nbd = [\"unix:/a\", \"db\"]\n",
     {"/etc/b.toml:7: export.db.nbd[2]: 'db' is not an address; expected unix:/PATH, tcp:HOST:PORT "
      "or tcp:[IPV6]:PORT"}},
    {"ExportAddressTwice",
     small_file + "nbd = [\"unix:/a\", \"/a\"]\n",
     {"/etc/b.toml:7: export.db.nbd[2]: 'unix:/a' is listed twice"}},
    {"ExportOnControlSocket",
     small_file + "nbd = [\"/run/braidway/api.sock\"]\n",
     {"/etc/b.toml:6: export.db.nbd: 'unix:/run/braidway/api.sock' is the control socket "
      "(api.socket)"}},
    {"ExportAddressesCollide",
     small_file + "nbd = [\"tcp:127.0.0.1:1\", \"tcp:0.0.0.0:1\"]\n",
     {"/etc/b.toml:6: export.db.nbd: 'tcp:0.0.0.0:1' and 'tcp:127.0.0.1:1' of export 'db' cannot "
      "both be listened on"}},
    {"ExportMapUnknown",
     export_file + "[export.x]\nmap = \"bd\"\nnbd = [\"/run/x.sock\"]\n",
     {"/etc/b.toml:9: export.x.map: no map is called 'bd'; expected one of db"}},
    {"ExportMinimumBlock",
     export_file + "minimum_block = \"128K\"\n",
     {"/etc/b.toml:8: export.db.minimum_block: '128K' is out of range; expected 1B to 64K"}},
    {"TlsUnknown",
     export_file + "tls = \"yes\"\n",
     {"/etc/b.toml:8: export.db.tls: 'yes' is unknown; expected one of \"off\", \"allowed\", "
      "\"required\""}},
    {"TlsWithoutFiles",
     export_file + "tls = \"required\"\n",
     {"/etc/b.toml:8: export.db.tls: needs tls_certificates = \"FOLDER\" or tls_psk = \"FILE\""}},
    {"TlsWithBothSortsOfFiles",
     export_file + "tls_certificates = \"/pki\"\ntls_psk = \"/keys\"\n",
     {"/etc/b.toml:9: export.db.tls_psk: excludes tls_certificates; leave one of them out"}},
    {"TlsVerifyPeerWithKeys",
     export_file + "tls_psk = \"/keys\"\ntls_verify_peer = true\n",
     {"/etc/b.toml:9: export.db.tls_verify_peer: is for tls_certificates; a client without a key "
      "of tls_psk is refused in any case"}},
    {"TlsFolderEmpty",
     export_file + "tls_certificates = \"\"\n",
     {"/etc/b.toml:8: export.db.tls_certificates: expected a name"}},
    {"TlsDiffersAtOneAddress",
     export_file + "[export.x]\nmap = \"db\"\nnbd = [\"/run/db.sock\"]\ntls_psk = \"/keys\"\n",
     {"/etc/b.toml:9: export.x.nbd: 'unix:/run/db.sock' is also of export 'db', whose tls keys "
      "differ; TLS begins before an export is chosen: write the same keys in both, or use two "
      "addresses"}},
    {"ApiMode",
     export_file + "[api]\nmode = \"644x\"\n",
     {"/etc/b.toml:9: api.mode: '644x': expected \"0600\", \"0660\" or \"0666\""}},
    {"ApiSocketTooLong",
     export_file + "[api]\nsocket = \"/" + std::string(120, 'x') + "\"\n",
     {"/etc/b.toml:9: api.socket: '/" + std::string(120, 'x') +
      "' is too long for a unix socket: 121 bytes, at most 107"}},
    {"LineBreaksInValues",
     path_file("device = \"a\\nb\""),
     {"/etc/b.toml:2: path.a1.device: 'a?b' has no scheme" + device_forms}},
};

INSTANTIATE_TEST_SUITE_P(Files, BadConfig, testing::ValuesIn(bad_files),
                         [](const auto& each) { return each.param.name; });

TEST(Config, TlsIsRequiredWhereItsFilesAreNamed) {
    const auto mode = [](const std::string& keys) {
        return good(export_file + keys).exports[0].tls;
    };
    EXPECT_EQ(mode(""), wire::NbdTls::off);
    EXPECT_EQ(mode("tls_psk = \"/keys\"\n"), wire::NbdTls::required);
    EXPECT_EQ(mode("tls_certificates = \"/pki\"\n"), wire::NbdTls::required);
    EXPECT_EQ(mode("tls_certificates = \"/pki\"\ntls = \"off\"\n"), wire::NbdTls::off);
}

TEST(Config, ExportsOfOneAddressMayHaveTheSameTlsKeys) {
    const std::string keys = "tls_psk = \"/keys\"\n";
    const Config config = good(export_file + keys + "[export.x]\nmap = \"db\"\n" +
                               "nbd = [\"/run/db.sock\"]\n" + keys);
    EXPECT_EQ(config.exports[1].tls, wire::NbdTls::required);
}

TEST(Config, SeveralExportsMayShareAnAddress) {
    const Config config =
        good(export_file + "[export.x]\nmap = \"db\"\nnbd = [\"/run/db.sock\"]\n");
    EXPECT_EQ(config.exports.size(), 2u);
}

TEST(Config, AnUnreadableFileIsOneProblem) {
    const auto config = load_config("/nonexistent/b.toml");
    ASSERT_FALSE(config);
    EXPECT_EQ(problems_text(config.error()),
              "/nonexistent/b.toml: cannot be opened: No such file or directory\n");
    const auto folder = load_config("/");
    ASSERT_FALSE(folder);
    EXPECT_EQ(problems_text(folder.error()), "/: cannot be read: Is a directory\n");
}

TEST(Config, AFileTooLargeIsRefusedUnread) {
    const auto config = parse_config(std::string(limits::config_bytes_max + 1, '#'), "b.toml");
    ASSERT_FALSE(config);
    EXPECT_EQ(problems_text(config.error()),
              "b.toml: is too large; expected at most 4194304 bytes\n");
}

}  // namespace
}  // namespace braidway::daemon
