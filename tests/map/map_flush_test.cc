// SPDX-License-Identifier: Apache-2.0
#include "map/fixture.h"

namespace braidway::map {
namespace {

using multipath::make_group;
using multipath::make_spec;

/// Two paths a, b to different stores unless a test says otherwise; round-robin.
class MapFlush : public MapTest {
  protected:
    void make_with_stores(std::vector<std::pair<std::string, uint64_t>> stores) {
        paths_.reserve(64);
        std::vector<std::string> names;
        for (const auto& [name, store] : stores) {
            add_path(name, store);
            names.push_back(name);
        }
        make(make_spec({make_group(names)}));
    }
    /// Writes through `name` and nobody else, successfully.
    void write_on(const std::string& name, uint64_t offset = 0) {
        std::vector<std::string> failed;
        for (const Member& member : map_->members())
            if (member.path->name() != name &&
                map_->status().paths[index(member.path->name())].state == multipath::PathState::up)
                failed.push_back(member.path->name());
        for (const std::string& other : failed) fail_path(other);
        Client& write = submit(IoOp::write, offset);
        device(name).answer(device(name).waiting.size() - 1, IoStatus::ok);
        EXPECT_EQ(write.status, IoStatus::ok);
        for (const std::string& other : failed) reinstate(other);
    }
};

TEST_F(MapFlush, OneStoreTakesOneFlush) {
    make_with_stores({{"a", 1}, {"b", 1}});
    write_on("a");
    write_on("b");
    Client& flush = submit(IoOp::flush);
    EXPECT_EQ(device("a").waiting.size() + device("b").waiting.size(), 1u);
    device("a").answer_all(IoStatus::ok);
    device("b").answer_all(IoStatus::ok);
    EXPECT_EQ(flush.ended, 1);
    EXPECT_EQ(flush.status, IoStatus::ok);
}

TEST_F(MapFlush, GoesToEveryStoreThatCompletedWrites) {
    make_with_stores({{"a", 1}, {"b", 2}, {"c", 3}});
    write_on("a");
    write_on("c");
    Client& flush = submit(IoOp::flush);
    ASSERT_EQ(device("a").waiting.size(), 1u);
    device("a").answer(0, IoStatus::ok);
    EXPECT_EQ(flush.ended, 0);
    EXPECT_TRUE(device("b").waiting.empty()) << "nothing was written there";
    ASSERT_EQ(device("c").waiting.size(), 1u);
    device("c").answer(0, IoStatus::ok);
    settle();
    EXPECT_EQ(flush.ended, 1);
    EXPECT_EQ(flush.status, IoStatus::ok);
}

TEST_F(MapFlush, WithNothingToFlushIsAnsweredFromTheLoop) {
    make_with_stores({{"a", 1}, {"b", 2}});
    Client& flush = submit(IoOp::flush);
    EXPECT_EQ(flush.ended, 0);
    settle();
    EXPECT_EQ(flush.ended, 1);
    EXPECT_EQ(device("a").submitted + device("b").submitted, 0u);
}

TEST_F(MapFlush, ASecondFlushIsNotAnsweredBeforeTheDataIsSafe) {
    make_with_stores({{"a", 1}, {"b", 2}});
    write_on("a");
    Client& first = submit(IoOp::flush);
    Client& second = submit(IoOp::flush);
    settle();
    EXPECT_EQ(first.ended, 0);
    EXPECT_EQ(second.ended, 0) << "the write is not on stable storage yet";
    device("a").answer_all(IoStatus::ok);
    settle();
    EXPECT_EQ(first.ended, 1);
    EXPECT_EQ(second.ended, 1);
}

TEST_F(MapFlush, AWriteThatCompletesDuringAFlushIsNotCoveredByIt) {
    make_with_stores({{"a", 1}, {"b", 2}});
    write_on("a");
    submit(IoOp::flush);
    write_on("a", 4096);
    ASSERT_EQ(device("a").waiting.size(), 1u);
    device("a").answer_all(IoStatus::ok);
    settle();
    Client& next = submit(IoOp::flush);
    ASSERT_EQ(device("a").waiting.size(), 1u) << "it has something to flush again";
    device("a").answer_all(IoStatus::ok);
    settle();
    EXPECT_EQ(next.ended, 1);
    Client& idle = submit(IoOp::flush);
    settle();
    EXPECT_EQ(idle.ended, 1);
    EXPECT_TRUE(device("a").waiting.empty());
}

TEST_F(MapFlush, FailsOnceWhenAStoreIsLostWithUnflushedWrites) {
    make_with_stores({{"a", 1}, {"b", 2}});
    write_on("a");
    fail_path("a");
    Client& flush = submit(IoOp::flush);
    settle();
    EXPECT_EQ(flush.ended, 1);
    EXPECT_EQ(flush.status, IoStatus::io);
    EXPECT_EQ(flush.request.error_text, "a path with unflushed writes has failed");
    Client& again = submit(IoOp::flush);
    settle();
    EXPECT_EQ(again.status, IoStatus::ok);
    EXPECT_EQ(again.ended, 1);
}

TEST_F(MapFlush, WithoutAPathIsHeldAndGoesOnWhenOneIsBack) {
    make_with_stores({{"a", 1}, {"b", 2}});
    write_on("a");
    fail_path("a");
    fail_path("b");
    Client& flush = submit(IoOp::flush);
    settle();
    EXPECT_EQ(flush.ended, 0);
    EXPECT_EQ(map_->held_requests(), 1u);
    reinstate("a");
    ASSERT_EQ(device("a").waiting.size(), 1u);
    device("a").answer(0, IoStatus::ok);
    settle();
    EXPECT_EQ(flush.ended, 1);
    EXPECT_EQ(flush.status, IoStatus::ok);
}

TEST_F(MapFlush, APathThatFailsItDuringTheFlushFailsItToo) {
    make_with_stores({{"a", 1}, {"b", 2}});
    write_on("a");
    Client& flush = submit(IoOp::flush);
    device("a").answer_all(IoStatus::transport);
    settle();
    EXPECT_EQ(flush.ended, 1);
    EXPECT_EQ(flush.status, IoStatus::io);
    EXPECT_EQ(map_->status().paths[index("a")].state, multipath::PathState::down);
}

TEST_F(MapFlush, TakesAnotherPathToTheSameStore) {
    make_with_stores({{"a1", 1}, {"a2", 1}, {"b", 2}});
    write_on("a1");
    fail_path("a1");
    Client& flush = submit(IoOp::flush);
    ASSERT_EQ(device("a2").waiting.size(), 1u);
    device("a2").answer_all(IoStatus::ok);
    settle();
    EXPECT_EQ(flush.status, IoStatus::ok);
    EXPECT_EQ(flush.ended, 1);

    reinstate("a1");
    write_on("a1");
    Client& moved = submit(IoOp::flush);
    device("a1").answer_all(IoStatus::transport);
    EXPECT_EQ(moved.ended, 0);
    device("a2").answer_all(IoStatus::ok);
    settle();
    EXPECT_EQ(moved.status, IoStatus::ok);
    EXPECT_EQ(moved.ended, 1);
}

TEST_F(MapFlush, AnErrorOfTheStorageGoesUp) {
    make_with_stores({{"a", 1}, {"b", 2}});
    write_on("a");
    Client& flush = submit(IoOp::flush);
    device("a").answer_all(IoStatus::no_space);
    EXPECT_EQ(flush.ended, 1);
    EXPECT_EQ(flush.status, IoStatus::no_space);
    EXPECT_EQ(map_->status().valid_paths, 2u);
}

TEST_F(MapFlush, RemovingAPathWithUnflushedWritesFailsOnce) {
    make_with_stores({{"a", 1}, {"b", 2}});
    write_on("a");
    auto table = make_spec({make_group({"b"})});
    ASSERT_TRUE(map_->replace(config_for(table), members_for(table)).has_value());
    Client& flush = submit(IoOp::flush);
    settle();
    EXPECT_EQ(flush.ended, 1);
    EXPECT_EQ(flush.status, IoStatus::io) << "although the map has one store now";
    Client& again = submit(IoOp::flush);
    device("b").answer_all(IoStatus::ok);
    settle();
    EXPECT_EQ(again.status, IoStatus::ok);
}

TEST_F(MapFlush, AWriteThatEndsAfterItsPathWasRemovedIsNotForgotten) {
    make_with_stores({{"a", 1}, {"b", 2}});
    fail_path("b");
    Client& write = submit(IoOp::write);
    reinstate("b");
    auto table = make_spec({make_group({"b"})});
    ASSERT_TRUE(map_->replace(config_for(table), members_for(table)).has_value());
    device("a").answer_all(IoStatus::ok);
    EXPECT_EQ(write.status, IoStatus::ok);
    Client& flush = submit(IoOp::flush);
    settle();
    EXPECT_EQ(flush.ended, 1);
    EXPECT_EQ(flush.status, IoStatus::io);
}

TEST_F(MapFlush, RemovingOneOfTwoPathsToAStoreUnderWritesFailsNothing) {
    make_with_stores({{"a", 1}, {"b", 1}});
    write_on("a");
    fail_path("b");
    Client& write = submit(IoOp::write);
    reinstate("b");
    auto table = make_spec({make_group({"b"})});
    ASSERT_TRUE(map_->replace(config_for(table), members_for(table)).has_value());
    device("a").answer_all(IoStatus::ok);
    EXPECT_EQ(write.status, IoStatus::ok);
    Client& flush = submit(IoOp::flush);
    device("b").answer_all(IoStatus::ok);
    settle();
    EXPECT_EQ(flush.status, IoStatus::ok);
    EXPECT_EQ(flush.ended, 1);
}

TEST_F(MapFlush, AddingAStoreDoesNotForgetWhatTheFirstHasToFlush) {
    make_with_stores({{"a", 1}});
    write_on("a");
    add_path("b", 2);
    auto table = make_spec({make_group({"a", "b"})});
    ASSERT_TRUE(map_->replace(config_for(table), members_for(table)).has_value());
    Client& flush = submit(IoOp::flush);
    ASSERT_EQ(device("a").waiting.size(), 1u);
    device("a").answer_all(IoStatus::ok);
    settle();
    EXPECT_EQ(flush.ended, 1);
}

TEST_F(MapFlush, AStoreThatBecomesKnownLaterCounts) {
    make_with_stores({{"a", 1}, {"b", 1}});
    write_on("a");
    map_->set_store(index("b"), 2);
    Client& flush = submit(IoOp::flush);
    ASSERT_EQ(device("a").waiting.size(), 1u);
    device("a").answer_all(IoStatus::ok);
    settle();
    EXPECT_EQ(flush.ended, 1);
}

TEST_F(MapFlush, TheWalkStartsAgainInANewTable) {
    make_with_stores({{"a", 1}, {"b", 2}});
    write_on("a");
    write_on("b");
    Client& flush = submit(IoOp::flush);
    ASSERT_EQ(device("a").waiting.size(), 1u);
    auto table = make_spec({make_group({"b", "a"})});
    ASSERT_TRUE(map_->replace(config_for(table), members_for(table)).has_value());
    device("a").answer_all(IoStatus::ok);
    EXPECT_EQ(flush.ended, 0);
    device("b").answer_all(IoStatus::ok);
    device("a").answer_all(IoStatus::ok);
    settle();
    EXPECT_EQ(flush.ended, 1);
    EXPECT_EQ(flush.status, IoStatus::ok);
}

}  // namespace
}  // namespace braidway::map
