// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/json_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "apps/lockcheck/documents.h"
#include "apps/lockcheck/files.h"
#include "apps/lockcheck/folder.h"

namespace braidway::lockcheck {
namespace {

using testing::HasSubstr;

std::string line_of(const std::string& id, const std::string& state = "running") {
    Document document = made::document({});
    document.process.id = id;
    document.state = state;
    return document_line(document);
}

TEST(JsonFile, AProcessReplacesItsOwnLine) {
    const std::string before = line_of("1-1") + line_of("11-1") + line_of("2-1");
    EXPECT_EQ(replace_line(before, "11-1", line_of("11-1", "exited")),
              line_of("1-1") + line_of("11-1", "exited") + line_of("2-1"));
    EXPECT_EQ(replace_line(before, "3-1", line_of("3-1")), before + line_of("3-1"));
    EXPECT_EQ(replace_line("", "3-1", line_of("3-1")), line_of("3-1"));
}

TEST(JsonFile, AnIdWithinAnotherFieldIsNoOwner) {
    Document other = made::document({});
    other.process.arguments = {"\"id\":\"1-1\"", "1-1"};
    EXPECT_EQ(replace_line(document_line(other), "1-1", line_of("1-1")),
              document_line(other) + line_of("1-1"));
}

TEST(JsonFile, HalfALastLineGoesAndAWholeOneStays) {
    const std::string half = line_of("2-1").substr(0, 30);
    EXPECT_EQ(replace_line(line_of("1-1") + half, "3-1", line_of("3-1")),
              line_of("1-1") + line_of("3-1"));
    std::string whole = line_of("2-1");
    whole.pop_back();
    EXPECT_EQ(replace_line(whole, "3-1", line_of("3-1")), line_of("2-1") + line_of("3-1"));
    EXPECT_EQ(replace_line(whole, "2-1", line_of("2-1", "exited")), line_of("2-1", "exited"));
}

TEST(JsonFile, ThePidIsPutIn) {
    EXPECT_EQ(file_of("/tmp/a-%p.json", 12), "/tmp/a-12.json");
    EXPECT_EQ(file_of("/tmp/%%p-%p%", 12), "/tmp/%p-12%");
    EXPECT_TRUE(is_per_process("a%p"));
    EXPECT_FALSE(is_per_process("a%%p"));
    EXPECT_FALSE(is_per_process("a%"));
}

TEST(JsonFile, AShorterDocumentLeavesNothingOfTheLongerOne) {
    const Folder folder;
    const std::string file = folder.path("a.json");
    std::string big = line_of("1-1");
    big.insert(big.size() - 2, ",\"more\":\"" + std::string(100'000, 'x') + "\"");
    ASSERT_TRUE(write_line(file, "1-1", big));
    ASSERT_TRUE(write_line(file, "2-1", line_of("2-1")));
    ASSERT_TRUE(write_line(file, "1-1", line_of("1-1")));
    EXPECT_EQ(*read_file(file, SIZE_MAX), line_of("1-1") + line_of("2-1"));
}

TEST(JsonFile, ManyWritersAtOnceLoseNothing) {
    static constexpr int writers = 12;
    static constexpr int rounds = 15;
    const Folder folder;
    const std::string file = folder.path("a.json");
    std::vector<pid_t> children;
    for (int writer = 0; writer < writers; ++writer) {
        const pid_t child = fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            const std::string id = fmt::format("{}-1", writer);
            for (int round = 0; round < rounds; ++round)
                // Of different lengths, so that lines behind move.
                if (!write_line(file, id, line_of(id, std::string(round % 7 * 50, 'x')))) _exit(1);
            _exit(write_line(file, id, line_of(id, "exited")) ? 0 : 1);
        }
        children.push_back(child);
    }
    for (const pid_t child : children) {
        int status = -1;
        waitpid(child, &status, 0);
        EXPECT_EQ(status, 0);
    }
    const auto documents = read_documents(file);
    std::set<std::string> ids;
    for (const Document& document : documents) {
        ids.insert(document.process.id);
        EXPECT_EQ(document.state, "exited");
    }
    EXPECT_EQ(documents.size(), static_cast<size_t>(writers));
    EXPECT_EQ(ids.size(), static_cast<size_t>(writers));
}

TEST(JsonFile, OnlyARegularFileWillDo) {
    const Folder folder;
    const std::string file = folder.path("a.json");
    std::ofstream(file) << "old";
    ASSERT_TRUE(make_file(file));
    EXPECT_EQ(*read_file(file, SIZE_MAX), "");
    EXPECT_THAT(make_file("/dev/null").error().message, HasSubstr("is not a regular file"));
    EXPECT_THAT(make_file(folder.path("none/a")).error().message, HasSubstr("No such file"));
    EXPECT_THAT(make_file(folder.path("")).error().message, HasSubstr("Is a directory"));
}

TEST(JsonFile, AFileThatCannotBeOpenedIsWrittenThroughADescriptor) {
    const Folder folder;
    const std::string file = folder.path("a.json");
    ASSERT_TRUE(write_line(file, "1-1", line_of("1-1")));
    const int descriptor = open(file.c_str(), O_RDWR | O_CLOEXEC);
    const std::string unreachable = folder.path("none/a.json");
    EXPECT_FALSE(write_line(unreachable, "2-1", line_of("2-1")));
    EXPECT_TRUE(write_line(unreachable, "2-1", line_of("2-1"), descriptor));
    // Its lock is given back, although the descriptor is still open.
    EXPECT_TRUE(write_line(file, "3-1", line_of("3-1")));
    close(descriptor);
    EXPECT_EQ(read_documents(file).size(), 3u);
}

TEST(JsonFile, LinesThatAreNoDocumentsAreLeftOut) {
    const Folder folder;
    const std::string file = folder.path("a.json");
    std::ofstream(file) << line_of("1-1") << "nonsense\n" << line_of("2-1");
    EXPECT_EQ(read_documents(file).size(), 2u);
    EXPECT_TRUE(read_documents(folder.path("none")).empty());
}

TEST(LockJsonFile, KeepsTheLengthOfALineThatDoesNotMove) {
    const std::string one = R"({"process":{"id":"1-1"}})";
    const std::string two = R"({"process":{"id":"2-1"}})";
    EXPECT_EQ(replace_line(" " + one + "     \n" + two + "\n", "1-1", one + "\n"),
              " " + one + "     \n" + two + "\n");
    EXPECT_EQ(replace_line(" " + one + "\n", "1-1", one + "\n"), " " + one + "\n");
    const std::string longer = R"({"process":{"id":"1-1"},"more":1})";
    EXPECT_EQ(replace_line(" " + one + "\n" + two + "\n", "1-1", longer + "\n"),
              longer + "\n" + two + "\n");
}

}  // namespace
}  // namespace braidway::lockcheck
