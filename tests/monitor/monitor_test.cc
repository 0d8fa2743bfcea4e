// SPDX-License-Identifier: Apache-2.0
#include "monitor/monitor.h"

#include "support/devices.h"

namespace braidway::monitor {
namespace {

constexpr Duration interval = 2ms;
constexpr Duration interval_max = 8ms;
constexpr Duration timeout = 10ms;

/// A device that answers checks by itself, or keeps them when it hangs.
class CheckedDevice final : public block::BlockDevice {
  public:
    explicit CheckedDevice(loop::Loop& loop) : loop_(loop) { geometry_.size_bytes = 1u << 20; }
    const block::Geometry& geometry() const override { return geometry_; }
    void begin(block::Request& request) override {
        reads.push_back(loop_.now());
        EXPECT_EQ(request.op, IoOp::read);
        EXPECT_EQ(request.offset_bytes, 0u);
        EXPECT_EQ(request.length_bytes, geometry_.block_bytes);
        EXPECT_TRUE(request.must_reach_storage);
        EXPECT_EQ(kept, nullptr) << "one read at a time";
        if (hangs)
            kept = &request;
        else
            block::finish_soon(loop_, request, status);
    }
    void answer(IoStatus answered) {
        block::Request& request = *std::exchange(kept, nullptr);
        request.finish(answered);
    }

    std::vector<Instant> reads;
    IoStatus status = IoStatus::ok;
    bool hangs = false;
    block::Request* kept = nullptr;

  private:
    loop::Loop& loop_;
    block::Geometry geometry_;
};

struct Verdict {
    uint32_t path;
    bool good;
    std::string reason;
};

struct Verdicts final : multipath::VerdictSink {
    std::vector<Verdict> all;
    void path_checked(uint32_t path, bool good, const std::string& reason) override {
        all.push_back({path, good, reason});
    }
};

struct TestReviver final : Reviver {
    bool wanted = true;
    int asked = 0;
    Done done;
    bool needed() const override { return wanted; }
    void revive(Done then) override {
        ++asked;
        done = std::move(then);
    }
    void answer(Result<void> result) {
        const Done then = std::move(done);
        if (result) wanted = false;
        then(std::move(result));
    }
};

struct TestLooker final : Looker {
    bool usable = true;
    bool abandoned = false;
    int asked = 0;
    Done done;
    bool able() const override { return usable; }
    void look(Done then) override {
        ++asked;
        done = std::move(then);
    }
    void abandon() override { abandoned = true; }
    void answer(CheckState state) { std::exchange(done, nullptr)({state, "as it looks"}); }
};

class CheckerTest : public LaneTest {
  protected:
    void make(CheckConfig config = {.polling_interval = interval,
                                    .max_polling_interval = interval_max,
                                    .timeout = timeout},
              bool with_reviver = false) {
        auto device = std::make_unique<CheckedDevice>(*loop_);
        device_ = device.get();
        path_ = std::make_unique<path::Path>(*loop_, *pool_, std::move(device),
                                             path::Path::Options{.name = "p", .io_timeout = {}});
        std::unique_ptr<TestReviver> reviver;
        if (with_reviver) reviver = std::make_unique<TestReviver>();
        reviver_ = reviver.get();
        checker_ = std::make_unique<Checker>(*loop_, *path_, std::move(reviver), config, 3, sink_);
    }
    void await_verdicts(size_t count) {
        turn_until([&] { return sink_.all.size() >= count; });
    }
    /// How long after its end the next check begins, by its own plan.
    Duration planned() const {
        return checker_->status().next_at - checker_->status().ended_at.value();
    }

