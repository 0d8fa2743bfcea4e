// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/settings.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <set>

namespace braidway::memory {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;
using namespace std::chrono_literals;

const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));

/// Settings with one word set, which must be good.
Settings with(std::string_view word, std::string_view value) {
    Settings settings;
    const auto set = set_setting(settings, word, value);
    EXPECT_TRUE(set.has_value()) << set.error().message;
    return settings;
}

/// What is said against a value.
std::string refusal(std::string_view word, std::string_view value) {
    Settings settings;
    const auto set = set_setting(settings, word, value);
    return set ? fmt::format("{}={} was taken", word, value) : set.error().message;
}

TEST(Settings, ReadNodes) {
    EXPECT_THAT(*with("node", "0,2-3").nodes, ElementsAre(0, 2, 3));
    EXPECT_THAT(*with("node", "1,1,0-1").nodes, ElementsAre(0, 1));
    EXPECT_TRUE(with("node", "all").nodes->empty());
    EXPECT_FALSE(Settings().nodes.has_value());
    EXPECT_THAT(refusal("node", "x"), StartsWith("node: 'x' "));
    EXPECT_THAT(refusal("node", "ALL"), StartsWith("node: 'ALL' "));
    EXPECT_THAT(refusal("node", "-1"), HasSubstr("'-1'"));
    EXPECT_THAT(refusal("node", "99999"), HasSubstr("99999"));
    EXPECT_THAT(refusal("node", ""), StartsWith("node: needs a value"));
}

TEST(Settings, ReadAmountsInBinaryAndAnyCase) {
    for (const char* text : {"100M", "100m", "102400K", "100MiB", "100mib", "104857600"}) {
        const Settings settings = with("free", text);
        EXPECT_EQ(settings.request.bytes, 100u << 20) << text;
        EXPECT_EQ(settings.request.goal, Goal::free_more);
        EXPECT_EQ(settings.amount_word, "free");
    }
    EXPECT_EQ(with("until-free", "64G").request.goal, Goal::until_free);
    EXPECT_EQ(with("until-free", "64G").request.bytes, 64ull << 30);
    EXPECT_EQ(with("free", "0").request.bytes, 0u);
}

TEST(Settings, RefuseWhatIsNoAmountAndNameWordAndValue) {
    for (const std::string word : {"free", "until-free", "keep-free", "keep-cache", "rate"})
        for (const std::string value :
             {"-1", "+1", " 1", "1 ", "1 G", "0x10", "nan", "inf", "1.5G", "G", "10Q", "10MB",
              "18446744073709551616", "9223372036854775808", "16777216T"}) {
            const std::string said = refusal(word, value);
            EXPECT_THAT(said, StartsWith(word + ": '" + value + "'"));
        }
}

TEST(Settings, CountPagesOfThisMachine) {
    EXPECT_EQ(with("pages", "25600").request.bytes, 25600 * page);
    EXPECT_EQ(with("pages", "25600").amount_word, "pages");
    const std::string most = fmt::format("{}", INT64_MAX / page);
    EXPECT_EQ(with("pages", most).request.bytes, INT64_MAX / page * page);
    EXPECT_THAT(refusal("pages", fmt::format("{}", INT64_MAX / page + 1)), HasSubstr("too many"));
    EXPECT_THAT(refusal("pages", "99999999999999999999"), HasSubstr("too many"));
    for (const char* value : {"-1", "+1", "1K", "1.5", "0x1", " 1", "1 ", "nan"})
        EXPECT_THAT(refusal("pages", value), StartsWith(fmt::format("pages: '{}'", value)));
}

TEST(Settings, TakeOneWordForTheAmount) {
    Settings settings = with("free", "1G");
    const auto second = set_setting(settings, "until-free", "2G");
    ASSERT_FALSE(second.has_value());
    EXPECT_THAT(second.error().message, StartsWith("until-free: "));
    EXPECT_THAT(second.error().message, HasSubstr("free, pages and until-free"));
    EXPECT_EQ(settings.request.bytes, 1u << 30) << "nothing is changed";
    EXPECT_EQ(settings.request.goal, Goal::free_more);
    EXPECT_TRUE(set_setting(settings, "free", "2G")) << "the same word may be set again";
    EXPECT_EQ(settings.request.bytes, 2ull << 30);
}

