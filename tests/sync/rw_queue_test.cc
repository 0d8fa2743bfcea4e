// SPDX-License-Identifier: Apache-2.0
// Who enters the semaphore before whom. Threads are put into the queue one by one.
#include "braidway/sync/rw_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <mutex>
#include <set>
#include <string>

#include "braidway/sync/rw_semaphore.h"
#include "sync/actor.h"

namespace braidway::sync {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using Semaphore = BasicRwSemaphore<WatchedPolicy>;

/// A deadline that passes when the actor is told to give up.
const auto until_told = std::chrono::hours(1);

/// Who is inside and is not let out yet.
class Stage {
  public:
    /// Says that `who` is inside, and keeps it there until it is let out.
    void stay(const std::string& who) {
        {
            const std::lock_guard lock(mutex_);
            inside_.insert(who);
        }
        EXPECT_TRUE(holds_soon([&] { return may_leave(who); }));
    }
    bool holds(const std::set<std::string>& expected) {
        const bool as_expected = holds_soon([&] {
            const std::lock_guard lock(mutex_);
            return inside_.size() >= expected.size();
        });
        const std::lock_guard lock(mutex_);
        return as_expected && inside_ == expected;
    }
    void let_out(const std::set<std::string>& who) {
        const std::lock_guard lock(mutex_);
        for (const std::string& name : who) {
            inside_.erase(name);
            leaving_.insert(name);
        }
    }
    bool holds_then_lets_out(const std::set<std::string>& expected) {
        if (!holds(expected)) return false;
        let_out(expected);
        return true;
    }

  private:
    bool may_leave(const std::string& who) {
        const std::lock_guard lock(mutex_);
        return leaving_.contains(who);
    }

    std::mutex mutex_;
    std::set<std::string> inside_;
    std::set<std::string> leaving_;
};

/// A semaphore, its stage, and the threads that come to it.
class RwQueueTest : public testing::Test {
  protected:
    /// A thread that comes, is seen to wait, enters, stays until let out, and leaves.
    Actor& queue_writer(const std::string& name) {
        return waiting([this, name] {
            semaphore_.lock();
            stage_.stay(name);
            semaphore_.unlock();
        });
    }
    Actor& queue_reader(const std::string& name) {
        return waiting([this, name] {
            semaphore_.lock_shared();
            stage_.stay(name);
            semaphore_.unlock_shared();
        });
    }
    Actor& queue_upgradable(const std::string& name) {
        return waiting([this, name] {
            semaphore_.lock_upgrade();
            stage_.stay(name);
            semaphore_.unlock_upgrade();
        });
    }
    /// The same with a deadline: whoever gives up comes on the stage as "no " and its name.
    Actor& queue_timed_writer(const std::string& name) {
        return waiting([this, name] {
            const bool entered = semaphore_.try_lock_for(until_told);
            stage_.stay(entered ? name : "no " + name);
            if (entered) semaphore_.unlock();
        });
    }
    Actor& queue_timed_reader(const std::string& name) {
        return waiting([this, name] {
            const bool entered = semaphore_.try_lock_shared_for(until_told);
            stage_.stay(entered ? name : "no " + name);
            if (entered) semaphore_.unlock_shared();
        });
    }
    Actor& waiting(std::function<void()> body) {
        Actor& actor = actors_.emplace_back(std::move(body));
        EXPECT_TRUE(actor.sleeps());
        return actor;
    }
    void everybody_ends() {
        for (const Actor& actor : actors_) EXPECT_TRUE(actor.ends());
        EXPECT_TRUE(semaphore_.try_lock()) << "somebody is still inside";
        semaphore_.unlock();
    }

