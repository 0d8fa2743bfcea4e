// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/holders_print.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace braidway::memory {
namespace {

Holders example() {
    Holders holders;
    NodeHolders node;
    node.node = 1;
    node.state.total = uint64_t{8} << 30;
    node.processes.push_back({42, "bad\x1b[31mname", 3 << 20, 2 << 20, 0});
    node.cgroups.push_back({"/jobs", {4 << 20, 0, 0, 0}});
    node.files.push_back({"/data/\xff", 5 << 20, 4096, true});
    node.files_bytes = 5 << 20;
    holders.nodes.push_back(node);
    holders.files_seen = 7;
    holders.notes = {"something was hidden"};
    return holders;
}

TEST(HoldersPrint, WritesTables) {
    const std::string text = holders_text(example());
    EXPECT_NE(text.find("node 1: 8.0G of memory"), std::string::npos) << text;
    EXPECT_NE(text.find("42 bad\\x1b[31mname"), std::string::npos) << text;
    EXPECT_NE(text.find("/jobs"), std::string::npos);
    EXPECT_NE(text.find("in use"), std::string::npos);
    EXPECT_NE(text.find("note: something was hidden\n"), std::string::npos);
}

TEST(HoldersPrint, WritesJsonThatCanBeReadWhateverTheNames) {
    const auto json = nlohmann::json::parse(holders_json(example()));
    EXPECT_EQ(json["schema_version"], 1);
    EXPECT_EQ(json["nodes"][0]["node"], 1);
    EXPECT_EQ(json["nodes"][0]["processes"][0]["anonymous_bytes"], 3 << 20);
    EXPECT_EQ(json["nodes"][0]["cgroups"][0]["path"], "/jobs");
    EXPECT_EQ(json["nodes"][0]["files"][0]["page_cache_bytes"], 5 << 20);
    EXPECT_EQ(json["looked_at"]["files"], 7);
    EXPECT_EQ(json["notes"].size(), 1u);
}

TEST(HoldersPrint, HasTheSameFieldsWhenNothingWasFound) {
    Holders none;
    none.nodes.emplace_back();
    const auto json = nlohmann::json::parse(holders_json(none));
    EXPECT_TRUE(json["nodes"][0]["processes"].is_array());
    EXPECT_TRUE(json["nodes"][0]["files"].is_array());
    EXPECT_TRUE(json["notes"].is_array());
}

}  // namespace
}  // namespace braidway::memory
