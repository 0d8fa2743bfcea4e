// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/lru_generations.h"

#include <gtest/gtest.h>

namespace braidway::memory {
namespace {

/// As a 6.12 kernel with several nodes printed it.
constexpr std::string_view real_text =
    "memcg     1 /\n"
    " node     0\n"
    "          0      88112          0           0 \n"
    "          1      88112          0       77112 \n"
    "          2      88112        486           0 \n"
    "          3      88112        125        8340 \n"
    " node     1\n"
    "          0      88112          0           0 \n"
    "          1      88112          0       76902 \n"
    "          2      88112          1           0 \n"
    "          3      88112         90        1862 \n"
    "memcg    53 /system.slice/one.service\n"
    " node     0\n"
    "         17       2000          7           9 \n";

TEST(LruGenerations, ReadsWhatAKernelPrints) {
    const auto lists = parse_lru_generations(real_text);
    ASSERT_EQ(lists.size(), 3u);
    EXPECT_EQ(lists[0].cgroup, 1u);
    EXPECT_EQ(lists[0].path, "/");
    EXPECT_EQ(lists[1].node, 1u);
    ASSERT_EQ(lists[1].generations.size(), 4u);
    EXPECT_EQ(lists[1].generations[1].file_pages, 76902u);
    EXPECT_EQ(lists[1].generations[1].age_ms, 88112u);
    EXPECT_EQ(lists[1].generations[3].anon_pages, 90u);
    EXPECT_EQ(lists[2].path, "/system.slice/one.service");
    EXPECT_EQ(lists[2].youngest(), 17u);
}

TEST(LruGenerations, CountsWhatCanGoNowByKind) {
    const auto lists = parse_lru_generations(real_text);
    EXPECT_EQ(lists[0].pages(Kind::page_cache), 77112u + 8340);
    EXPECT_EQ(lists[0].evictable_pages(Kind::page_cache), 77112u);
    EXPECT_EQ(lists[0].pages(Kind::anonymous), 486u + 125);
    EXPECT_EQ(lists[0].evictable_pages(Kind::anonymous), 0u);
    EXPECT_EQ(lists[0].pages(Kind::slab), 0u);
    EXPECT_EQ(lists[2].evictable_pages(Kind::page_cache), 0u) << "one generation is the youngest";
}

TEST(LruGenerations, CountsAnonymousMemoryUpToTheOldestPageCache) {
    const auto of = [](std::string_view rows) {
        return parse_lru_generations(std::string("memcg 1 /\n node 0\n") + std::string(rows))
            .at(0)
            .evictable_pages(Kind::anonymous);
    };
    EXPECT_EQ(of("1 0 10 0\n2 0 20 0\n3 0 40 0\n4 0 80 0\n"), 30u);
    EXPECT_EQ(of("1 0 10 5\n2 0 20 0\n3 0 40 0\n4 0 80 0\n"), 10u);
    EXPECT_EQ(of("1 0 0 5\n2 0 20 0\n3 0 40 0\n4 0 80 0\n"), 0u);
    EXPECT_EQ(of("1 0 0 0\n2 0 20 9\n3 0 40 0\n4 0 80 0\n"), 20u);
}

TEST(LruGenerations, SkipsLinesThatItDoesNotKnow) {
    const auto lists = parse_lru_generations(
        "what\n  1 2 3 4\nmemcg 2 /a\n  5 6 7 8\n node x\n  1 2 3 4\n node 1\n"
        "  9 10 11x 12\n  1 2 3\n\n  4 5 6 7");
    ASSERT_EQ(lists.size(), 1u);
    ASSERT_EQ(lists[0].generations.size(), 2u);
    EXPECT_EQ(lists[0].generations[0].anon_pages, 11u) << "a mark after a number";
    EXPECT_EQ(lists[0].generations[1].number, 4u);
    EXPECT_TRUE(parse_lru_generations("").empty());
}

}  // namespace
}  // namespace braidway::memory
