// SPDX-License-Identifier: Apache-2.0
#include "multipath/selector.h"

#include <algorithm>
#include <cstdlib>

#include <gmock/gmock.h>
#include <rapidcheck.h>

#include "multipath/cpu_mask.h"

namespace braidway::multipath {
namespace {

/// Words for `count` paths: io-affinity needs a CPU for each.
std::vector<PathArguments> words_for(const std::string& selector, uint32_t count) {
    std::vector<PathArguments> words(count);
    for (uint32_t path = 0; path < count && selector == "io-affinity"; ++path)
        words[path] = {cpu_mask_text({path}, 0)};
    return words;
}

std::unique_ptr<Selector> make(const std::string& name, uint32_t paths) {
    return std::move(make_selector(name, {}, words_for(name, paths)).value());
}

TEST(Selector, IsMadeByItsName) {
    EXPECT_THAT(selector_names(),
                testing::ElementsAre("round-robin", "queue-length", "service-time",
                                     "historical-service-time", "io-affinity", "round-robin-count",
                                     "latency"));
    for (const std::string& name : selector_names()) EXPECT_EQ(make(name, 2)->name(), name);
}

TEST(Selector, OfAnUnknownNameIsRefusedWithTheNamesThereAre) {
    for (const char* name : {"", "Round-Robin", "queue-depth"})
        EXPECT_EQ(make_selector(name, {}, {{}}).error().message,
                  std::string("unknown path selector type '") + name +
                      "'; there are: round-robin, queue-length, service-time, "
                      "historical-service-time, io-affinity, round-robin-count, latency");
}

TEST(Selector, PicksNothingWhenEveryPathIsDown) {
    for (const std::string& name : selector_names()) {
        const auto selector = make(name, 2);
        selector->fail_path(1);
        EXPECT_EQ(selector->pick({}, {}), 0u) << name;
        selector->fail_path(0);
        EXPECT_EQ(selector->pick({}, {}), std::nullopt) << name;
        selector->reinstate_path(1);
        EXPECT_EQ(selector->pick({}, {}), 1u) << name;
    }
}

TEST(Selector, ShowsAsManyWordsForEachPath) {
    for (const std::string& name : selector_names()) {
        const auto selector = make(name, 3);
        for (uint32_t path = 1; path < 3; ++path) {
            EXPECT_EQ(selector->info_words(path).size(), selector->info_words(0).size()) << name;
            EXPECT_EQ(selector->table_words(path).size(), selector->table_words(0).size()) << name;
        }
    }
}

/// What happens to a selector, seen from outside.
class Life {
  public:
    Life(const std::string& name, uint32_t paths) : selector(make(name, paths)), up(paths, true) {}

    std::unique_ptr<Selector> selector;
    std::vector<bool> up;
    struct Io {
        uint32_t path;
        uint64_t bytes;
        Instant started_at;
    };
    std::vector<Io> out;
    Instant now{1'000'000};

