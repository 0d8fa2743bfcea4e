// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "driver.h"
#include "multipath/dm_table.h"

namespace braidway::multipath {
namespace {

MultipathSpec service_times() {
    MultipathSpec spec = make_spec({make_group({"a", "b"}, "service-time"), make_group({"c"})});
    spec.groups[0].paths[0].arguments = {"5", "4"};
    spec.no_path = {.queue = true, .timeout = {}};
    return spec;
}

TEST(MultipathStatusLine, IsTheKernels) {
    Driver map(service_times());
    EXPECT_EQ(dm_info_text(map.map->dm_info()),
              "2 1 0 0 2 1 E 0 2 2 a A 0 0 4 b A 0 0 1 E 0 1 0 c A 0");
    const Route sent = map.route(8192);
    map.fail("b");
    EXPECT_EQ(dm_info_text(map.map->dm_info()),
              "2 0 0 0 2 1 A 0 2 2 a A 0 8192 4 b F 1 0 1 E 0 1 0 c A 0");
    map.complete(sent);
    map.message(Message::disable_group, 1);
    EXPECT_EQ(dm_info_text(map.map->dm_info()),
              "2 0 0 0 2 1 D 0 2 2 a A 0 0 4 b F 1 0 1 E 0 1 0 c A 0");
}

TEST(MultipathStatusLine, TheTableIsAsItIsNow) {
    Driver map(service_times());
    EXPECT_EQ(dm_table_text(map.map->table()),
              "1 queue_if_no_path 0 2 1 service-time 0 2 2 a 1 4 b 1 1 round-robin 0 1 1 c 1");
    map.message(Message::fail_if_no_path);
    map.message(Message::switch_group, 2);
    EXPECT_EQ(dm_table_text(map.map->table()),
              "0 0 2 2 service-time 0 2 2 a 1 4 b 1 1 round-robin 0 1 1 c 1");
}

TEST(MultipathClone, DecidesTheSameAndIsIndependent) {
    Driver map(two_groups());
    const Route sent = map.route();
    Driver copy(two_groups());
    copy.map = map.map->clone();
    std::vector<uint64_t> here;
    std::vector<uint64_t> there;
    map.map->append_state(here);
    copy.map->append_state(there);
    EXPECT_EQ(here, there);
    EXPECT_EQ(copy.complete(sent), Verdict::done) << "a ticket is good for both";
    EXPECT_EQ(map.io(3), copy.io(3));
    copy.fail("a1");
    EXPECT_EQ(map.path_status("a1").state, PathState::up);
    there.clear();
    copy.map->append_state(there);
    EXPECT_NE(here, there);
}

}  // namespace
}  // namespace braidway::multipath
