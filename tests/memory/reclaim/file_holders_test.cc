// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/file_holders.h"

#include <gtest/gtest.h>

#include "memory/reclaim/scratch_files.h"
#include "memory/reclaim/tree_machine.h"

namespace braidway::memory {
namespace {

constexpr size_t mib = 1 << 20;

const FileHolder* find(const NodeHolders& node, const std::string& path) {
    for (const FileHolder& file : node.files)
        if (file.path == path) return &file;
    return nullptr;
}

Holders search(const TreeMachine& machine, const HoldersOptions& options) {
    Holders found;
    const NodeList nodes = nodes_with_memory(machine).value_or(NodeList());
    for (const uint32_t node : nodes) {
        found.nodes.emplace_back();
        found.nodes.back().node = node;
    }
    find_file_holders(machine, options, never, MemoryPaths(""), found);
    return found;
}

TEST(FileHolders, CountsNamedTreesAndFilesInUse) {
    TreeMachine machine;
    machine.set_nodes("0");
    const ScratchFiles scratch;
    const std::string mapped = scratch.make("mapped", 8 * mib);
    const std::string idle = scratch.make("tree/idle", 4 * mib);
    const std::string unnamed = scratch.make("unnamed", 4 * mib);
    const std::string dropped = scratch.make("tree/dropped", 1 * mib);
    drop(dropped);
    const MappingChild child(mapped, 0, mib);
    HoldersOptions options;
    options.paths = {scratch.path("tree")};
    options.top = 1000;
    const Holders found = search(machine, options);
    const FileHolder* in_use = find(found.nodes[0], mapped);
    ASSERT_NE(in_use, nullptr);
    EXPECT_EQ(in_use->bytes, 8 * mib);
    EXPECT_TRUE(in_use->in_use);
    const FileHolder* named = find(found.nodes[0], idle);
    ASSERT_NE(named, nullptr);
    EXPECT_EQ(named->bytes, 4 * mib);
    EXPECT_FALSE(named->in_use);
    EXPECT_EQ(find(found.nodes[0], unnamed), nullptr);
    EXPECT_EQ(find(found.nodes[0], dropped), nullptr);
    EXPECT_GE(found.nodes[0].files_bytes, 12 * mib);
    EXPECT_GE(found.files_seen, 3u);
}

TEST(FileHolders, OnSeveralNodesAsksWherePagesLie) {
    // This machine's pages lie on node 0 or 1, never on 9.
    TreeMachine machine;
    machine.set_nodes("0-1,9");
    const ScratchFiles scratch;
    const std::string path = scratch.make("file", 8 * mib);
    HoldersOptions options;
    options.paths = {path};
    options.top = 1000;
    const Holders found = search(machine, options);
    uint64_t bytes = 0;
    for (const NodeHolders& node : found.nodes)
        if (const FileHolder* file = find(node, path)) bytes += file->bytes;
    EXPECT_GE(bytes, 7 * mib);
    EXPECT_LE(bytes, 8 * mib);
    EXPECT_EQ(find(found.nodes[2], path), nullptr);
}

TEST(FileHolders, SaysThatTheLimitWasReached) {
    TreeMachine machine;
    machine.set_nodes("0");
    HoldersOptions options;
    options.files_max = 3;
    const Holders found = search(machine, options);
    EXPECT_LE(found.files_seen, 3u);
    ASSERT_FALSE(found.notes.empty());
    EXPECT_NE(found.notes.front().find("limit of 3 files"), std::string::npos);
}

TEST(FileHolders, SaysWhatItCouldNotSee) {
    TreeMachine machine;
    machine.set_nodes("0");
    HoldersOptions options;
    options.paths = {"/nowhere/at-all"};
    const Holders found = search(machine, options);
    bool told = false;
    for (const std::string& note : found.notes)
        told = told || note.find("could not be looked at: 1") != std::string::npos;
    EXPECT_TRUE(told);
}

}  // namespace
}  // namespace braidway::memory
