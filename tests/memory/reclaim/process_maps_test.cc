// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/process_maps.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace braidway::memory {
namespace {

std::vector<Mapping> all_mappings(std::string_view text) {
    std::vector<Mapping> mappings;
    Mapping mapping;
    while (next_mapping(text, mapping)) mappings.push_back(mapping);
    return mappings;
}

TEST(ProcessMaps, ReadsAFileMapping) {
    const auto mappings = all_mappings(
        "7f00aa000000-7f00aa021000 r-xp 00003000 fe:1a 394021                     /usr/lib/a "
        "b.so\n");
    ASSERT_EQ(mappings.size(), 1u);
    const Mapping& mapping = mappings.front();
    EXPECT_EQ(mapping.begin, 0x7f00aa000000u);
    EXPECT_EQ(mapping.bytes(), 0x21000u);
    EXPECT_EQ(mapping.offset, 0x3000u);
    EXPECT_EQ(mapping.file, (FileKey{0xfe, 0x1a, 394021}));
    EXPECT_EQ(mapping.path, "/usr/lib/a b.so");
    EXPECT_FALSE(mapping.writable);
    EXPECT_FALSE(mapping.shared);
    EXPECT_TRUE(mapping.is_file());
}

TEST(ProcessMaps, TellsFilesFromOtherThings) {
    const auto mappings = all_mappings(
        "1000-2000 rw-p 00000000 00:00 0 \n"
        "2000-3000 rw-p 00000000 00:00 0                          [heap]\n"
        "3000-4000 rw-s 00000000 00:01 2049                       /dev/zero (deleted)\n"
        "4000-5000 rw-s 00000000 00:01 7                          /memfd:buffer (deleted)\n"
        "5000-6000 rw-s 00000000 00:01 8                          /SYSV00000000 (deleted)\n"
        "6000-7000 rw-s 00000000 fe:00 9                          /data/gone (deleted)");
    ASSERT_EQ(mappings.size(), 6u);
    for (size_t i = 0; i < 5; ++i) EXPECT_FALSE(mappings[i].is_file()) << i;
    EXPECT_TRUE(mappings[5].is_file());
    EXPECT_TRUE(mappings[5].writable);
    EXPECT_TRUE(mappings[5].shared);
}

TEST(ProcessMaps, PassesOverLinesThatItDoesNotUnderstand) {
    const auto mappings = all_mappings(
        "nonsense\n\n1000-2000\n9000-8000 r--p 00000000 fe:00 9 /x\n1000-2000 r-\n"
        "1000-2000 r--p 00000000 fe:00 9 /y\n");
    ASSERT_EQ(mappings.size(), 1u);
    EXPECT_EQ(mappings.front().path, "/y");
}

TEST(ProcessMaps, ReadsTheSizeOfAProcess) {
    EXPECT_EQ(parse_statm("4000 300 120 7 0 80 0\n").resident_pages, 300u);
    EXPECT_EQ(parse_statm("4000 300 120 7 0 80 0\n").shared_pages, 120u);
    EXPECT_EQ(parse_statm("").shared_pages, 0u);
    EXPECT_EQ(parse_statm("4000 x 120").shared_pages, 0u);
}

TEST(ProcessMaps, FindsOtherProcessesOnly) {
    const auto processes = other_processes();
    ASSERT_TRUE(processes.has_value());
    EXPECT_NE(std::ranges::find(*processes, ::getppid()), processes->end());
    EXPECT_EQ(std::ranges::find(*processes, ::getpid()), processes->end());
}

TEST(ProcessMaps, ReadsAProcessFileInWholeAndSaysWhenItIsGone) {
    std::string text(3, 'x');
    ASSERT_EQ(read_process_file("/proc/self/maps", text), 0);
    EXPECT_FALSE(all_mappings(text).empty());
    EXPECT_TRUE(text.ends_with('\n'));
    EXPECT_EQ(read_process_file(ProcessPath(4194305, "maps").text(), text), ENOENT);
    EXPECT_STREQ(ProcessPath(12, "map_files/a-b").text(), "/proc/12/map_files/a-b");
}

}  // namespace
}  // namespace braidway::memory
