// SPDX-License-Identifier: Apache-2.0
// What a volume does with paths over a network: whether they lead to the right volume, and what
// happens when they are lost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/volume.h"

namespace braidway::daemon {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

class QuietObserver final : public map::MapObserver {
  public:
    void map_event(const std::string&, const multipath::Action&, const std::string&) override {}
};

/// A device that finds what the test says, and counts the I/O that reaches it.
class FakeFabric final : public path::FabricDevice {
  public:
    FakeFabric(loop::Loop& loop, std::string shown, uint64_t size_bytes)
        : loop_(loop), identity(std::move(shown)) {
        geometry_.size_bytes = size_bytes;
    }
    const block::Geometry& geometry() const override { return geometry_; }
    void connect(Connected done) override {
        ++connects;
        connected_ = reachable;
        if (!reachable) return done(fail("cannot connect to nowhere"));
        done(finding());
    }
    void admit() override { admitted = true; }
    void disconnect() override { connected_ = admitted = false; }
    bool quiet() const override { return !connected_; }
    bool connected() const override { return connected_; }
    path::FabricFinding finding() {
        return {.geometry = geometry_, .identity = identity, .description = "a fake"};
    }
    void lose() {
        connected_ = admitted = false;
        listener_->connection_lost("the cable was pulled");
    }
    /// Answers the request that it has held.
    void let_go() {
        holds = false;
        block::finish_soon(loop_, *std::exchange(held_, nullptr), IoStatus::ok);
    }
    void settle(bool at_risk) { listener_->writes_settled(at_risk); }

  private:
    void begin(block::Request& request) override {
        if (admitted) ++reached;
        if (admitted && changes_data(request.op)) ++written;
        if (holds) {
            held_ = &request;
            return;
        }
        block::finish_soon(loop_, request, admitted ? IoStatus::ok : IoStatus::offline);
    }
    loop::Loop& loop_;
    block::Geometry geometry_;
    bool connected_ = false;
    block::Request* held_ = nullptr;

  public:
    std::string identity;
    bool reachable = true;
    bool holds = false;
    bool admitted = false;
    int connects = 0;
    int reached = 0;
    int written = 0;
};

class VolumeFabricTest : public testing::Test {
  protected:
    void TearDown() override {
        if (volume_ != nullptr) {
            volume_->map().shut_down();
            volume_->bury(graveyard_);
            volume_.reset();
        }
        while (!graveyard_.sweep()) loop_->turn(loop_->now() + 5ms);
    }
    Volume::Surroundings surroundings() {
        return {*loop_,
                *pool_,
                stores_,
                observer_,
                graveyard_,
                [this](Severity, const std::string& kind, const std::string&,
                       const std::string& path, const std::string& reason) {
                    told_.push_back(kind + " " + path);
                    reasons_.push_back(reason);
                }};
    }
    WantedPath wanted(const std::string& name, const std::string& identity, bool reachable = true,
                      uint64_t size_bytes = 1 << 20) {
        WantedPath path;
        path.config.name = name;
        path.config.device.kind = DeviceConfig::Kind::nbd;
        path.config.device.nbd.uri = *wire::NbdUri::parse("nbd://host/" + name);
        path.config.check.polling_interval = 5ms;
        path.config.check.max_polling_interval = 5ms;
        auto device = std::make_unique<FakeFabric>(*loop_, identity, size_bytes);
        devices_[name] = device.get();
        device->reachable = reachable;
        path::FabricDevice& opened = *device;
        opened.connect([&](Result<path::FabricFinding> found) {
            if (found)
                path.opened.finding = *found;
            else
                path.opened.problem = found.error().message;
        });
        path.opened.fabric = std::move(device);
        return path;
    }
    std::vector<WantedPath> kept(const std::vector<std::string>& names) {
        std::vector<WantedPath> paths;
        for (const std::string& name : names) {
            PathUnit* unit = volume_->find_path(name);
            paths.push_back({.config = unit->config(), .opened = {}, .kept = unit});
        }
        return paths;
    }
    Result<void> create(std::vector<WantedPath> paths, const std::string& wwid = {}) {
        MapConfig map;
        map.name = "db";
        map.wwid = wwid;
        map.groups.emplace_back();
        for (const WantedPath& path : paths) map.groups[0].paths.push_back({path.config.name, {}});
        auto volume = Volume::create(surroundings(), map, std::move(paths));
        if (!volume) return std::unexpected(volume.error());
        volume_ = std::move(*volume);
        return {};
    }
    Result<void> create_pair(const std::string& one, const std::string& other,
                             const std::string& wwid = {}) {
        std::vector<WantedPath> paths;
        paths.push_back(wanted("a", one));
        paths.push_back(wanted("b", other));
        return create(std::move(paths), wwid);
    }
    void turn_for(Duration length) {
        const Instant end = loop_->now() + length;
        while (loop_->now() < end) loop_->turn(end);
    }
    uint32_t valid_paths() { return volume_->map().status().valid_paths; }

