// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/kinds.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "braidway/node_memory.h"

namespace braidway::memory {
namespace {

using testing::HasSubstr;

TEST(Kinds, HaveTheBitsOfTheCInterface) {
    EXPECT_EQ(KindSet::bit(Kind::page_cache), uint32_t{NODE_MEMORY_PAGE_CACHE});
    EXPECT_EQ(KindSet::bit(Kind::mapped_page_cache), uint32_t{NODE_MEMORY_MAPPED_PAGE_CACHE});
    EXPECT_EQ(KindSet::bit(Kind::anonymous), uint32_t{NODE_MEMORY_ANONYMOUS});
    EXPECT_EQ(KindSet::bit(Kind::slab), uint32_t{NODE_MEMORY_SLAB});
    EXPECT_EQ(KindSet::bits_all, uint32_t{NODE_MEMORY_ALL});
}

TEST(Kinds, AreReadFromAList) {
    EXPECT_EQ(*parse_kinds("slab,page-cache"), KindSet().add(Kind::page_cache).add(Kind::slab));
    EXPECT_EQ(*parse_kinds("anonymous,anonymous"), KindSet().add(Kind::anonymous));
    for (const char* text : {"", ",", "page-cache,", "Page-Cache", " slab", "page_cache", "all"}) {
        const auto read = parse_kinds(text);
        ASSERT_FALSE(read.has_value()) << text;
        EXPECT_THAT(read.error().message, HasSubstr("mapped-page-cache, anonymous and slab"));
    }
    EXPECT_THAT(parse_kinds("slab,cake").error().message, HasSubstr("'cake'"));
}

TEST(Kinds, AreReadBackFromWhatTheyAreWrittenAs) {
    for (uint32_t bits = 1; bits <= KindSet::bits_all; ++bits)
        EXPECT_EQ(*parse_kinds(format_kinds(KindSet(bits))), KindSet(bits)) << bits;
    EXPECT_EQ(format_kinds({}), "");
    EXPECT_EQ(format_kinds(KindSet(KindSet::bits_all)),
              "page-cache,mapped-page-cache,anonymous,slab");
}

TEST(KindBytes, AddUp) {
    KindBytes bytes;
    bytes[Kind::slab] = 3;
    bytes[Kind::anonymous] = 4;
    KindBytes more;
    more[Kind::slab] = 10;
    bytes += more;
    EXPECT_EQ(bytes[Kind::slab], 13u);
    EXPECT_EQ(bytes.total(), 17u);
    EXPECT_EQ(bytes.total(KindSet().add(Kind::slab).add(Kind::page_cache)), 13u);
}

TEST(Amount, IsBinaryInAnyCase) {
    EXPECT_EQ(*parse_amount("0"), 0u);
    EXPECT_EQ(*parse_amount("12345"), 12345u);
    EXPECT_EQ(*parse_amount("1k"), 1024u);
    EXPECT_EQ(*parse_amount("1KiB"), 1024u);
    EXPECT_EQ(*parse_amount("3mIb"), 3u << 20);
    EXPECT_EQ(*parse_amount("2g"), 2ull << 30);
    EXPECT_EQ(*parse_amount("5T"), 5ull << 40);
    EXPECT_EQ(*parse_amount("7PiB"), 7ull << 50);
    EXPECT_EQ(*parse_amount("9223372036854775807"), uint64_t{INT64_MAX});
    EXPECT_EQ(*parse_amount("8191P"), 8191ull << 50);
}

TEST(Amount, IsRefusedWithItsText) {
    for (const char* text : {"",
                             "-1",
                             "+1",
                             " 1",
                             "1 ",
                             "1 K",
                             "0x10",
                             "1.5G",
                             "nan",
                             "inf",
                             "K",
                             "1KB",
                             "1Ki",
                             "1KiBs",
                             "1E",
                             "1e3",
                             "1_000",
                             "18446744073709551616",
                             "9223372036854775808",
                             "8192P"}) {
        const auto read = parse_amount(text);
        ASSERT_FALSE(read.has_value()) << text;
        EXPECT_THAT(read.error().message, HasSubstr("'" + std::string(text) + "'"));
    }
    EXPECT_THAT(parse_amount("8192P").error().message, HasSubstr("too large"));
}

}  // namespace
}  // namespace braidway::memory
