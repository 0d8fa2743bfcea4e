// SPDX-License-Identifier: Apache-2.0
// What a map tells its brain of the CPU that it runs on.
#include <sched.h>

#include "map/fixture.h"
#include "multipath/cpu_mask.h"

namespace braidway::map {
namespace {

using multipath::make_group;
using multipath::make_spec;

class MapCpuTest : public MapTest {};

TEST_F(MapCpuTest, IsThatOfTheLane) {
    cpu_set_t allowed;
    ASSERT_EQ(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
    uint32_t last = 0;
    for (uint32_t cpu = 0; cpu < CPU_SETSIZE; ++cpu)
        if (CPU_ISSET(cpu, &allowed)) last = cpu;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(last, &one);
    ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
    multipath::MultipathSpec table = make_spec({make_group({"other", "own"}, "io-affinity")});
    table.groups[0].paths[0].arguments = {multipath::cpu_mask_text({last == 0 ? 1 : last - 1}, 0)};
    table.groups[0].paths[1].arguments = {multipath::cpu_mask_text({last}, 0)};
    make(table);
    submit();
    EXPECT_EQ(device("own").waiting.size(), 1u);
    device("own").answer_all(IoStatus::ok);
    sched_setaffinity(0, sizeof(allowed), &allowed);
}

}  // namespace
}  // namespace braidway::map
