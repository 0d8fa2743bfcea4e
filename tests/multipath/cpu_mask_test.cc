// SPDX-License-Identifier: Apache-2.0
#include "multipath/cpu_mask.h"

#include <gmock/gmock.h>

namespace braidway::multipath {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(CpuMask, IsReadFromHexadecimalDigits) {
    EXPECT_THAT(parse_cpu_mask("1").value(), ElementsAre(0));
    EXPECT_THAT(parse_cpu_mask("f0").value(), ElementsAre(4, 5, 6, 7));
    EXPECT_THAT(parse_cpu_mask("0000000A").value(), ElementsAre(1, 3));
    EXPECT_THAT(parse_cpu_mask("80000000").value(), ElementsAre(31));
}

TEST(CpuMask, HasGroupsOf32CpusTheHighestFirst) {
    EXPECT_THAT(parse_cpu_mask("1,00000001").value(), ElementsAre(0, 32));
    EXPECT_THAT(parse_cpu_mask("3,0,2").value(), ElementsAre(1, 64, 65)) << "short ones, too";
    EXPECT_THAT(parse_cpu_mask(",1,,1,").value(), ElementsAre(0, 32)) << "empty ones are skipped";
}

TEST(CpuMask, MayBeEmpty) {
    for (const char* text : {"", "0", ",", "00000000,0"})
        EXPECT_THAT(parse_cpu_mask(text).value(), ElementsAre()) << text;
}

TEST(CpuMask, IsRefusedWhenItIsNone) {
    for (const char* text : {"0x1", "g", "-1", "+1", " 1", "1 ", "1.0", "123456789", "0-3"})
        EXPECT_FALSE(parse_cpu_mask(text).has_value()) << text;
    std::string long_mask = "1";
    for (uint32_t group = 1; group < cpus_max / 32; ++group) long_mask += ",0";
    EXPECT_THAT(parse_cpu_mask(long_mask).value(), ElementsAre(cpus_max - 32));
    EXPECT_THAT(parse_cpu_mask("0," + long_mask).error().message, HasSubstr("more than 8192 CPUs"));
}

TEST(CpuMask, IsPrintedAsWideAsItMustBe) {
    EXPECT_EQ(cpu_mask_text({}, 0), "0");
    EXPECT_EQ(cpu_mask_text({0, 1, 2, 3}, 0), "f");
    EXPECT_EQ(cpu_mask_text({0}, 5), "01");
    EXPECT_EQ(cpu_mask_text({4}, 0), "10");
    EXPECT_EQ(cpu_mask_text({31}, 32), "80000000");
    EXPECT_EQ(cpu_mask_text({0, 32}, 0), "1,00000001");
    EXPECT_EQ(cpu_mask_text({0}, 65), "0,00000000,00000001");
}

TEST(CpuMask, IsReadBackAsItWasPrinted) {
    for (uint32_t seed = 1; seed < 200; ++seed) {
        CpuSet cpus;
        for (uint32_t cpu = seed % 7; cpu < seed; cpu += 1 + cpu % seed) cpus.push_back(cpu);
        EXPECT_EQ(parse_cpu_mask(cpu_mask_text(cpus, seed % 130)).value(), cpus);
    }
}

}  // namespace
}  // namespace braidway::multipath
