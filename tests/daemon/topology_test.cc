// SPDX-License-Identifier: Apache-2.0
#include "daemon/topology.h"

#include <gtest/gtest.h>

#include "fake_control_target.h"

namespace braidway::daemon {
namespace {

TEST(Topology, HasTheFormOfMultipathLl) {
    EXPECT_EQ(topology_text(sample_snapshot()),
              R"(db dm-0 BRAIDWAY,VOLUME
size=1.0G features='1 queue_if_no_path' hwhandler='0' wp=rw
|-+- policy='round-robin 0' prio=0 status=active
| |- a1  file:/srv/a1.img  active ready  running
| `- a22 file:/srv/a22.img failed faulty held
`-+- policy='service-time 0' prio=0 status=enabled
  `- b1  file:/srv/b1.img  active ready  running
spare dm-1 BRAIDWAY,VOLUME
size=0B features='0' hwhandler='0' wp=ro
)");
}

TEST(Topology, ChecksHaveTheWordsOfMultipath) {
    Snapshot snapshot = sample_snapshot();
    snapshot.maps.pop_back();
    snapshot.paths[0].check = "pending";
    snapshot.paths[1].check = "timeout";
    snapshot.paths[2].check = "unchecked";
    const std::string text = topology_text(snapshot);
    EXPECT_NE(text.find("a1  file:/srv/a1.img  active i/o pending running"), std::string::npos);
    EXPECT_NE(text.find("a22 file:/srv/a22.img failed i/o timeout held"), std::string::npos);
    EXPECT_NE(text.find("b1  file:/srv/b1.img  active undef       running"), std::string::npos);
}

TEST(Topology, PathsSayWhoFailedThemWhenAndWhy) {
    const std::string text = paths_text(sample_snapshot());
    const size_t line = text.find("\na22");
    ASSERT_NE(line, std::string::npos) << text;
    EXPECT_EQ(text.substr(text.find('\n', line + 1) + 1),
              "    failed 3 s ago by operator (held until reinstated): fail path\n"
              "    check 1.5 s ago: read the first block\n"
              "    layer error on: class=transport ops=all\n"
              "b1    db       2  up         ready   1.5 s ago  in 5 s  direct  1.0G          0    "
              "120       0       0  480K       0B      0  -            file:/srv/b1.img\n"
              "    check 1.5 s ago: read the first block\n");
    EXPECT_NE(text.find("down,held  faulty"), std::string::npos);
    EXPECT_NE(text.find("transport=2"), std::string::npos);
}

TEST(Topology, HardwareHandlersStandWhereMultipathLlHasThem) {
    Snapshot snapshot = sample_snapshot();
    snapshot.maps[0].hardware_handler = "2 alua 1";
    snapshot.maps[0].activating = true;
    PathSnapshot& path = snapshot.paths[0];
    path.check = "ghost";
    path.handler_state = "group 2 standby";
    path.vetoed = true;
    snapshot.paths[1].handler_remark = "its device takes no SCSI commands";
    const std::string topology = topology_text(snapshot);
    EXPECT_NE(topology.find("hwhandler='2 alua 1' wp=rw"), std::string::npos) << topology;
    EXPECT_NE(topology.find("a1  file:/srv/a1.img  active ghost  running"), std::string::npos)
        << topology;
    const std::string paths = paths_text(snapshot);
    EXPECT_NE(paths.find("\n    hardware handler: group 2 standby; takes no I/O\n"),
              std::string::npos)
        << paths;
    EXPECT_NE(paths.find("\n    used without the hardware handler: its device takes no SCSI"),
              std::string::npos)
        << paths;
    EXPECT_NE(
        maps_text(snapshot).find("    hardware handler 2 alua 1: I/O waits for an activation"),
        std::string::npos);
}

TEST(Topology, PathsOverANetworkSayWhereTheyLeadTo) {
    Snapshot snapshot = sample_snapshot();
    PathSnapshot& path = snapshot.paths[0];
    path.fabric = true;
    path.identity = "3600";
    path.connection = "iscsi host LUN 1";
    EXPECT_NE(paths_text(snapshot).find("\n    leads to 3600, iscsi host LUN 1\n"),
              std::string::npos);
    path.io_mode = "closed";
    EXPECT_EQ(paths_text(snapshot).find("leads to"), std::string::npos) << "not any more";
}

TEST(Topology, MapsExportsAndStatusShowTheirFigures) {
    const Snapshot snapshot = sample_snapshot();
    EXPECT_EQ(
        exports_text(snapshot),
        "EXPORT  MAP  MODE  CONNECTIONS  IN FLIGHT  REQUESTS  ERRORS  ADDRESSES               "
        "               DESCRIPTION\n"
        "db      db   rw              2          0       150       1  unix:/run/db.sock "
        "tcp:127.0.0.1:10809  the \"database\"\n");
    const std::string maps = maps_text(snapshot);
    EXPECT_NE(maps.find("db     1.0G    512  rw      2/3"), std::string::npos) << maps;
    EXPECT_NE(maps.find("    group 1 (controller A): active, round-robin: a1 a22\n"),
              std::string::npos);
    const std::string status = status_text(snapshot);
    EXPECT_NE(status.find("maps:         2, 1 WITHOUT A PATH\npaths:        2 of 3 up\n"),
              std::string::npos)
        << status;
}

TEST(Topology, DmIsEachMapsTableAndStatusLine) {
    Snapshot snapshot;
    MapSnapshot& map = snapshot.maps.emplace_back();
    map.name = "db";
    map.dm_table = "0 8 multipath 0 0 0 0";
    map.dm_status = "0 8 multipath 2 1 0 0 0 0";
    EXPECT_EQ(dm_text(snapshot),
              "db: 0 8 multipath 0 0 0 0\n"
              "db: 0 8 multipath 2 1 0 0 0 0\n");
}

TEST(Topology, NothingToShowIsNoError) {
    EXPECT_EQ(topology_text(Snapshot{}), "");
    EXPECT_EQ(exports_text(Snapshot{}).find("EXPORT"), 0u);
}

}  // namespace
}  // namespace braidway::daemon
