// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/present_pages.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "memory/reclaim/process_maps.h"
#include "memory/reclaim/scratch_files.h"

namespace braidway::memory {
namespace {

using Ranges = std::vector<PageRange>;

constexpr uint64_t present = uint64_t{1} << 63;
constexpr uint64_t of_file = uint64_t{1} << 61;

TEST(PresentPages, TakesEntriesThatArePresentAndOfAFile) {
    const uint64_t entries[] = {present | of_file, present | of_file | 77, present, of_file, 0,
                                present | of_file};
    Ranges found;
    take_entries(entries, 100, Backing::file, found);
    EXPECT_EQ(found, (Ranges{{100, 102}, {105, 106}}));
    const uint64_t more[] = {present | of_file};
    take_entries(more, 106, Backing::file, found);
    EXPECT_EQ(found, (Ranges{{100, 102}, {105, 107}}));
    found.clear();
    take_entries(entries, 100, Backing::anonymous, found);
    EXPECT_EQ(found, (Ranges{{102, 103}}));
}

PageRange mapped_at(pid_t process, const std::string& path) {
    std::string text;
    EXPECT_EQ(read_process_file(ProcessPath(process, "maps").text(), text), 0);
    std::string_view rest = text;
    Mapping mapping;
    while (next_mapping(rest, mapping))
        if (mapping.path == path) return {mapping.begin / 4096, mapping.end / 4096};
    ADD_FAILURE() << path << " is not mapped";
    return {};
}

TEST(PresentPages, FindsTheSameByBothWays) {
    const ScratchFiles scratch;
    const std::string path = scratch.make("file", 8 << 20);
    const MappingChild child(path, 0, 8 << 20);
    const PageRange where = mapped_at(child.pid(), path);
    PresentPages pages;
    if (const int error = pages.open(child.pid())) GTEST_SKIP() << "pagemap: " << error;
    Ranges scanned;
    ASSERT_EQ(pages.find(where, Backing::file, scanned), 0);
    EXPECT_EQ(scanned, Ranges{where});
    Ranges private_ones;
    ASSERT_EQ(pages.find(where, Backing::anonymous, private_ones), 0);
    EXPECT_TRUE(private_ones.empty());
    pages.read_entries_only();
    Ranges read;
    ASSERT_EQ(pages.find({where.begin - 5, where.end + 5000}, Backing::file, read), 0);
    EXPECT_EQ(read.front().begin, where.begin);
    ASSERT_EQ(pages.find(where, Backing::file, read), 0);
    EXPECT_EQ(read, scanned);
}

TEST(PresentPages, SaysThatAProcessIsGone) {
    PresentPages pages;
    EXPECT_EQ(pages.open(4194305), ENOENT);
}

}  // namespace
}  // namespace braidway::memory
