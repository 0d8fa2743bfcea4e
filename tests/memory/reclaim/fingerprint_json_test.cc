// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/fingerprint_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/limits.h"

namespace braidway::memory {
namespace {

using testing::HasSubstr;

Fingerprint example() {
    return {.kernel = "6.18.0",
            .nodes = {{.node = 3,
                       .total = 1000,
                       .free = 900,
                       .page_cache = 80,
                       .mapped = 70,
                       .dirty = 1,
                       .slab = 2,
                       .anonymous = 3,
                       .shmem = 4,
                       .free_huge = 500},
                      {.node = 5}},
            .swap_total = 20,
            .swap_used = 10,
            .settings = {{"vm.swappiness", "60"}, {"cpu.online", "0-1"}}};
}

TEST(FingerprintJson, IsReadBackAsItWas) {
    const auto back = parse_fingerprint(saved_fingerprint(example()));
    ASSERT_TRUE(back.has_value()) << back.error().message;
    EXPECT_EQ(*back, example());
}

TEST(FingerprintJson, CanBeTakenFromTheAnswerOfARun) {
    KnownState state;
    state.fingerprint = example();
    const auto back = parse_fingerprint(known_state_json(state));
    ASSERT_TRUE(back.has_value()) << back.error().message;
    EXPECT_EQ(*back, example());
}

TEST(FingerprintJson, OfARunHasStepsAndDifferences) {
    KnownState state;
    state.steps.push_back({.mechanism = "drop-caches",
                           .length = std::chrono::milliseconds(250),
                           .freed = 4096,
                           .outcome = "pass 1"});
    state.differences.push_back({"node 0 free", uint64_t{5}, uint64_t{7}, 1});
    state.differences.push_back({"vm.swappiness", std::string("60"), std::string("61"), 0});
    const auto json = nlohmann::json::parse(known_state_json(state));
    EXPECT_EQ(json["schema_version"], 1);
    EXPECT_EQ(json["steps"][0]["mechanism"], "drop-caches");
    EXPECT_EQ(json["steps"][0]["seconds"], 0.25);
    EXPECT_EQ(json["steps"][0]["freed_bytes"], 4096);
    EXPECT_EQ(json["differences"][0]["expected"], 5);
    EXPECT_EQ(json["differences"][0]["found"], 7);
    EXPECT_EQ(json["differences"][0]["tolerance_bytes"], 1);
    EXPECT_EQ(json["differences"][1]["expected"], "60");
}

struct Bad {
    const char* text;
    const char* complaint;
};

TEST(FingerprintJson, ThatIsWrongIsRefusedWithTheNameOfWhatIs) {
    for (
        const Bad& bad : {
            Bad{"", "is no JSON"},
            Bad{"{", "is no JSON"},
            Bad{"[]", "document.schema_version is missing"},
            Bad{R"({"schema_version": 2})", "schema_version is not 1"},
            Bad{R"({"schema_version": 1})", "document.fingerprint is missing"},
            Bad{R"({"schema_version": 1, "fingerprint": 5})", "fingerprint.kernel is missing"},
            Bad{R"({"schema_version": 1, "fingerprint": {"kernel": "a", "nodes": 5}})",
                "fingerprint.nodes is no list"},
            Bad{R"({"schema_version": 1, "fingerprint": {"kernel": 6, "nodes": []}})",
                "fingerprint.kernel is no text"},
            Bad{R"({"schema_version": 1, "fingerprint": {"kernel": "a", "nodes": [{}]}})",
                "fingerprint.nodes[0].node is missing"},
            Bad{R"({"schema_version": 1, "fingerprint": {"kernel": "a", "nodes": [{"node": 4096}]}})",
                "fingerprint.nodes[0].node is above 1023"},
            Bad{R"({"schema_version": 1, "fingerprint": {"kernel": "a",
                  "nodes": [{"node": 0, "total_bytes": -1}]}})",
                "fingerprint.nodes[0].total_bytes is no whole number"},
            Bad{R"({"schema_version": 1, "fingerprint": {"kernel": "a", "nodes": [],
                  "swap": {"total_bytes": 0, "used_bytes": 0}, "settings": []}})",
                "fingerprint.settings is no object"},
            Bad{R"({"schema_version": 1, "fingerprint": {"kernel": "a", "nodes": [],
                  "swap": {"total_bytes": 0, "used_bytes": 0}, "settings": {"x": 1}}})",
                "fingerprint.settings.x is no text"},
        }) {
        const auto read = parse_fingerprint(bad.text);
        ASSERT_FALSE(read.has_value()) << bad.text;
        EXPECT_THAT(read.error().message, HasSubstr(bad.complaint)) << bad.text;
    }
}

TEST(FingerprintJson, ThatIsTooLongIsNotParsed) {
    const std::string text(limits::fingerprint_bytes_max + 1, ' ');
    EXPECT_THAT(parse_fingerprint(text).error().message, HasSubstr("longer"));
}

}  // namespace
}  // namespace braidway::memory
