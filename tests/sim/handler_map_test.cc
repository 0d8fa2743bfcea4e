// SPDX-License-Identifier: Apache-2.0
// Hardware handlers end to end: a map whose paths lead to the ports of a scripted array.
#include <gmock/gmock.h>

#include <cstring>

#include "map/handler_driver.h"
#include "multipath/handler_table.h"
#include "sim/scsi_path.h"
#include "sim/virtual_loop.h"

namespace braidway::sim {
namespace {

using namespace std::chrono_literals;
using multipath::Event;
using multipath::Message;
using multipath::PathState;

struct Silent final : map::MapObserver {
    void map_event(const std::string&, const multipath::Action&, const std::string&) override {}
};

/// One I/O of a program.
struct Io final : block::CompletionStage {
    block::Request request;
    std::vector<std::byte> memory;
    iovec data{};
    bool ended = false;

    explicit Io(IoOp op, std::byte fill = std::byte{0}) : memory(512, fill) {
        data = {memory.data(), memory.size()};
        request.op = op;
        request.length_bytes = memory.size();
        request.data = {&data, 1};
    }
    void completed(block::Request& done) override {
        done.pop();
        ended = true;
    }
};

/// A map with one group for each port of an array, and the array's handler.
class HandlerMapTest : public testing::Test {
  protected:
    ~HandlerMapTest() override {
        if (map_ == nullptr) return;
        map_->shut_down();
        loop_.pass(600s);
        driver_.reset();
        map_.reset();
        loop_.pass(1s);
    }

    void make(ArrayShape shape) {
        array_ = std::make_unique<ScsiResponder>(std::move(shape));
        multipath::MultipathSpec table;
        table.pg_init_retries = 3;
        std::vector<map::Member> members;
        for (uint8_t port = 0; port < array_->shape().ports.size(); ++port) {
            auto device = std::make_unique<ScsiPath>(loop_, *array_, port, 0);
            scsi_.push_back(device.get());
            const std::string name(1, static_cast<char>('a' + port));
            paths_.push_back(std::make_unique<path::Path>(
                loop_, *pool_, std::move(device),
                path::Path::Options{.name = name, .io_timeout = {}, .tries_max = 64}));
            table.groups.push_back(
                {.selector = "round-robin", .paths = {{.name = name, .arguments = {}}}});
            members.push_back({paths_.back().get(), 0});
        }
        table.handler.name = multipath::handler_for(scsi_[0]->identity());
        ASSERT_FALSE(table.handler.name.empty());
        map::MapConfig config;
        config.name = "m";
        config.geometry = scsi_[0]->geometry();
        const std::string handler = table.handler.name;
        config.table = std::move(table);
        map_ = *map::MapDevice::create(loop_, std::move(config), members, silent_);
        driver_ =
            std::make_unique<map::HandlerDriver>(loop_, *map_, *multipath::make_handler(handler));
        for (size_t port = 0; port < paths_.size(); ++port) {
            ASSERT_TRUE(
                driver_->attach(*paths_[port], *scsi_[port], scsi_[port]->identity()).has_value());
            scsi_[port]->set_sense_reader([this, port](const wire::ScsiSense& sense) {
                return driver_->check_sense(*paths_[port], sense);
            });
        }
        loop_.pass(10s);
    }

    IoStatus run(Io& io) {
        io.request.push(io);
        map_->submit(io.request);
        EXPECT_TRUE(loop_.pass_until([&] { return io.ended; }, 300s)) << "it is held";
        return io.request.status();
    }
    IoStatus read() {
        Io io(IoOp::read);
        return run(io);
    }
    IoStatus write(std::byte fill) {
        Io io(IoOp::write, fill);
        return run(io);
    }
    void send(Message message, uint32_t group) {
        Event event{.message = message, .group = group, .reason = {}};
        ASSERT_TRUE(map_->handle(event).has_value());
    }
    uint32_t group() { return map_->status().current_group; }
    PathState state(size_t path) { return map_->status().paths[path].state; }