    Semaphore semaphore_;
    Stage stage_;
    std::deque<Actor> actors_;
};

TEST_F(RwQueueTest, LetsTenMixedWaitersInInTheirOrderAndReadersNextToEachOtherTogether) {
    semaphore_.lock();
    queue_writer("writer 0");
    queue_reader("reader 1");
    queue_reader("reader 2");
    queue_upgradable("upgradable 3");
    queue_reader("reader 4");
    queue_writer("writer 5");
    queue_writer("writer 6");
    queue_reader("reader 7");
    queue_reader("reader 8");
    queue_reader("reader 9");
    semaphore_.unlock();
    EXPECT_TRUE(stage_.holds_then_lets_out({"writer 0"}));
    EXPECT_TRUE(stage_.holds_then_lets_out({"reader 1", "reader 2", "upgradable 3", "reader 4"}));
    EXPECT_TRUE(stage_.holds_then_lets_out({"writer 5"}));
    EXPECT_TRUE(stage_.holds_then_lets_out({"writer 6"}));
    EXPECT_TRUE(stage_.holds_then_lets_out({"reader 7", "reader 8", "reader 9"}));
    everybody_ends();
}

TEST_F(RwQueueTest, LetsNoNewReaderInOnceAWriterWaits) {
    semaphore_.lock_shared();
    queue_writer("writer");
    EXPECT_FALSE(semaphore_.try_lock_shared());
    EXPECT_FALSE(semaphore_.try_lock_upgrade());
    queue_reader("late reader");
    semaphore_.unlock_shared();
    EXPECT_TRUE(stage_.holds_then_lets_out({"writer"}));
    EXPECT_TRUE(stage_.holds_then_lets_out({"late reader"}));
    everybody_ends();
}

TEST_F(RwQueueTest, AReaderThatComesWhileAWriterIsInsideAndNobodyWaitsGoesBeforeTheNextWriter) {
    semaphore_.lock();
    queue_reader("early reader");
    queue_writer("writer");
    queue_reader("late reader");
    semaphore_.unlock();
    EXPECT_TRUE(stage_.holds_then_lets_out({"early reader"}));
    EXPECT_TRUE(stage_.holds_then_lets_out({"writer"}));
    EXPECT_TRUE(stage_.holds_then_lets_out({"late reader"}));
    everybody_ends();
}

TEST_F(RwQueueTest, OneUpgradableReaderAtATimeInTheirOrder) {
    semaphore_.lock_upgrade();
    queue_upgradable("first");
    queue_upgradable("second");
    EXPECT_FALSE(semaphore_.try_lock_shared()) << "somebody waits";
    semaphore_.unlock_upgrade();
    EXPECT_TRUE(stage_.holds_then_lets_out({"first"}));
    EXPECT_TRUE(stage_.holds_then_lets_out({"second"}));
    everybody_ends();
}

TEST_F(RwQueueTest, WhoeverStandsBehindAHeadThatGivesUpEnters) {
    semaphore_.lock_shared();
    Actor& head = queue_timed_writer("head");
    queue_reader("reader 1");
    queue_reader("reader 2");
    queue_writer("writer");
    head.give_up();
    EXPECT_TRUE(stage_.holds({"no head", "reader 1", "reader 2"}));
    stage_.let_out({"no head", "reader 1", "reader 2"});
    EXPECT_FALSE(semaphore_.try_lock_shared()) << "the writer waits";
    semaphore_.unlock_shared();
    EXPECT_TRUE(stage_.holds_then_lets_out({"writer"}));
    everybody_ends();
}

TEST_F(RwQueueTest, OneInTheMiddleThatGivesUpLeavesTheOthersInOrder) {
    semaphore_.lock();
    queue_writer("first");
    Actor& middle = queue_timed_writer("middle");
    queue_writer("last");
    middle.give_up();
    EXPECT_TRUE(stage_.holds_then_lets_out({"no middle"}));
    EXPECT_TRUE(middle.ends());
    semaphore_.unlock();
    EXPECT_TRUE(stage_.holds_then_lets_out({"first"}));
    EXPECT_TRUE(stage_.holds_then_lets_out({"last"}));
    everybody_ends();
}

TEST_F(RwQueueTest, TheLastThatGivesUpLeavesItsPlaceToWhoComesNext) {
    semaphore_.lock();
    queue_writer("first");
    Actor& last = queue_timed_reader("last");
    last.give_up();
    EXPECT_TRUE(stage_.holds_then_lets_out({"no last"}));
    EXPECT_TRUE(last.ends());
    queue_writer("next");
    semaphore_.unlock();
    EXPECT_TRUE(stage_.holds_then_lets_out({"first"}));
    EXPECT_TRUE(stage_.holds_then_lets_out({"next"}));
    everybody_ends();
}

TEST_F(RwQueueTest, TheOnlyWaiterThatGivesUpLeavesNoTrace) {
    semaphore_.lock_shared();
    Actor& only = queue_timed_writer("only");
    only.give_up();
    EXPECT_TRUE(stage_.holds_then_lets_out({"no only"}));
    EXPECT_TRUE(only.ends());
    EXPECT_TRUE(semaphore_.try_lock_shared()) << "nobody waits any more";
    semaphore_.unlock_shared();
    const int wakes_before = WatchedPolicy::wakes;
    semaphore_.unlock_shared();
    EXPECT_EQ(WatchedPolicy::wakes, wakes_before) << "nobody sleeps any more";
    everybody_ends();
}

TEST_F(RwQueueTest, AReaderWithAPlaceThatGivesUpKeepsNobodyOut) {
    semaphore_.lock();
    Actor& reader = queue_timed_reader("reader");
    Actor& writer = queue_timed_writer("writer");
    reader.give_up();
    EXPECT_TRUE(stage_.holds_then_lets_out({"no reader"}));
    EXPECT_TRUE(reader.ends());
    semaphore_.unlock();
    EXPECT_TRUE(stage_.holds_then_lets_out({"writer"}));
    EXPECT_TRUE(writer.ends());
    everybody_ends();
}

TEST_F(RwQueueTest, AWaiterThatGivesUpLeavesThoseWithAPlaceTheirWake) {
    semaphore_.lock();
    queue_reader("with a place");
    Actor& writer = queue_timed_writer("writer");
    writer.give_up();
    EXPECT_TRUE(stage_.holds_then_lets_out({"no writer"}));
    EXPECT_TRUE(writer.ends());
    semaphore_.unlock();
    EXPECT_TRUE(stage_.holds_then_lets_out({"with a place"}));
    everybody_ends();
}

TEST_F(RwQueueTest, AReaderTakenAlongAtItsDeadlineIsInside) {
    semaphore_.lock();
    queue_writer("first");
    Actor& taker = queue_reader("taker");
    Actor& taken = queue_timed_reader("taken");
    queue_writer("last");
    // The taker counts both in, and wakes `last`, now the head, before it tells `taken`, who gives
    // up in between and finds that it must wait to be told.
    taker.before_wake([&taken] {
        taken.give_up();
        EXPECT_TRUE(taken.sleeps(2));
    });
    semaphore_.unlock();
    EXPECT_TRUE(stage_.holds_then_lets_out({"first"}));
    EXPECT_TRUE(stage_.holds_then_lets_out({"taker", "taken"}));
    EXPECT_TRUE(stage_.holds_then_lets_out({"last"}));
    everybody_ends();
}

TEST_F(RwQueueTest, AnUpgradeWaitsForTheReadersAndGoesAheadOfTheQueue) {
    semaphore_.lock_shared();
    waiting([this] {
        semaphore_.lock_upgrade();
        semaphore_.unlock_upgrade_and_lock();
        stage_.stay("upgraded");
        semaphore_.unlock();
    });
    EXPECT_FALSE(semaphore_.try_lock_shared()) << "the upgrade keeps new readers out";
    queue_reader("reader");
    queue_writer("writer");
    semaphore_.unlock_shared();
    EXPECT_TRUE(stage_.holds_then_lets_out({"upgraded"}));
    EXPECT_TRUE(stage_.holds_then_lets_out({"reader"}));
    EXPECT_TRUE(stage_.holds_then_lets_out({"writer"}));
    everybody_ends();
}

TEST_F(RwQueueTest, AnUpgradeGoesAheadOfAWriterThatWaitedBefore) {
    semaphore_.lock_shared();
    std::atomic<bool> writer_waits = false;
    Actor& upgrader = actors_.emplace_back([&] {
        semaphore_.lock_upgrade();
        EXPECT_TRUE(holds_soon([&] { return writer_waits.load(); }));
        semaphore_.unlock_upgrade_and_lock();
        stage_.stay("upgraded");
        semaphore_.unlock();
    });
    EXPECT_TRUE(holds_soon([&] {
        if (!semaphore_.try_lock_upgrade()) return true;
        semaphore_.unlock_upgrade();
        return false;
    }));
    queue_writer("writer");
    writer_waits = true;
    EXPECT_TRUE(upgrader.sleeps());
    semaphore_.unlock_shared();
    EXPECT_TRUE(stage_.holds_then_lets_out({"upgraded"}));
    EXPECT_TRUE(stage_.holds_then_lets_out({"writer"}));
    everybody_ends();
}

TEST_F(RwQueueTest, AnUpgradeThatGivesUpLetsTheReadersInThatItHeldBack) {
    semaphore_.lock_shared();
    Actor& upgrader = waiting([this] {
        semaphore_.lock_upgrade();
        EXPECT_FALSE(semaphore_.try_unlock_upgrade_and_lock_for(until_told));
        stage_.stay("upgradable still");
        semaphore_.unlock_upgrade();
    });
    queue_reader("reader 1");
    queue_reader("reader 2");
    upgrader.give_up();
    EXPECT_TRUE(stage_.holds({"upgradable still", "reader 1", "reader 2"}));
    EXPECT_TRUE(semaphore_.try_lock_shared());
    EXPECT_FALSE(semaphore_.try_lock_upgrade());
    semaphore_.unlock_shared();
    stage_.let_out({"upgradable still", "reader 1", "reader 2"});
    semaphore_.unlock_shared();
    everybody_ends();
}

TEST_F(RwQueueTest, ADowngradeLetsInTheReadersAtTheHeadAndThoseWithAPlace) {
    semaphore_.lock();
    queue_reader("with a place");
    Actor& head = queue_timed_writer("head");
    queue_reader("behind it");
    queue_writer("writer");
    head.give_up();
    EXPECT_TRUE(stage_.holds_then_lets_out({"no head"}));
    EXPECT_TRUE(head.ends());
    semaphore_.downgrade();
    EXPECT_TRUE(stage_.holds_then_lets_out({"with a place", "behind it"}));
    semaphore_.unlock_shared();
    EXPECT_TRUE(stage_.holds_then_lets_out({"writer"}));
    everybody_ends();
}

TEST_F(RwQueueTest, AHeadThatEnteredToReadLeavesNoWakesBehind) {
    semaphore_.lock_shared();
    Actor& writer = queue_timed_writer("writer");
    queue_reader("reader");
    writer.give_up();
    EXPECT_TRUE(stage_.holds_then_lets_out({"reader", "no writer"}));
    semaphore_.unlock_shared();
    for (const Actor& actor : actors_) EXPECT_TRUE(actor.ends());
    const int wakes_before = WatchedPolicy::wakes;
    semaphore_.lock_shared();
    semaphore_.unlock_shared();
    EXPECT_EQ(WatchedPolicy::wakes, wakes_before) << "nobody sleeps any more";
    everybody_ends();
}

}  // namespace
}  // namespace braidway::sync