TEST(Settings, KeepTheOrderOfKindsAndCountEachOnce) {
    EXPECT_THAT(with("what", "slab,page-cache,slab").request.kinds,
                ElementsAre(Kind::slab, Kind::page_cache));
    EXPECT_THAT(with("what", "mapped-page-cache,page-cache,anonymous").request.kinds,
                ElementsAre(Kind::mapped_page_cache, Kind::page_cache, Kind::anonymous));
    Settings settings = with("what", "slab");
    ASSERT_TRUE(set_setting(settings, "what", "anonymous"));
    EXPECT_THAT(settings.request.kinds, ElementsAre(Kind::anonymous)) << "the last one counts";
    EXPECT_THAT(refusal("what", "page-cache,cake"), StartsWith("what: 'cake' "));
    EXPECT_THAT(refusal("what", "page-cache,"), StartsWith("what: '' "));
    EXPECT_THAT(refusal("what", "page-cache, slab"), StartsWith("what: ' slab' "));
}

TEST(Settings, TakeWritebackAsASwitchOrWithPaths) {
    EXPECT_TRUE(with("writeback", "").request.writeback);
    EXPECT_TRUE(with("writeback", "yes").request.writeback_paths.empty());
    Settings settings = with("writeback", "/scratch");
    ASSERT_TRUE(set_setting(settings, "writeback", "/home"));
    ASSERT_TRUE(set_setting(settings, "writeback", "/scratch"));
    EXPECT_TRUE(settings.request.writeback);
    EXPECT_THAT(settings.request.writeback_paths, ElementsAre("/scratch", "/home"));
    ASSERT_TRUE(set_setting(settings, "writeback", "no"));
    EXPECT_FALSE(settings.request.writeback);
    EXPECT_TRUE(settings.request.writeback_paths.empty());
    EXPECT_THAT(refusal("writeback", "yess"), HasSubstr("'yess'"));
}

TEST(Settings, ReadSwitches) {
    EXPECT_TRUE(with("allow-global", "").request.allow_global);
    EXPECT_TRUE(with("allow-sysctl", "yes").request.allow_sysctl);
    EXPECT_FALSE(with("allow-sysctl", "no").request.allow_sysctl);
    EXPECT_TRUE(with("strict", "yes").strict);
    EXPECT_TRUE(with("drain-on-shortfall", "").drain);
    EXPECT_EQ(refusal("strict", "maybe"), "strict: 'maybe' is neither yes nor no");
}

TEST(Settings, CollectPathsAndMechanisms) {
    Settings settings = with("files", "/data");
    ASSERT_TRUE(set_setting(settings, "files", "/more data"));
    ASSERT_TRUE(set_setting(settings, "protect", "/data/hot"));
    ASSERT_TRUE(set_setting(settings, "mechanism", "fadvise"));
    ASSERT_TRUE(set_setting(settings, "mechanism", "mglru"));
    EXPECT_THAT(settings.request.files, ElementsAre("/data", "/more data"));
    EXPECT_THAT(settings.request.protect, ElementsAre("/data/hot"));
    EXPECT_THAT(settings.request.mechanisms, ElementsAre("fadvise", "mglru"));
    EXPECT_THAT(refusal("mechanism", "magic"), HasSubstr("drop-caches"));
    EXPECT_THAT(refusal("files", ""), StartsWith("files: needs a value"));
    EXPECT_THAT(refusal("protect", "/a\nb"), HasSubstr("control character"));
}