    std::unique_ptr<loop::Loop> loop_ = std::move(*loop::Loop::create());
    std::unique_ptr<memory::BufferPool> pool_ = std::move(*memory::BufferPool::create(1u << 20));
    path::FileStores stores_;
    QuietObserver observer_;
    Graveyard graveyard_;
    std::unique_ptr<Volume> volume_;
    std::map<std::string, FakeFabric*> devices_;
    std::vector<std::string> told_;
    std::vector<std::string> reasons_;
};

TEST_F(VolumeFabricTest, StartsWithThePathsThatLeadToTheSameVolume) {
    ASSERT_TRUE(create_pair("nbd:x:1", "nbd:x:1").has_value());
    EXPECT_EQ(valid_paths(), 2u);
    EXPECT_TRUE(devices_["a"]->admitted);
    EXPECT_TRUE(devices_["b"]->admitted);
    EXPECT_EQ(volume_->find_path("a")->io_mode(), "network");
}

TEST_F(VolumeFabricTest, APathToAnotherVolumeIsFencedOffAtTheStart) {
    ASSERT_TRUE(create_pair("nbd:x:1", "nbd:x:2").has_value());
    EXPECT_EQ(valid_paths(), 1u);
    EXPECT_FALSE(devices_["b"]->admitted);
    EXPECT_THAT(told_, Contains("path-identity-changed b"));
    EXPECT_THAT(reasons_[0], HasSubstr("leads to another volume: 2 bytes, not 1"));
    turn_for(40ms);
    EXPECT_EQ(devices_["b"]->connects, 1) << "it is not tried again";
    EXPECT_EQ(devices_["b"]->reached, 0);
    EXPECT_EQ(valid_paths(), 1u);
}

TEST_F(VolumeFabricTest, APathThatCannotTellWhatItLeadsToIsAskedAgain) {
    ASSERT_TRUE(create_pair("nbd:x:1", "").has_value());
    EXPECT_FALSE(devices_["b"]->admitted);
    EXPECT_FALSE(volume_->find_path("b")->fenced_off());
    EXPECT_THAT(volume_->find_path("b")->problem(), HasSubstr("tells no identity"));
    EXPECT_THAT(told_, testing::Not(Contains("path-identity-changed b")));
    turn_for(40ms);
    EXPECT_GT(devices_["b"]->connects, 1);
    EXPECT_EQ(devices_["b"]->reached, 0);
    devices_["b"]->identity = "nbd:x:1";
    turn_for(40ms);
    EXPECT_TRUE(devices_["b"]->admitted);
    EXPECT_EQ(valid_paths(), 2u);
}

TEST_F(VolumeFabricTest, WhoSaysNothingIsNotTheFirstToBeBelieved) {
    ASSERT_TRUE(create_pair("", "nbd:x:1").has_value());
    EXPECT_FALSE(devices_["a"]->admitted);
    EXPECT_TRUE(devices_["b"]->admitted);
    EXPECT_THAT(volume_->find_path("a")->problem(), HasSubstr("tells no identity"));
    EXPECT_THAT(volume_->find_path("a")->problem(), HasSubstr("(a fake)"));
}

TEST_F(VolumeFabricTest, TheConfigurationMaySayWhichVolumeItIs) {
    ASSERT_TRUE(create_pair("nbd:x:1", "nbd:x:2", "nbd:x:2").has_value());
    EXPECT_FALSE(devices_["a"]->admitted);
    EXPECT_TRUE(devices_["b"]->admitted);
    // And nothing works where none of them is it.
    volume_->map().shut_down();
    volume_->bury(graveyard_);
    volume_.reset();
    const auto refused = create_pair("nbd:x:1", "nbd:x:1", "nbd:x:3");
    ASSERT_FALSE(refused.has_value());
    EXPECT_THAT(refused.error().message, HasSubstr("none of its paths works"));
}

TEST_F(VolumeFabricTest, ALostPathComesBackByItself) {
    ASSERT_TRUE(create_pair("nbd:x:1", "nbd:x:1").has_value());
    turn_for(10ms);
    devices_["a"]->reachable = false;
    devices_["a"]->lose();
    EXPECT_THAT(told_, Contains("connection-lost a"));
    turn_for(20ms);
    EXPECT_EQ(valid_paths(), 1u);
    EXPECT_THAT(volume_->find_path("a")->problem(), "nbd://host/a: cannot connect to nowhere");
    devices_["a"]->reachable = true;
    turn_for(40ms);
    EXPECT_EQ(valid_paths(), 2u);
    EXPECT_TRUE(devices_["a"]->admitted);
    EXPECT_THAT(told_, Contains("path-connected a"));
    std::vector<PathSnapshot> paths;
    volume_->path_snapshots(loop_->now(), paths);
    EXPECT_EQ(paths[0].connects, 2u);
    EXPECT_EQ(paths[1].connects, 1u);
}

TEST_F(VolumeFabricTest, APathThatComesBackAsAnotherVolumeIsNeverUsedAgain) {
    ASSERT_TRUE(create_pair("nbd:x:1", "nbd:x:1").has_value());
    turn_for(10ms);
    devices_["a"]->identity = "nbd:x:9";
    const int reached = devices_["a"]->reached;
    devices_["a"]->lose();
    turn_for(40ms);
    EXPECT_THAT(told_, Contains("path-identity-changed a"));
    EXPECT_TRUE(volume_->find_path("a")->fenced_off());
    EXPECT_EQ(devices_["a"]->reached, reached) << "not even a read";
    // Not even when it is what it was again: somebody has to look at it.
    devices_["a"]->identity = "nbd:x:1";
    turn_for(40ms);
    EXPECT_FALSE(devices_["a"]->admitted);
    EXPECT_EQ(valid_paths(), 1u);
}

TEST_F(VolumeFabricTest, APathThatWasNotThereAtFirstJoinsLater) {
    std::vector<WantedPath> paths;
    paths.push_back(wanted("a", "nbd:x:1"));
    paths.push_back(wanted("b", "nbd:x:1", false));
    ASSERT_TRUE(create(std::move(paths)).has_value());
    EXPECT_EQ(valid_paths(), 1u);
    EXPECT_THAT(volume_->find_path("b")->problem(), "nbd://host/b: cannot connect to nowhere");
    devices_["b"]->reachable = true;
    turn_for(40ms);
    EXPECT_EQ(valid_paths(), 2u);
}

TEST_F(VolumeFabricTest, AddingAPathToAnotherVolumeIsRefusedAndNothingChanges) {
    ASSERT_TRUE(create_pair("nbd:x:1", "nbd:x:1").has_value());
    MapConfig map = volume_->config();
    map.groups[0].paths.push_back({"c", {}});
    std::vector<WantedPath> paths = kept({"a", "b"});
    paths.push_back(wanted("c", "nbd:y:1"));
    const auto change = volume_->prepare(map, std::move(paths));
    ASSERT_FALSE(change.has_value());
    EXPECT_THAT(change.error().message, HasSubstr("path c leads to another volume"));
    EXPECT_EQ(graveyard_.size(), 1u);
    EXPECT_EQ(valid_paths(), 2u);
}

TEST_F(VolumeFabricTest, PathsThatStayAreComparedWithWhatTheConfigurationSaysNow) {
    ASSERT_TRUE(create_pair("nbd:x:1", "nbd:x:1").has_value());
    MapConfig map = volume_->config();
    map.wwid = "nbd:x:2";
    const auto change = volume_->prepare(map, kept({"a", "b"}));
    ASSERT_FALSE(change.has_value());
    EXPECT_THAT(change.error().message, HasSubstr("path a leads to another volume"));
}

TEST_F(VolumeFabricTest, ACorrectedWwidGivesAFencedPathAnotherChance) {
    ASSERT_TRUE(create_pair("nbd:x:1", "nbd:x:2").has_value());
    ASSERT_TRUE(volume_->find_path("b")->fenced_off());
    devices_["a"]->reachable = false;
    devices_["a"]->lose();
    MapConfig map = volume_->config();
    map.wwid = "nbd:x:2";
    auto change = volume_->prepare(map, kept({"a", "b"}));
    ASSERT_TRUE(change.has_value()) << change.error().message;
    volume_->commit(std::move(*change), graveyard_);
    turn_for(60ms);
    EXPECT_TRUE(devices_["b"]->admitted);
    devices_["a"]->reachable = true;
    turn_for(60ms);
    EXPECT_TRUE(volume_->find_path("a")->fenced_off());
}

TEST_F(VolumeFabricTest, APathThatLeavesLetsItsWritesEnd) {
    ASSERT_TRUE(create_pair("nbd:x:1", "nbd:x:1").has_value());
    FakeFabric& leaving = *devices_["b"];
    leaving.holds = true;
    PathUnit& unit = *volume_->find_path("b");
    struct Client final : block::CompletionStage {
        void completed(block::Request& request) override {
            request.pop();
            status = request.status();
        }
        std::optional<IoStatus> status;
    } client;
    block::Request write;
    std::array<char, 512> bytes{};
    iovec data{bytes.data(), bytes.size()};
    write.op = IoOp::write;
    write.length_bytes = bytes.size();
    write.data = {&data, 1};
    write.push(client);
    unit.path().submit(write);
    MapConfig map = volume_->config();
    map.groups[0].paths.pop_back();
    auto change = volume_->prepare(map, kept({"a"}));
    ASSERT_TRUE(change.has_value());
    volume_->commit(std::move(*change), graveyard_);
    EXPECT_FALSE(graveyard_.sweep());
    EXPECT_TRUE(leaving.connected()) << "its write is under way";
    leaving.let_go();
    turn_for(5ms);
    EXPECT_EQ(client.status, IoStatus::ok);
    EXPECT_TRUE(graveyard_.sweep());
}

TEST_F(VolumeFabricTest, SaysWhenWritesAreSentAgainAtARisk) {
    ASSERT_TRUE(create_pair("nbd:x:1", "nbd:x:1").has_value());
    devices_["a"]->settle(true);
    devices_["a"]->settle(false);
    EXPECT_THAT(told_, ElementsAre("resend-at-risk a", "resend-safe a"));
}

TEST_F(VolumeFabricTest, AVolumeThatIsNotServedAfterAllLetsGoOfItsConnections) {
    std::vector<WantedPath> paths;
    paths.push_back(wanted("a", "nbd:x:1"));
    paths.push_back(wanted("b", "nbd:x:1"));
    MapConfig map;
    map.name = "db";
    map.groups.emplace_back();
    map.groups[0].selector = "by-moonlight";
    for (const WantedPath& path : paths) map.groups[0].paths.push_back({path.config.name, {}});
    EXPECT_FALSE(Volume::create(surroundings(), map, std::move(paths)).has_value());
    EXPECT_EQ(graveyard_.size(), 2u);
}

}  // namespace
}  // namespace braidway::daemon
