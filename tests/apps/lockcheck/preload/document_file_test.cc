// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/document_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace braidway::lockcheck {
namespace {

const std::string one = "{\"process\":{\"id\":\"1-1\"}}\n";
const std::string two = "{\"process\":{\"pid\":2,\"id\":\"2-1\"}}\n";

std::string replaced(std::string_view before, std::string_view id, std::string_view line) {
    Text text;
    replace_line(text, before, id, line);
    std::string copy(text.view());
    text.clear_and_free();
    return copy;
}

TEST(DocumentFile, ReplacesTheLineOfTheProcessAndNoOther) {
    EXPECT_EQ(replaced("", "1-1", one), one);
    EXPECT_EQ(replaced(two, "1-1", one), two + one);
    const std::string newer = "{\"process\":{\"id\":\"1-1\"},\"state\":\"exited\"}\n";
    EXPECT_EQ(replaced(one + two, "1-1", newer), newer + two);
    // "1-1" is not the beginning of "1-12".
    const std::string twelfth = "{\"process\":{\"id\":\"1-12\"}}\n";
    EXPECT_EQ(replaced(twelfth, "1-1", one), twelfth + one);
}

TEST(DocumentFile, DropsALineThatWasNeverFinished) {
    EXPECT_EQ(replaced(two + "{\"process\":{\"id\":\"1-", "1-1", one), two + one);
}

TEST(DocumentFile, TakesTheLineOfAProcessOut) {
    EXPECT_EQ(replaced(one + two, "1-1", ""), two);
    EXPECT_EQ(replaced(two, "1-1", ""), two);
}

/// With the line of "1-1", which may become `room_bytes` long.
std::string fixed(std::string_view before, size_t room_bytes, size_t& offset_bytes) {
    Text text;
    FixedLine place{0, room_bytes};
    add_fixed_line(text, before, "1-1", one, place);
    offset_bytes = place.offset_bytes;
    std::string copy(text.view());
    text.clear_and_free();
    return copy;
}

TEST(DocumentFile, PutsALineThatDoesNotMoveBeforeThoseThatDo) {
    const std::string line = one.substr(0, one.size() - 1);
    const std::string blanks(30 - line.size(), ' ');
    size_t offset = 0;
    EXPECT_EQ(fixed("", 30, offset), " " + line + blanks + "\n");
    EXPECT_EQ(offset, 1u);
    EXPECT_EQ(fixed(two + one, 30, offset), " " + line + blanks + "\n" + two);
    // Behind another one of the kind.
    EXPECT_EQ(fixed(" " + two + one, 30, offset), " " + two + " " + line + blanks + "\n");
    EXPECT_EQ(offset, two.size() + 2);
}

TEST(DocumentFile, KeepsTheLengthOfALineThatDoesNotMove) {
    const std::string longer = one.substr(0, one.size() - 1) + "    \n";
    EXPECT_EQ(replaced(" " + longer + two, "1-1", one), " " + longer + two);
    EXPECT_EQ(replaced(" " + one + two, "1-1", one), " " + one + two);
    EXPECT_EQ(replaced(" " + one + two, "1-1", longer), longer + two) << "it does not fit";
}

TEST(DocumentFile, PutsTheProcessIntoTheName) {
    Text name;
    add_file_name(name, "/a/%p/%%p.json", 42);
    EXPECT_STREQ(name.data(), "/a/42/%p.json");
    name.clear_and_free();
}

TEST(DocumentFile, WritesIntoAFileThatOthersUse) {
    std::string folder = (std::filesystem::temp_directory_path() / "documents-XXXXXX").string();
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    const std::string path = folder + "/file";
    EXPECT_TRUE(write_document(path.c_str(), 1, "1-1", one));
    EXPECT_TRUE(write_document(path.c_str(), 2, "2-1", two));
    EXPECT_TRUE(write_document(path.c_str(), 1, "1-1", "{\"id\":\"1-1\"}\n"));
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    EXPECT_EQ(text.str(), "{\"id\":\"1-1\"}\n" + two);
    EXPECT_FALSE(write_document((folder + "/none/file").c_str(), 1, "1-1", one));
    EXPECT_FALSE(begin_document((folder + "/none/file").c_str(), 1, "1-1", one));
    std::filesystem::remove_all(folder);
}

std::string contents_of(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

TEST(DocumentFile, BeginsALineBehindWholeOnes) {
    std::string folder = (std::filesystem::temp_directory_path() / "documents-XXXXXX").string();
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    const std::string path = folder + "/file";
    EXPECT_TRUE(begin_document(path.c_str(), 1, "1-1", one));
    EXPECT_TRUE(begin_document(path.c_str(), 2, "2-1", two));
    EXPECT_EQ(contents_of(path), one + two);
    // Somebody was killed while he wrote.
    std::ofstream(path, std::ios::app) << "{\"process\":{";
    const std::string third = "{\"process\":{\"id\":\"3-1\"}}\n";
    EXPECT_TRUE(begin_document(path.c_str(), 3, "3-1", third));
    EXPECT_EQ(contents_of(path), one + two + third);
    Text line;
    EXPECT_TRUE(read_line(path.c_str(), 2, "2-1", line));
    EXPECT_EQ(line.view(), two);
    EXPECT_FALSE(read_line(path.c_str(), 4, "4-1", line));
    line.clear_and_free();
    std::filesystem::remove_all(folder);
}

TEST(DocumentFile, IsWrittenThroughAMappedLineWhileOthersWrite) {
    std::string folder = (std::filesystem::temp_directory_path() / "documents-XXXXXX").string();
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    const std::string path = folder + "/file";
    ASSERT_TRUE(write_document(path.c_str(), 2, "2-1", two));
    ASSERT_TRUE(write_document(path.c_str(), 1, "1-1", one));
    EXPECT_EQ(fix_line(path.c_str(), 1, "1-1", one, 10), nullptr) << "it does not fit";
    char* const line = fix_line(path.c_str(), 1, "1-1", one, 40);
    ASSERT_NE(line, nullptr);
    const std::string newer = "{\"process\":{\"id\":\"1-1\",\"x\":1}}";
    newer.copy(line, newer.size());
    EXPECT_TRUE(write_document(path.c_str(), 2, "2-1", "{\"id\":\"2-1\"}\n"));
    EXPECT_EQ(contents_of(path),
              " " + newer + std::string(40 - newer.size(), ' ') + "\n{\"id\":\"2-1\"}\n");
    std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace braidway::lockcheck
