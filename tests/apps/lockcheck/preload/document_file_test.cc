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
    std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace braidway::lockcheck