    void step(uint8_t what, uint16_t detail);
    void start(uint16_t detail);
    void end(size_t at);
};

void Life::step(uint8_t what, uint16_t detail) {
    now = now + Duration(1 + detail * 97);
    const auto path = static_cast<uint32_t>(detail % up.size());
    switch (what % 8) {
        case 0:
            if (up[path]) selector->fail_path(path);
            up[path] = false;
            return;
        case 1:
            if (!up[path]) selector->reinstate_path(path);
            up[path] = true;
            return;
        case 2:
        case 3:
        case 4:
            if (!out.empty()) end(detail % out.size());
            return;
        default:
            return start(detail);
    }
}

void Life::start(uint16_t detail) {
    const IoShape io{.op = detail % 3 == 0 ? IoOp::write : IoOp::read,
                     .length_bytes = uint64_t{512} << detail % 12,
                     .cpu = detail % 9u};
    const auto picked = selector->pick(io, now);
    const bool any_up = std::ranges::find(up, true) != up.end();
    RC_ASSERT(picked.has_value() == any_up);
    if (!picked) return;
    RC_ASSERT(up[*picked]);
    selector->started(*picked, io.length_bytes, now);
    out.push_back({*picked, io.length_bytes, now});
}

void Life::end(size_t at) {
    const Io io = out[at];
    out.erase(out.begin() + static_cast<ptrdiff_t>(at));
    selector->ended(io.path, io.bytes, io.started_at, now);
}

/// Where the count of I/Os or bytes in flight stands among the info words; nothing = none is shown.
std::optional<size_t> place_of_count(const std::string& name) {
    if (name == "queue-length" || name == "service-time" || name == "latency") return 0;
    if (name == "historical-service-time") return 1;
    return std::nullopt;
}

/// rapidcheck prints the configuration when it starts.
template <typename Property>
bool holds(const Property& property) {
    ::setenv("RC_PARAMS", "seed=20240229 max_success=200 max_size=200", 0);
    return rc::check(property);
}

class AnySelector : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Names, AnySelector, testing::ValuesIn(selector_names()),
                         [](const testing::TestParamInfo<std::string>& row) {
                             std::string name = row.param;
                             std::ranges::replace(name, '-', '_');
                             return name;
                         });

TEST_P(AnySelector, NeverPicksAPathThatIsDownAndAnswersWheneverOneIsUp) {
    EXPECT_TRUE(holds([&](const std::vector<std::pair<uint8_t, uint16_t>>& steps) {
        Life life(GetParam(), 5);
        for (const auto& [what, detail] : steps) life.step(what, detail);
    }));
}

TEST_P(AnySelector, CountsBackToZero) {
    const auto place = place_of_count(GetParam());
    EXPECT_TRUE(holds([&](const std::vector<std::pair<uint8_t, uint16_t>>& steps) {
        Life life(GetParam(), 3);
        for (const auto& [what, detail] : steps) life.step(what, detail);
        while (!life.out.empty()) life.end(life.out.size() - 1);
        for (uint32_t path = 0; path < 3 && place; ++path)
            RC_ASSERT(life.selector->info_words(path).at(*place) == "0");
    }));
}

TEST_P(AnySelector, AndItsCloneDecideTheSame) {
    EXPECT_TRUE(holds([&](const std::vector<std::pair<uint8_t, uint16_t>>& before,
                          const std::vector<std::pair<uint8_t, uint16_t>>& after) {
        Life life(GetParam(), 4);
        for (const auto& [what, detail] : before) life.step(what, detail);
        Life other(GetParam(), 4);
        other.selector = life.selector->clone();
        other.up = life.up;
        other.out = life.out;
        other.now = life.now;
        for (const auto& [what, detail] : after) {
            life.step(what, detail);
            other.step(what, detail);
            RC_ASSERT(life.out.size() == other.out.size());
            if (!life.out.empty()) RC_ASSERT(life.out.back().path == other.out.back().path);
        }
        std::vector<uint64_t> state;
        std::vector<uint64_t> state_of_other;
        life.selector->append_state(state);
        other.selector->append_state(state_of_other);
        RC_ASSERT(state == state_of_other);
    }));
}

TEST_P(AnySelector, HasAnotherStateAfterItsPathsChanged) {
    const auto selector = make(GetParam(), 3);
    std::vector<uint64_t> before;
    selector->append_state(before);
    selector->fail_path(1);
    std::vector<uint64_t> after;
    selector->append_state(after);
    EXPECT_NE(before, after);
}

TEST_P(AnySelector, BearsIosThatEndTwiceWhenStrict) {
    const auto selector = std::move(make_selector(GetParam(), {}, words_for(GetParam(), 2),
                                                  {.kernel_strict = true, .node_of_cpu = {}})
                                        .value());
    for (int at = 0; at < 100; ++at) {
        const Instant now{1000 * at};
        const auto picked = selector->pick({.length_bytes = 4096}, now);
        ASSERT_TRUE(picked.has_value());
        selector->started(*picked, 4096, now);
        selector->ended(*picked, 4096, now, now);
        if (at % 10 == 0) selector->ended(*picked, 4096, now, now);
    }
}

TEST_P(AnySelector, TakesOverWhatIsInFlight) {
    const auto selector = make(GetParam(), 2);
    selector->carry_over(0, 2, 8192);
    const auto picked = selector->pick({.length_bytes = 4096}, Instant{1000});
    ASSERT_TRUE(picked.has_value());
    selector->started(*picked, 4096, Instant{1000});
    selector->ended(*picked, 4096, Instant{1000}, Instant{2000});
    selector->ended(0, 4096, Instant{500}, Instant{2000});
    selector->ended(0, 4096, Instant{500}, Instant{3000});
    EXPECT_TRUE(selector->pick({.length_bytes = 4096}, Instant{3000}).has_value());
    if (const auto place = place_of_count(GetParam())) {
        EXPECT_EQ(selector->info_words(0).at(*place), "0");
    }
}

}  // namespace
}  // namespace braidway::multipath
