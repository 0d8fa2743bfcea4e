// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/settings.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace braidway::lockcheck {
namespace {

/// A list of texts as a program passes them.
class Texts {
  public:
    explicit Texts(std::vector<std::string> texts) : texts_(std::move(texts)) {
        for (std::string& text : texts_) list_.push_back(text.data());
        list_.push_back(nullptr);
    }
    char** list() { return list_.data(); }

  private:
    std::vector<std::string> texts_;
    std::vector<char*> list_;
};

void read(std::vector<std::string> environment) {
    Texts arguments({"program", "argument"});
    Texts texts(std::move(environment));
    read_settings(2, arguments.list(), texts.list());
}

std::vector<std::string> kept(std::vector<std::string> environment) {
    Texts texts(std::move(environment));
    const EnvironmentRoom room = room_for(texts.list());
    std::vector<char*> entries(room.entries);
    std::vector<char> text(room.bytes);
    kept_environment(texts.list(), entries.data(), text.data());
    std::vector<std::string> all;
    for (char** each = entries.data(); *each != nullptr; ++each) all.emplace_back(*each);
    std::ranges::sort(all);
    return all;
}

TEST(PreloadSettings, CopiesWhatItReads) {
    read({"A=b", "LOCKCHECK_ROOT=12", "LOCKCHECK_JSON=/x/%p", "LOCKCHECK_EXIT_STATUS=3",
          "LOCKCHECK_ON_HANG=report", "LOCKCHECK_HANG_AFTER_MS=500", "LOCKCHECK_ASSUME_WRITERS=1"});
    EXPECT_EQ(settings.root, 12);
    EXPECT_STREQ(settings.json, "/x/%p");
    EXPECT_EQ(settings.exit_status, 3);
    EXPECT_FALSE(settings.hang_exits);
    EXPECT_EQ(settings.hang_after_ms, 500u);
    EXPECT_TRUE(settings.assume_writers);
    EXPECT_STREQ(settings.arguments[1], "argument");
    EXPECT_EQ(settings.renderer, nullptr);
}

TEST(PreloadSettings, KeepsTheDefaultWhereANumberIsNone) {
    read({"LOCKCHECK_EXIT_STATUS=3x", "LOCKCHECK_HANG_AFTER_MS="});
    EXPECT_EQ(settings.exit_status, 66);
    EXPECT_EQ(settings.hang_after_ms, 3000u);
    EXPECT_TRUE(settings.hang_exits);
}

TEST(PreloadSettings, AddsWhatAnEnvironmentLacks) {
    read({"LOCKCHECK_ROOT=12", "LOCKCHECK_JSON=/x"});
    settings.preload = "/lib/liblockcheck.so";
    using List = std::vector<std::string>;
    EXPECT_EQ(kept({}),
              (List{"LD_PRELOAD=/lib/liblockcheck.so", "LOCKCHECK_JSON=/x", "LOCKCHECK_ROOT=12"}));
    EXPECT_EQ(kept({"A=b", "LD_PRELOAD=/other.so", "LOCKCHECK_JSON=/y"}),
              (List{"A=b", "LD_PRELOAD=/lib/liblockcheck.so:/other.so", "LOCKCHECK_JSON=/y",
                    "LOCKCHECK_ROOT=12"}));
    Texts whole({"LD_PRELOAD=/a.so:/lib/liblockcheck.so", "LOCKCHECK_JSON=/y", "LOCKCHECK_ROOT=1"});
    EXPECT_TRUE(keeps_watch(whole.list()));
    Texts without_root({"LD_PRELOAD=/lib/liblockcheck.so", "LOCKCHECK_JSON=/y"});
    EXPECT_FALSE(keeps_watch(without_root.list()));
    EXPECT_FALSE(keeps_watch(nullptr));
}

}  // namespace
}  // namespace braidway::lockcheck