TEST(Settings, BoundTheirLists) {
    Settings settings;
    for (size_t i = 0; i < limits::settings_list_max; ++i)
        ASSERT_TRUE(set_setting(settings, "files", fmt::format("/{}", i)));
    EXPECT_FALSE(set_setting(settings, "files", "/one/more"));
    EXPECT_TRUE(set_setting(settings, "files", "/0")) << "it is there already";
    EXPECT_EQ(settings.request.files.size(), limits::settings_list_max);
}

TEST(Settings, ReadBounds) {
    EXPECT_EQ(with("budget", "10s").request.budget, 10s);
    EXPECT_EQ(with("budget", "10 s").request.budget, 10s);
    EXPECT_EQ(with("budget", "24h").request.budget, 24h);
    for (const char* value : {"0", "0s", "25h", "-1s", "10", "nan s", "inf"})
        EXPECT_THAT(refusal("budget", value), StartsWith(fmt::format("budget: '{}'", value)));
    EXPECT_EQ(with("keep-free", "1G").request.keep_free, 1u << 30);
    EXPECT_EQ(with("keep-cache", "2G").request.keep_cache, 2ull << 30);
    EXPECT_EQ(with("rate", "100M").request.bytes_per_second_max, 100u << 20);
    EXPECT_EQ(with("pressure-max", "12.5").request.pressure_percent_max, 12.5);
    EXPECT_EQ(with("pressure-max", "100").request.pressure_percent_max, 100);
    for (const char* value : {"-1", "-0", "+1", "100.1", "nan", "inf", "5%", "1e1", "0x5", " 5"})
        EXPECT_THAT(refusal("pressure-max", value),
                    StartsWith(fmt::format("pressure-max: '{}'", value)));
}

TEST(Settings, KnowTheWordsOfJobs) {
    EXPECT_TRUE(Settings().on_start);
    EXPECT_FALSE(Settings().on_end);
    const auto when = [](std::string_view value) {
        const Settings settings = with("when", value);
        return std::pair(settings.on_start, settings.on_end);
    };
    EXPECT_EQ(when("start"), std::pair(true, false));
    EXPECT_EQ(when("end"), std::pair(false, true));
    EXPECT_EQ(when("both"), std::pair(true, true));
    EXPECT_EQ(when("never"), std::pair(false, false));
    EXPECT_FALSE(with("nodes", "all").job_nodes);
    EXPECT_TRUE(with("nodes", "job").job_nodes);
    EXPECT_THAT(refusal("when", "later"), StartsWith("when: 'later'"));
    EXPECT_THAT(refusal("nodes", "0"), StartsWith("nodes: '0'"));
}

TEST(Settings, NameAWordThatIsNone) {
    EXPECT_THAT(refusal("fre", "1G"), StartsWith("fre: no such setting; there are node, free,"));
    EXPECT_THAT(refusal("", "1G"), HasSubstr("no such setting"));
}

TEST(Settings, DescribeEachWordOnce) {
    std::set<std::string_view> names;
    for (const SettingWord& word : setting_words()) {
        EXPECT_TRUE(names.insert(word.name).second) << word.name;
        EXPECT_FALSE(word.help.empty()) << word.name;
        // A switch can be set without a value, anything else cannot.
        Settings settings;
        const bool is_switch = word.value.empty() || word.value.starts_with('[');
        EXPECT_EQ(set_setting(settings, word.name, "").has_value(), is_switch) << word.name;
    }
    EXPECT_EQ(names.size(), 20u);
}

TEST(Settings, SayWhatIsMissing) {
    Settings settings;
    const auto missing = [&] {
        const auto checked = check_settings(settings);
        return checked ? "" : checked.error().message;
    };
    EXPECT_THAT(missing(), StartsWith("node: "));
    ASSERT_TRUE(set_setting(settings, "node", "all"));
    EXPECT_THAT(missing(), HasSubstr("one of free, pages and until-free"));
    ASSERT_TRUE(set_setting(settings, "pages", "1"));
    EXPECT_THAT(missing(), StartsWith("what: "));
    ASSERT_TRUE(set_setting(settings, "what", "slab"));
    EXPECT_EQ(missing(), "");
}

}  // namespace
}  // namespace braidway::memory
