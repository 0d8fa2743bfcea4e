// SPDX-License-Identifier: Apache-2.0
#include "multipath/historical_service_time.h"

#include <cstdlib>
#include <list>

#include <gmock/gmock.h>
#include <rapidcheck.h>

namespace braidway::multipath {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::StartsWith;

// ISO C++ has no 128-bit integers; both our compilers do.
__extension__ using Wide = __int128;

std::unique_ptr<Selector> make(size_t paths, const PathArguments& group = {},
                               bool kernel_strict = false) {
    return std::move(
        make_historical_service_time(group, std::vector<PathArguments>(paths),
                                     {.kernel_strict = kernel_strict, .node_of_cpu = {}})
            .value());
}

/// One I/O on `path` from `from` to `to`.
void serve(Selector& selector, uint32_t path, Instant from, Instant to) {
    selector.started(path, 4096, from);
    selector.ended(path, 4096, from, to);
}

uint64_t average_of(const Selector& selector, uint32_t path) {
    return std::stoull(selector.info_words(path).at(0));
}

TEST(HistoricalServiceTime, StartsAtOneNanosecondAndNothingElse) {
    EXPECT_THAT(make(1)->info_words(0), ElementsAre("1024", "0", "0"));
}

struct AverageVector {
    const char* rule;
    const char* base;
    std::vector<int64_t> service_ns;  ///< One I/O after the other.
    uint64_t average;
};

// Worked out by hand; weights of 972: ^1 972, ^2 923, ^3 876, ^4 832 of 1024.
const AverageVector average_vectors[] = {
    // (1024 * 972 + 1 ms * 1024 * 52 + 512) / 1024 = 53248995840 / 1024
    {"a first one of 1 ms", "972", {1'000'000}, 52'000'972},
    // (52000972 * 972 + 53248000000 + 512) / 1024 = 103792945296 / 1024
    {"a second one of 1 ms", "972", {1'000'000, 1'000'000}, 101'360'298},
    {"a service time of 0 lets it shrink: (1024 * 972 + 512) / 1024", "972", {0}, 972},
    // 2^24 ns is bucket 1: (1024 * 923 + 2^34 * 101 + 512) / 1024 = 2^24 * 101 + 923.5
    {"16.8 ms weigh more", "972", {1 << 24}, 1'694'499'739},
    {"a nanosecond less does not: (1024 * 972 + (2^34 - 1024) * 52 + 512) / 1024",
     "972",
     {(1 << 24) - 1},
     872'416'152},
    // Bucket 2: (1024 * 876 + 2^35 * 148 + 512) / 1024
    {"33.6 ms, two buckets", "972", {1 << 25}, 4'966'056'812},
    // Bucket 3: 3 * 2^24 * 192 + 832
    {"50.3 ms, three buckets", "972", {3 << 24}, 9'663'677'248},
    {"from 63 buckets on nothing of the past is left",
     "972",
     {int64_t{63} << 24},
     1'082'331'758'592},
    {"base 0: nothing of the past is ever left", "0", {1'000'000, 3000}, 3'072'000},
    {"base 1023: a thousandth counts: (1024 * 1023 + 1 ms * 1024 + 512) / 1024",
     "1023",
     {1'000'000},
     1'001'023},
};

TEST(HistoricalServiceTime, AveragesAsTheFormulaSays) {
    for (const AverageVector& vector : average_vectors) {
        const auto selector = make(1, {vector.base});
        Instant now{0};
        for (const int64_t length : vector.service_ns) {
            serve(*selector, 0, now, now + Duration(length));
            now = now + Duration(length);
        }
        EXPECT_EQ(average_of(*selector, 0), vector.average) << vector.rule;
    }
}

TEST(HistoricalServiceTime, CutsServiceTimesOffAt54Bits) {
    const auto selector = make(1, {"0"});
    serve(*selector, 0, Instant{0}, Instant{int64_t{1} << 50});
    EXPECT_EQ(average_of(*selector, 0), UINT64_MAX >> 10);
}

TEST(HistoricalServiceTime, CountsFromThePreviousFinishWhenThatIsLater) {
    const auto selector = make(1, {"0"});
    for (int at = 0; at < 3; ++at) selector->started(0, 4096, Instant{0});
    selector->ended(0, 4096, Instant{0}, Instant{1000});
    EXPECT_EQ(average_of(*selector, 0), 1000u * 1024);
    selector->ended(0, 4096, Instant{0}, Instant{1500});
    EXPECT_EQ(average_of(*selector, 0), 500u * 1024);
    selector->ended(0, 4096, Instant{0}, Instant{1400});
    EXPECT_EQ(average_of(*selector, 0), 0u) << "a clock that runs back gives 0";
}

TEST(HistoricalServiceTime, IsStaleAfterAsManyServiceTimesAsPathsAreUp) {
    const auto selector = make(3, {"0"});
    serve(*selector, 0, Instant{0}, Instant{1000});
    EXPECT_THAT(selector->info_words(0), ElementsAre("1024000", "0", "4000"));
    selector->fail_path(2);
    serve(*selector, 1, Instant{0}, Instant{1000});
    EXPECT_THAT(selector->info_words(1), ElementsAre("1024000", "0", "3000"));
    selector->reinstate_path(2);
    serve(*selector, 2, Instant{0}, Instant{1000});
    EXPECT_THAT(selector->info_words(2), ElementsAre("1024000", "0", "4000"));
}

TEST(HistoricalServiceTime, TakesTheIdlePathThatIsStaleLongest) {
    const auto selector = make(2, {"0"});
    serve(*selector, 0, Instant{0}, Instant{3000});  // Stale after 9000.
    serve(*selector, 1, Instant{0}, Instant{1000});  // Stale after 3000.
    EXPECT_EQ(selector->pick({}, Instant{3001}), 1u);
    EXPECT_EQ(selector->pick({}, Instant{20'000}), 1u) << "nothing has ended since";
    selector->started(1, 4096, Instant{20'000});
    EXPECT_EQ(selector->pick({}, Instant{20'000}), 0u) << "loaded loses to idle and stale";
    EXPECT_EQ(selector->pick({}, Instant{3000}), 1u) << "not stale: 2 * 1000 is less than 3000";
}

TEST(HistoricalServiceTime, TakesTheSmallerProductOfServiceTimeAndOutstanding) {
    const auto selector = make(2, {"0"});
    serve(*selector, 0, Instant{0}, Instant{1000});
    serve(*selector, 1, Instant{0}, Instant{3500});
    std::vector<uint32_t> picked;
    for (int at = 0; at < 6; ++at) {
        picked.push_back(selector->pick({}, Instant{1500}).value());
        selector->started(picked.back(), 4096, Instant{1500});
    }
    // Idle 0 first (stale after 3000, 1 after 10500), then 1000 * (1 + n) against 3500 * (1 + m).
    EXPECT_THAT(picked, ElementsAre(0, 0, 0, 1, 0, 0));
}

TEST(HistoricalServiceTime, LimitsAStaleWinnerToEqualUse) {
    const auto selector = make(2, {"0"});
    serve(*selector, 0, Instant{0}, Instant{1000});  // Stale after 3000.
    serve(*selector, 1, Instant{0}, Instant{50'000});
    selector->started(0, 4096, Instant{3500});
    selector->started(1, 4096, Instant{3500});
    selector->started(1, 4096, Instant{3500});
    EXPECT_EQ(selector->pick({}, Instant{3500}), 0u) << "fewer outstanding";
    selector->started(0, 4096, Instant{3500});
    selector->started(0, 4096, Instant{3500});
    EXPECT_EQ(selector->pick({}, Instant{3500}), 1u) << "1000 * 4 wins, but nobody confirmed it";
}

TEST(HistoricalServiceTime, ComparesWhatIsOutstandingWithinTheThreshold) {
    const auto selector = make(2, {"0", "3"});
    serve(*selector, 0, Instant{0}, Instant{1000});
    serve(*selector, 1, Instant{0}, Instant{3000});
    selector->started(0, 4096, Instant{3000});
    EXPECT_EQ(selector->pick({}, Instant{3000}), 1u) << "3000 is not above 3 * 1000";
    serve(*selector, 1, Instant{3000}, Instant{6001});
    selector->started(1, 4096, Instant{6001});
    selector->started(0, 4096, Instant{6001});
    serve(*selector, 0, Instant{6001}, Instant{7001});
    EXPECT_EQ(selector->pick({}, Instant{7001}), 0u) << "2 * 1000 and 3001 is";
}

TEST(HistoricalServiceTime, ReadsAndShowsItsWords) {
    EXPECT_THAT(make(1)->group_words(), ElementsAre("972", "0"));
    EXPECT_THAT(make(1, {"4294967297", "7"})->group_words(), ElementsAre("1", "7"));
    const auto selector = std::move(make_historical_service_time({}, {{"1000"}, {}}, {}).value());
    EXPECT_THAT(selector->table_words(0), ElementsAre("0"));
    EXPECT_THAT(selector->table_words(1), ElementsAre("0"));
    selector->started(0, 512, Instant{1});
    EXPECT_THAT(selector->info_words(0), ElementsAre("1024", "1", "0"));
}

TEST(HistoricalServiceTime, RefusesWrongArguments) {
    const auto refusal = [](const PathArguments& group, const PathArguments& path) {
        return make_historical_service_time(group, {path}, {}).error().message;
    };
    EXPECT_EQ(refusal({"1024"}, {}),
              "path selector constructor failed: historical-service-time: base_weight '1024': "
              "expected a whole number from 0 to 1023");
    EXPECT_THAT(refusal({"1", "x"}, {}),
                StartsWith("path selector constructor failed: historical-service-time: "
                           "threshold_multiplier 'x'"));
    EXPECT_THAT(refusal({"1", "2", "3"}, {}), StartsWith("path selector constructor failed: "));
    EXPECT_THAT(refusal({}, {"-1"}),
                StartsWith("historical-service-time ps: invalid repeat count: path 1: "));
    EXPECT_THAT(refusal({}, {"1", "1"}),
                StartsWith("historical-service-time ps: incorrect number of arguments: path 1: "));
}

TEST(HistoricalServiceTime, GoesBelowZeroWhenStrict) {
    const auto selector = make(2, {}, true);
    selector->ended(1, 4096, Instant{0}, Instant{0});
    EXPECT_THAT(selector->info_words(1), ElementsAre("972", "18446744073709551615", "0"));
    EXPECT_TRUE(selector->pick({}, Instant{1}).has_value());
}

/// The selector again, from its description, with numbers that cannot overflow.
class Model {
  public:
    Model(size_t paths, Wide base, Wide threshold) : paths_(paths), threshold_(threshold) {
        for (uint32_t path = 0; path < paths; ++path) order_.push_back(path);
        for (int bucket = 0; bucket < 63; ++bucket) weights_.push_back(power(base, bucket + 1));
        weights_.push_back(0);
    }

    uint32_t pick(Wide now) {
        auto best = order_.begin();
        for (auto at = order_.begin(); at != order_.end(); ++at)
            if (compare(paths_[*at], paths_[*best], now) < 0) best = at;
        order_.splice(order_.end(), order_, best);
        return order_.back();
    }
    void start(uint32_t path) { ++paths_[path].outstanding; }
    void end(uint32_t path, Wide started, Wide now) {
        State& state = paths_[path];
        const Wide length = std::max<Wide>(0, now - std::max(started, state.last_finish));
        state.last_finish = now;
        --state.outstanding;
        const Wide weight = weights_[static_cast<size_t>(std::min<Wide>(63, length / (1 << 24)))];
        const Wide sample = std::min<Wide>(length * 1024, UINT64_MAX / 1024);
        state.average = (state.average * weight + sample * (1024 - weight) + 512) / 1024;
        state.stale_after = now + static_cast<Wide>(order_.size()) * (state.average / 1024);
    }
    void fail(uint32_t path) { order_.remove(path); }
    void reinstate(uint32_t path) { order_.push_back(path); }
    bool is_up(uint32_t path) const {
        return std::find(order_.begin(), order_.end(), path) != order_.end();
    }
    PathArguments words(uint32_t path) const {
        const State& state = paths_[path];
        return {std::to_string(static_cast<uint64_t>(state.average)),
                std::to_string(static_cast<uint64_t>(state.outstanding)),
                std::to_string(static_cast<uint64_t>(state.stale_after))};
    }

  private:
    struct State {
        Wide average = 1024;
        Wide outstanding = 0;
        Wide stale_after = 0;
        Wide last_finish = 0;
    };
    std::vector<State> paths_;
    std::list<uint32_t> order_;
    std::vector<Wide> weights_;
    Wide threshold_;

    static Wide power(Wide base, int exponent) {
        Wide result = 1024;
        for (int bit = 1; bit <= exponent; bit *= 2) {
            if (exponent & bit) result = (result * base + 512) / 1024;
            base = (base * base + 512) / 1024;
        }
        return result;
    }

    /// Below 0: `one` is better.
    Wide compare(const State& one, const State& other, Wide now) const {
        const Wide by_use = one.outstanding - other.outstanding;
        if (std::max(one.average, other.average) <=
            threshold_ * std::min(one.average, other.average))
            return by_use;
        const auto idle = [](const State& state) { return state.outstanding == 0; };
        const auto stale = [&](const State& state) { return state.stale_after < now; };
        if (idle(one) && idle(other)) return one.stale_after - other.stale_after;
        if (idle(one) && stale(one)) return -one_if(other.stale_after != 0);
        if (idle(other) && stale(other)) return one_if(one.stale_after != 0);
        const bool other_wins =
            (1 + one.outstanding) * one.average > (1 + other.outstanding) * other.average;
        if (stale(other_wins ? other : one)) return by_use;
        return other_wins ? 1 : -1;
    }
    /// The kernel subtracts the loaded path's stale time from 0: at time 0 that decides nothing.
    static Wide one_if(bool decides) { return decides ? 1 : 0; }
};

TEST(HistoricalServiceTime, DecidesAsAModelOfItsDescription) {
    ::setenv("RC_PARAMS", "seed=20240229 max_success=400 max_size=300", 0);
    const auto agrees = [](const std::vector<std::pair<uint8_t, uint32_t>>& steps, uint16_t base,
                           uint8_t threshold) {
        constexpr uint32_t paths = 4;
        const PathArguments group{std::to_string(base % 1024), std::to_string(threshold % 4)};
        const auto selector = make(paths, group);
        Model model(paths, base % 1024, threshold % 4);
        std::vector<std::pair<uint32_t, Instant>> out;
        Instant now{1};
        for (const auto& [what, detail] : steps) {
            now = now + Duration(detail % (what % 3 == 0 ? 1'000'000'000 : 3'000'000));
            const uint32_t path = detail % paths;
            if (what % 16 == 0 && model.is_up(path)) {
                selector->fail_path(path);
                model.fail(path);
            } else if (what % 16 == 1 && !model.is_up(path)) {
                selector->reinstate_path(path);
                model.reinstate(path);
            } else if (what % 16 < 9 && !out.empty()) {
                const size_t at = detail % out.size();
                selector->ended(out[at].first, 4096, out[at].second, now);
                model.end(out[at].first, out[at].second.ns, now.ns);
                out.erase(out.begin() + static_cast<ptrdiff_t>(at));
            } else if (const auto picked = selector->pick({}, now)) {
                RC_ASSERT(*picked == model.pick(now.ns));
                selector->started(*picked, 4096, now);
                model.start(*picked);
                out.emplace_back(*picked, now);
            }
            for (uint32_t each = 0; each < paths; ++each)
                RC_ASSERT(selector->info_words(each) == model.words(each));
        }
    };
    EXPECT_TRUE(rc::check(agrees));
}

}  // namespace
}  // namespace braidway::multipath
