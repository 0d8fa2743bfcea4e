// SPDX-License-Identifier: Apache-2.0
#include "multipath/dm_words.h"

#include <gmock/gmock.h>

namespace braidway::multipath {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using namespace std::string_view_literals;

TEST(DmWords, AreSplitAtAnyWhitespace) {
    EXPECT_THAT(split_dm_words("  a\tb\n\v\f\rc  "), ElementsAre("a", "b", "c"));
    EXPECT_THAT(split_dm_words("a\xa0z"), ElementsAre("a", "z"));
    EXPECT_THAT(split_dm_words(""), IsEmpty());
    EXPECT_THAT(split_dm_words(" \t "), IsEmpty());
}

TEST(DmWords, TakeACharacterBehindABackslashLiterally) {
    EXPECT_THAT(split_dm_words(R"(a\ b \\ \x \ )"), ElementsAre("a b", "\\", "x", " "));
    EXPECT_THAT(split_dm_words("a\\"), ElementsAre("a\\"));
}

TEST(DmWords, EndAtTheFirstNul) {
    EXPECT_THAT(split_dm_words("a b\0c d"sv), ElementsAre("a", "b"));
}

TEST(DmWords, ComeBackWholeFromTheirEscapedForm) {
    for (const char* word : {"a", "a b", "\\", "a\\", " \t\xa0", "\xc3\xa0"})
        EXPECT_THAT(split_dm_words(escape_dm_word(word) + " z"), ElementsAre(word, "z"));
    EXPECT_EQ(escape_dm_word("8:0"), "8:0");
    std::string text = "x";
    append_dm_words(text, {"a", "b c"});
    EXPECT_EQ(text, R"(x a b\ c)");
}

TEST(DmWords, NumbersAreDigitsModuloTwoToThe32) {
    EXPECT_EQ(read_dm_number("0"), 0u);
    EXPECT_EQ(read_dm_number("01"), 1u);
    EXPECT_EQ(read_dm_number("4294967295"), UINT32_MAX);
    EXPECT_EQ(read_dm_number("4294967296"), 0u);
    EXPECT_EQ(read_dm_number("4294967298"), 2u);
    EXPECT_EQ(read_dm_number("18446744073709551617"), 1u);
    EXPECT_EQ(read_dm_number(" 7"), 7u);
    for (const char* word : {"", " ", "+1", "-1", "0x1", "1.0", "1x", "1 ", "x"})
        EXPECT_EQ(read_dm_number(word), std::nullopt) << word;
}

TEST(DmWords, AreComparedWithoutRegardToCase) {
    EXPECT_TRUE(same_dm_word("QUEUE_if_No_pAth", "queue_if_no_path"));
    EXPECT_FALSE(same_dm_word("queue_if_no_path", "queue_if_no_paths"));
    EXPECT_FALSE(same_dm_word("[", "{"));
}

TEST(DmWords, AreShownOnOneLine) {
    EXPECT_EQ(shown_dm_word("a\nb\x7f"), "'a?b?'");
    EXPECT_EQ(shown_dm_word(std::string(65, 'x')), "'" + std::string(64, 'x') + "...'");
}

TEST(DmWords, AreReadInOrderAndKnowTheirPlace) {
    DmWords words("a b c d", 3);
    EXPECT_EQ(words.next(), "word 4 'a'");
    EXPECT_EQ(*words.take(), "a");
    EXPECT_EQ(words.last(), "word 4 'a'");
    EXPECT_EQ(words.peek(1), "c");
    EXPECT_THAT(words.take_words(2), ElementsAre("b", "c"));
    EXPECT_EQ(words.number(), 7u);
    EXPECT_EQ(words.left(), 1u);
    EXPECT_EQ(*words.take(), "d");
    EXPECT_EQ(words.take(), nullptr);
    EXPECT_EQ(words.next(), "word 8, where the line ends");
}

}  // namespace
}  // namespace braidway::multipath