    VirtualLoop loop_;
    std::unique_ptr<memory::BufferPool> pool_ = *memory::BufferPool::create(1u << 20);
    std::unique_ptr<ScsiResponder> array_;
    std::vector<ScsiPath*> scsi_;
    std::vector<std::unique_ptr<path::Path>> paths_;
    Silent silent_;
    std::unique_ptr<map::MapDevice> map_;
    std::unique_ptr<map::HandlerDriver> driver_;
};

TEST_F(HandlerMapTest, ATrespassOfAClariionMovesTheIo) {
    make({.kind = ArrayKind::clariion});
    EXPECT_EQ(write(std::byte{0x11}), IoStatus::ok);
    EXPECT_EQ(array_->owner(0), 0);
    EXPECT_FALSE(array_->last_trespass().has_value()) << "the first port's processor owns the LUN";
    send(Message::switch_group, 2);
    Io io(IoOp::read);
    EXPECT_EQ(run(io), IoStatus::ok);
    EXPECT_EQ(io.memory[0], std::byte{0x11});
    EXPECT_EQ(array_->owner(0), 1) << "the trespass moved it";
    EXPECT_TRUE(array_->last_trespass().has_value());
    EXPECT_EQ(group(), 2u);
    EXPECT_EQ(scsi_[0]->ios(), 1u);
    EXPECT_EQ(scsi_[1]->ios(), 1u);
}

TEST_F(HandlerMapTest, AFailedPathOfAClariionIsLeftByATrespass) {
    make({.kind = ArrayKind::clariion});
    EXPECT_EQ(read(), IoStatus::ok);
    array_->set_port_connected(0, false);
    EXPECT_EQ(read(), IoStatus::ok);
    EXPECT_EQ(state(0), PathState::down);
    EXPECT_EQ(array_->owner(0), 1);
    EXPECT_EQ(group(), 2u);
}

TEST_F(HandlerMapTest, AClariionThatLoadsFirmwareIsLeftAloneAndItsGroupBypassed) {
    make({.kind = ArrayKind::clariion});
    array_->set_upgrading(true);
    Io io(IoOp::read);
    io.request.push(io);
    map_->submit(io.request);
    loop_.pass(1s);
    EXPECT_FALSE(io.ended);
    EXPECT_FALSE(array_->last_trespass().has_value());
    array_->set_upgrading(false);
    EXPECT_TRUE(loop_.pass_until([&] { return io.ended; }, 60s));
    EXPECT_EQ(io.request.status(), IoStatus::ok);
}

TEST_F(HandlerMapTest, AnExplicitAluaArrayIsToldWhichGroupIsToServe) {
    make({.kind = ArrayKind::alua_explicit});
    EXPECT_EQ(read(), IoStatus::ok);
    array_->set_group_state(0, 1, wire::scsi::group_optimized, loop_.now());
    array_->set_group_state(0, 2, wire::scsi::group_standby, loop_.now());
    driver_->rescan(*paths_[1]);
    loop_.pass(5s);
    EXPECT_TRUE(map_->status().paths[1].vetoed) << driver_->status_text(*paths_[1]);
    send(Message::switch_group, 2);
    EXPECT_EQ(read(), IoStatus::ok);
    EXPECT_EQ(array_->group_state(0, 2, loop_.now()), wire::scsi::group_optimized);
    EXPECT_EQ(group(), 2u);
}

TEST_F(HandlerMapTest, AnImplicitAluaGroupInStandbyGetsNoIo) {
    make({.kind = ArrayKind::alua_implicit});
    array_->set_group_state(0, 1, wire::scsi::group_standby, loop_.now());
    array_->set_group_state(0, 2, wire::scsi::group_optimized, loop_.now());
    driver_->rescan(*paths_[0]);
    driver_->rescan(*paths_[1]);
    loop_.pass(5s);
    const uint64_t before = scsi_[0]->ios();
    EXPECT_EQ(read(), IoStatus::ok);
    EXPECT_EQ(scsi_[0]->ios(), before);
    EXPECT_EQ(group(), 2u);
}

TEST_F(HandlerMapTest, AnRdacControllerTakesTheLunOver) {
    make({.kind = ArrayKind::rdac});
    EXPECT_EQ(write(std::byte{0x22}), IoStatus::ok);
    array_->set_port_connected(0, false);
    EXPECT_EQ(read(), IoStatus::ok);
    EXPECT_EQ(array_->owner(0), 1);
    EXPECT_TRUE(array_->last_transfer().has_value());
}

TEST_F(HandlerMapTest, AnHpSwControllerIsStarted) {
    make({.kind = ArrayKind::hp_sw});
    EXPECT_EQ(read(), IoStatus::ok);
    send(Message::switch_group, 2);
    EXPECT_EQ(read(), IoStatus::ok);
    EXPECT_EQ(array_->owner(0), 1);
    EXPECT_EQ(group(), 2u);
}

TEST_F(HandlerMapTest, TheArrayMovesTheLunByItselfAndTheIoFollows) {
    make({.kind = ArrayKind::clariion});
    EXPECT_EQ(read(), IoStatus::ok);
    array_->set_owner(0, 1);
    EXPECT_EQ(read(), IoStatus::ok);
    EXPECT_EQ(group(), 2u);
    EXPECT_EQ(state(0), PathState::down) << "02/04/03 says that it is the passive path";
}

TEST_F(HandlerMapTest, AnActivationOnEveryPathOfNoUseHoldsUntilOneIsBack) {
    make({.kind = ArrayKind::rdac});
    array_->set_port_connected(0, false);
    array_->set_port_connected(1, false);
    Io io(IoOp::read);
    io.request.push(io);
    map_->submit(io.request);
    EXPECT_TRUE(loop_.pass_until([&] { return map_->status().valid_paths == 0; }, 300s));
    EXPECT_FALSE(io.ended);
    array_->set_port_connected(1, true);
    driver_->rescan(*paths_[1]);
    map_->path_checked(1, true, "good");
    EXPECT_TRUE(loop_.pass_until([&] { return io.ended; }, 60s));
    EXPECT_EQ(io.request.status(), IoStatus::ok);
}

TEST_F(HandlerMapTest, ADetachedPathAnswersItsActivationWithNoHandler) {
    make({.kind = ArrayKind::clariion});
    driver_->detach(*paths_[0]);
    EXPECT_EQ(driver_->status_text(*paths_[0]), "");
    EXPECT_EQ(read(), IoStatus::ok);
    EXPECT_EQ(state(0), PathState::down);
    EXPECT_EQ(group(), 2u);
}

}  // namespace
}  // namespace braidway::sim
