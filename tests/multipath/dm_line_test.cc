// SPDX-License-Identifier: Apache-2.0
#include "multipath/dm_line.h"

#include <gmock/gmock.h>

#include <cerrno>

namespace braidway::multipath {
namespace {

using testing::StartsWith;

TEST(DmLine, HasStartLengthAndTheParametersAsTheyAre) {
    const auto line = parse_dm_line(" 8\t65536 multipath 0 0  0 0\n");
    ASSERT_TRUE(line) << line.error().message;
    EXPECT_EQ(line->name, "");
    EXPECT_EQ(line->start_sectors, 8u);
    EXPECT_EQ(line->length_sectors, 65536u);
    EXPECT_EQ(line->parameters, " 0 0  0 0\n");
    EXPECT_EQ(line->words_before, 3u);
}

TEST(DmLine, MayBeginWithANameAsDmsetupPrintsIt) {
    const auto line = parse_dm_line("mpatha: 0 10 multipath");
    ASSERT_TRUE(line) << line.error().message;
    EXPECT_EQ(line->name, "mpatha");
    EXPECT_EQ(line->words_before, 4u);
    EXPECT_EQ(line->parameters, "");
}

TEST(DmLine, IsRefusedWithTheWordThatIsWrong) {
    const std::pair<const char*, const char*> lines[] = {
        {"", "word 1 '': expected the start"},
        {":", "word 1 ':': expected the start"},
        {"x 10 multipath", "word 1 'x': expected the start"},
        {"a: -1 10 multipath", "word 2 '-1': expected the start"},
        {"0 18446744073709551616 multipath", "word 2 '18446744073709551616': expected the length"},
        {"a: 0 1x multipath", "word 3 '1x': expected the length"},
        {"0 0 multipath", "zero-length target: word 2 '0'"},
        {"0 10 linear 8:0 0", "unknown target type: word 3 'linear': expected multipath"},
        {"0 10 Multipath", "unknown target type: word 3 'Multipath'"},
        {"0 10", "unknown target type: word 3 ''"},
    };
    for (const auto& [line, message] : lines) {
        const auto refused = parse_dm_line(line);
        ASSERT_FALSE(refused) << line;
        EXPECT_THAT(refused.error().message, StartsWith(message)) << line;
        EXPECT_EQ(refused.error().code, EINVAL) << line;
    }
}

}  // namespace
}  // namespace braidway::multipath