    CheckedDevice* device_ = nullptr;
    TestReviver* reviver_ = nullptr;
    std::unique_ptr<path::Path> path_;
    Verdicts sink_;
    std::unique_ptr<Checker> checker_;
};

TEST_F(CheckerTest, AGoodPathIsLookedAtLessAndLessOftenUpToTheMaximum) {
    make();
    EXPECT_EQ(checker_->status().state, CheckState::unchecked);
    const Duration expected[] = {interval, 2 * interval, 4 * interval, interval_max, interval_max};
    for (size_t at = 0; at < std::size(expected); ++at) {
        await_verdicts(at + 1);
        ASSERT_EQ(sink_.all.size(), at + 1);
        EXPECT_EQ(planned(), expected[at]) << "after check " << at;
        EXPECT_TRUE(sink_.all.back().good);
        EXPECT_EQ(sink_.all.back().path, 3u);
    }
    EXPECT_EQ(checker_->status().state, CheckState::ready);
    EXPECT_EQ(checker_->status().message.find("read of the first block: "), 0u);
}

TEST_F(CheckerTest, TheFirstLookIsOneIntervalAway) {
    const Instant start = loop_->now();
    make();
    EXPECT_GE(checker_->status().next_at, start + interval);
    await_verdicts(1);
    EXPECT_GE(device_->reads.at(0), start + interval);
}

TEST_F(CheckerTest, AFailedPathIsLookedAtEveryInterval) {
    make();
    device_->status = IoStatus::transport;
    for (size_t at = 1; at <= 4; ++at) {
        await_verdicts(at);
        EXPECT_EQ(planned(), interval);
        EXPECT_FALSE(sink_.all.back().good);
        checker_->path_failed();  // As a map says when a verdict fails the path.
    }
    EXPECT_EQ(checker_->status().state, CheckState::faulty);
    EXPECT_EQ(sink_.all.back().reason, "read of the first block: transport");
    device_->status = IoStatus::ok;
    await_verdicts(5);
    EXPECT_EQ(planned(), interval) << "the back-off starts anew";
    await_verdicts(6);
    EXPECT_EQ(planned(), 2 * interval);
}

TEST_F(CheckerTest, AFailureOfIoStartsTheBackOffAnew) {
    make();
    await_verdicts(4);
    EXPECT_EQ(planned(), interval_max);
    checker_->path_failed();
    EXPECT_LE(checker_->status().next_at, loop_->now() + interval);
    await_verdicts(5);
    EXPECT_EQ(planned(), interval) << "this good check is the first since the failure";
    await_verdicts(6);
    EXPECT_EQ(planned(), 2 * interval);
}

TEST_F(CheckerTest, AReadThatHangsIsABadVerdictAtTheDeadlineAndNoSecondOneStarts) {
    make();
    device_->hangs = true;
    await_verdicts(1);
    EXPECT_FALSE(sink_.all[0].good);
    EXPECT_EQ(checker_->status().state, CheckState::timeout);
    EXPECT_TRUE(checker_->status().under_way);
    EXPECT_FALSE(checker_->quiet());
    turn_for(3 * timeout);
    checker_->check_now();
    checker_->path_failed();
    turn_for(2 * interval);
    EXPECT_EQ(device_->reads.size(), 1u);
    EXPECT_EQ(sink_.all.size(), 1u);
    // The late answer says nothing good; the next check does.
    device_->hangs = false;
    device_->answer(IoStatus::ok);
    EXPECT_EQ(sink_.all.size(), 1u);
    EXPECT_EQ(checker_->status().state, CheckState::timeout);
    EXPECT_FALSE(checker_->status().under_way);
    await_verdicts(2);
    EXPECT_TRUE(sink_.all[1].good);
    EXPECT_EQ(device_->reads.size(), 2u);
    EXPECT_EQ(checker_->status().state, CheckState::ready);
}

TEST_F(CheckerTest, ACheckThatHangsDelaysNoOther) {
    make();
    CheckedDevice* hanging = device_;
    hanging->hangs = true;
    auto first_path = std::move(path_);
    auto first = std::move(checker_);
    make();
    await_verdicts(3);
    EXPECT_GE(device_->reads.size(), 3u);
    EXPECT_EQ(hanging->reads.size(), 1u);
    hanging->hangs = false;
    hanging->answer(IoStatus::ok);
    first.reset();
}

TEST_F(CheckerTest, ALookerLooksInPlaceOfTheRead) {
    make();
    auto owned = std::make_unique<TestLooker>();
    TestLooker& looker = *owned;
    checker_->set_looker(std::move(owned));
    checker_->check_now();
    EXPECT_FALSE(checker_->quiet());
    looker.answer(CheckState::ghost);
    ASSERT_EQ(sink_.all.size(), 1u);
    EXPECT_TRUE(sink_.all[0].good) << "it can be activated";
    EXPECT_EQ(checker_->status().state, CheckState::ghost);
    EXPECT_TRUE(device_->reads.empty());
    checker_->check_now();
    looker.answer(CheckState::faulty);
    EXPECT_FALSE(sink_.all.back().good);
    EXPECT_EQ(sink_.all.back().reason, "as it looks");
    // One that cannot look leaves the path to the read.
    looker.usable = false;
    await_verdicts(3);
    EXPECT_EQ(device_->reads.size(), 1u);
    EXPECT_EQ(looker.asked, 2);
}

TEST_F(CheckerTest, ALookThatCannotSayAnythingChangesNothingAndIsSoonRepeated) {
    make({.polling_interval = 1h, .max_polling_interval = 1h, .timeout = timeout});
    auto owned = std::make_unique<TestLooker>();
    TestLooker& looker = *owned;
    checker_->set_looker(std::move(owned));
    checker_->check_now();
    looker.answer(CheckState::ready);
    checker_->check_now();
    looker.answer(CheckState::unchecked);
    EXPECT_EQ(sink_.all.size(), 1u);
    EXPECT_EQ(checker_->status().state, CheckState::ready);
    EXPECT_LT(planned(), 2s) << "not in an hour";
    // A look that is under way ends after its path has left.
    checker_->check_now();
    checker_->stop();
    EXPECT_TRUE(looker.abandoned);
    EXPECT_FALSE(checker_->quiet());
    looker.answer(CheckState::ready);
    EXPECT_TRUE(checker_->quiet());
    EXPECT_EQ(sink_.all.size(), 1u);
}

TEST_F(CheckerTest, LooksAtOnceWhenAsked) {
    make({.polling_interval = 1h, .max_polling_interval = 1h, .timeout = timeout});
    checker_->check_now();
    EXPECT_EQ(device_->reads.size(), 1u);
    checker_->check_now();
    await_verdicts(1);
    EXPECT_EQ(device_->reads.size(), 1u);
}

TEST_F(CheckerTest, SwitchedOffItNeverLooks) {
    make({.enabled = false, .polling_interval = interval});
    turn_for(3 * interval);
    EXPECT_TRUE(device_->reads.empty());
    checker_->configure(
        {.polling_interval = interval, .max_polling_interval = interval_max, .timeout = timeout});
    await_verdicts(1);
    checker_->configure({.enabled = false, .polling_interval = interval});
    EXPECT_EQ(checker_->status().next_at, never);
    const size_t before = device_->reads.size();
    turn_for(3 * interval);
    EXPECT_EQ(device_->reads.size(), before);
}

TEST_F(CheckerTest, StoppedItIsQuietWhenItsReadHasComeBack) {
    make();
    device_->hangs = true;
    turn_until([&] { return !device_->reads.empty(); });
    checker_->stop();
    EXPECT_FALSE(checker_->quiet());
    turn_for(2 * timeout);
    EXPECT_TRUE(sink_.all.empty()) << "no verdict of a checker that was stopped";
    device_->answer(IoStatus::ok);
    EXPECT_TRUE(checker_->quiet());
    EXPECT_TRUE(sink_.all.empty());
    turn_for(2 * interval_max);
    checker_->check_now();
    EXPECT_EQ(device_->reads.size(), 1u);
}

TEST_F(CheckerTest, RevivesADeviceThatIsGoneBeforeItReads) {
    make({.polling_interval = interval, .max_polling_interval = interval_max, .timeout = 1h}, true);
    turn_until([&] { return reviver_->asked == 1; });
    EXPECT_TRUE(device_->reads.empty());
    EXPECT_FALSE(checker_->quiet());
    reviver_->answer(fail("/srv/disk.img: No such file or directory"));
    ASSERT_EQ(sink_.all.size(), 1u);
    EXPECT_FALSE(sink_.all[0].good);
    EXPECT_EQ(sink_.all[0].reason, "/srv/disk.img: No such file or directory");
    EXPECT_GE(planned(), interval);
    EXPECT_LT(planned(), interval_max);
    turn_until([&] { return reviver_->asked == 2; });
    reviver_->answer({});
    await_verdicts(2);
    EXPECT_TRUE(sink_.all[1].good);
    EXPECT_EQ(device_->reads.size(), 1u);
    await_verdicts(3);
    EXPECT_EQ(reviver_->asked, 2);
}

TEST_F(CheckerTest, AReviverThatIsLateIsABadVerdictOnce) {
    make({.polling_interval = interval, .max_polling_interval = interval_max, .timeout = timeout},
         true);
    turn_until([&] { return reviver_->asked == 1; });
    await_verdicts(1);
    EXPECT_EQ(checker_->status().state, CheckState::timeout);
    turn_for(2 * interval);
    EXPECT_EQ(reviver_->asked, 1);
    reviver_->answer({});
    EXPECT_EQ(sink_.all.size(), 1u);
    EXPECT_TRUE(device_->reads.empty());
    await_verdicts(2);
    EXPECT_TRUE(sink_.all[1].good);
}

TEST_F(CheckerTest, StoppedWhileRevivingItReadsNothing) {
    make({.polling_interval = interval, .max_polling_interval = interval_max, .timeout = 1h}, true);
    turn_until([&] { return reviver_->asked == 1; });
    checker_->stop();
    EXPECT_FALSE(checker_->quiet());
    reviver_->answer({});
    EXPECT_TRUE(checker_->quiet());
    EXPECT_TRUE(device_->reads.empty());
    EXPECT_TRUE(sink_.all.empty());
}

TEST_F(CheckerTest, StatesHaveNames) {
    EXPECT_EQ(check_state_name(CheckState::unchecked), "unchecked");
    EXPECT_EQ(check_state_name(CheckState::ready), "ready");
    EXPECT_EQ(check_state_name(CheckState::faulty), "faulty");
    EXPECT_EQ(check_state_name(CheckState::timeout), "timeout");
}

TEST_F(CheckerTest, AMonitorFindsTellsAndHandsOverItsCheckers) {
    make();
    Monitor monitor(*loop_);
    const CheckConfig slow{.polling_interval = 1h, .max_polling_interval = 4h, .timeout = 1h};
    EXPECT_EQ(monitor.find(*path_), nullptr);
    monitor.add(*path_, nullptr, slow, 5, sink_);
    Checker* checker = monitor.find(*path_);
    ASSERT_NE(checker, nullptr);
    const Instant before = checker->status().next_at;
    turn_for(1ms);
    monitor.path_failed(4);
    EXPECT_EQ(checker->status().next_at, before);
    monitor.path_failed(5);
    EXPECT_GT(checker->status().next_at, before);
    std::unique_ptr<Checker> removed = monitor.remove(*path_);
    EXPECT_EQ(removed.get(), checker);
    EXPECT_TRUE(removed->quiet());
    EXPECT_EQ(monitor.find(*path_), nullptr);
    EXPECT_EQ(monitor.remove(*path_), nullptr);
}

}  // namespace
}  // namespace braidway::monitor
