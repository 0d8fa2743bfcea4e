// SPDX-License-Identifier: Apache-2.0
#include "daemon/volume.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace braidway::daemon {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class QuietObserver final : public map::MapObserver {
  public:
    void map_event(const std::string&, const multipath::Action& action,
                   const std::string& path) override {
        if (action.kind == multipath::Action::Kind::path_reinstated) reinstated.push_back(path);
    }
    std::vector<std::string> reinstated;
};

class VolumeTest : public testing::Test {
  protected:
    void SetUp() override {
        folder_ = std::filesystem::temp_directory_path() /
                  fmt::format("braidway-volume-{}-{}", getpid(),
                              testing::UnitTest::GetInstance()->current_test_info()->name());
        std::filesystem::create_directories(folder_);
        loop_ = std::move(*loop::Loop::create());
        pool_ = std::move(*memory::BufferPool::create(1u << 20));
    }
    void TearDown() override {
        if (volume_ != nullptr) {
            volume_->map().shut_down();
            volume_->bury(graveyard_);
            // The map goes before the paths that it listens to.
            volume_.reset();
        }
        while (!graveyard_.sweep()) loop_->turn(loop_->now() + 5ms);
        loop_.reset();
        std::filesystem::remove_all(folder_);
    }

    std::string file(const std::string& name, uint64_t bytes) {
        const std::string path = folder_ / name;
        std::ofstream(path).flush();
        std::filesystem::resize_file(path, bytes);
        return path;
    }
    static PathConfig file_path(const std::string& name, const std::string& file) {
        PathConfig path;
        path.name = name;
        path.device.path = file;
        path.check.polling_interval = 5ms;
        path.check.max_polling_interval = 20ms;
        return path;
    }
    static PathConfig zero_path(const std::string& name, uint64_t bytes) {
        PathConfig path;
        path.name = name;
        path.device.kind = DeviceConfig::Kind::zero;
        path.device.size_bytes = bytes;
        return path;
    }
    Result<void> create(const std::vector<PathConfig>& paths) {
        MapConfig map;
        map.name = "db";
        map.groups.emplace_back();
        for (const PathConfig& path : paths) map.groups[0].paths.push_back({path.name, {}});
        auto volume = Volume::create(surroundings(), map, wanted(paths));
        if (!volume) return std::unexpected(volume.error());
        volume_ = std::move(*volume);
        return {};
    }
    Volume::Surroundings surroundings() {
        return {*loop_,
                *pool_,
                stores_,
                observer_,
                graveyard_,
                [](Severity, const std::string&, const std::string&, const std::string&,
                   const std::string&) {}};
    }
    std::vector<WantedPath> wanted(const std::vector<PathConfig>& paths) {
        std::vector<WantedPath> all;
        for (const PathConfig& path : paths) {
            WantedPath& one = all.emplace_back();
            one.config = path;
            one.opened = open_path(path, stores_);
        }
        return all;
    }

    std::filesystem::path folder_;
    std::unique_ptr<loop::Loop> loop_;
    std::unique_ptr<memory::BufferPool> pool_;
    path::FileStores stores_;
    QuietObserver observer_;
    Graveyard graveyard_;
    std::unique_ptr<Volume> volume_;
};

TEST_F(VolumeTest, ALinearLayerThatDoesNotFitItsFileIsRefused) {
    PathConfig path = file_path("a", file("disk.img", 65536));
    LayerConfig& layer = path.layers.emplace_back();
    layer.kind = LayerKind::linear;
    layer.linear = {.offset_bytes = 131072, .length_bytes = 4096};
    const auto refused = create({path});
    ASSERT_FALSE(refused.has_value());
    EXPECT_THAT(refused.error().message, HasSubstr("do not fit in a device of 65536 bytes"));
}

TEST_F(VolumeTest, PathsOfDifferentSizesAreRefusedNamingBoth) {
    const auto created = create({zero_path("a", 1 << 20), zero_path("b", 2 << 20)});
    ASSERT_FALSE(created.has_value());
    EXPECT_THAT(created.error().message,
                HasSubstr("path b has 2097152 bytes but path a has 1048576"));
}

TEST_F(VolumeTest, PathsOfDifferentBlockSizesAreRefused) {
    PathConfig large = zero_path("b", 1 << 20);
    large.block_bytes = 4096;
    const auto created = create({zero_path("a", 1 << 20), large});
    ASSERT_FALSE(created.has_value());
    EXPECT_THAT(created.error().message, HasSubstr("blocks of 4096 bytes but path a of 512"));
}

TEST_F(VolumeTest, AMapStartsWithThePathsThatWork) {
    const std::string image = file("disk.img", 1 << 20);
    const auto created = create({file_path("a", image), file_path("b", folder_ / "missing")});
    ASSERT_TRUE(created.has_value()) << created.error().message;
    EXPECT_EQ(volume_->map().status().valid_paths, 1u);
    EXPECT_THAT(volume_->find_path("b")->problem(), HasSubstr("No such file"));
}

TEST_F(VolumeTest, ShowsItselfInDeviceMappersWords) {
    ASSERT_TRUE(create({zero_path("a", 1 << 20), zero_path("b", 1 << 20)}).has_value());
    const MapSnapshot shown = volume_->map_snapshot(loop_->now());
    EXPECT_EQ(shown.state, "running");
    EXPECT_THAT(shown.dm_table, testing::StartsWith("0 2048 multipath 1 queue_if_no_path 0 "));
    EXPECT_THAT(shown.dm_table, HasSubstr(" a 1"));
    EXPECT_THAT(shown.dm_status, testing::StartsWith("0 2048 multipath 2 1 0 0 "));
    EXPECT_THAT(shown.dm_status, HasSubstr(" b A 0"));
    ASSERT_TRUE(volume_->map().suspend(false).has_value());
    EXPECT_EQ(volume_->map_snapshot(loop_->now()).state, "suspended");
    ASSERT_TRUE(volume_->map().resume().has_value());
}

TEST_F(VolumeTest, AMapWithoutAPathThatWorksIsRefusedSayingWhy) {
    const auto created = create({file_path("a", folder_ / "missing")});
    ASSERT_FALSE(created.has_value());
    EXPECT_THAT(created.error().message, HasSubstr("none of its paths works"));
    EXPECT_THAT(created.error().message, HasSubstr("No such file"));
}

TEST_F(VolumeTest, AFileThatAppearsLaterIsTakenByTheChecker) {
    const std::string image = file("disk.img", 1 << 20);
    ASSERT_TRUE(create({file_path("a", image), file_path("b", folder_ / "late")}).has_value());
    std::filesystem::create_hard_link(image, folder_ / "late");
    const Instant last = loop_->now() + 20s;
    while (observer_.reinstated.empty() && loop_->now() < last) loop_->turn(loop_->now() + 50ms);
    EXPECT_EQ(observer_.reinstated, std::vector<std::string>{"b"});
    EXPECT_EQ(volume_->map().status().valid_paths, 2u);
}

TEST_F(VolumeTest, AFileOfAnotherSizeThatAppearsLaterIsNotTaken) {
    const std::string image = file("disk.img", 1 << 20);
    ASSERT_TRUE(create({file_path("a", image), file_path("b", folder_ / "late")}).has_value());
    file("late", 1 << 19);
    const monitor::Checker& checker = *volume_->find_checker(*volume_->find_path("b"));
    const Instant last = loop_->now() + 20s;
    while (checker.status().message.find("524288") == std::string::npos && loop_->now() < last)
        loop_->turn(loop_->now() + 50ms);
    EXPECT_THAT(checker.status().message, HasSubstr("path b has 524288 bytes"));
    EXPECT_EQ(volume_->map().status().valid_paths, 1u);
}

TEST_F(VolumeTest, APreparedChangeTouchesNothingUntilItIsCommitted) {
    ASSERT_TRUE(create({zero_path("a", 1 << 20)}).has_value());
    MapConfig map = volume_->config();
    map.groups[0].paths.push_back({"b", {}});
    std::vector<WantedPath> paths = wanted({zero_path("a", 1 << 20), zero_path("b", 1 << 20)});
    paths[0].kept = volume_->find_path("a");
    auto change = volume_->prepare(map, std::move(paths));
    ASSERT_TRUE(change.has_value()) << change.error().message;
    EXPECT_EQ(volume_->map().status().paths.size(), 1u);
    volume_->commit(std::move(*change), graveyard_);
    EXPECT_EQ(volume_->map().status().valid_paths, 2u);
    EXPECT_EQ(volume_->units().size(), 2u);
}

TEST_F(VolumeTest, ARemovedPathGoesToTheGraveyardUntilItIsQuiet) {
    ASSERT_TRUE(create({zero_path("a", 1 << 20), zero_path("b", 1 << 20)}).has_value());
    MapConfig map = volume_->config();
    map.groups[0].paths.pop_back();
    std::vector<WantedPath> paths = wanted({zero_path("a", 1 << 20)});
    paths[0].kept = volume_->find_path("a");
    auto change = volume_->prepare(map, std::move(paths));
    ASSERT_TRUE(change.has_value()) << change.error().message;
    volume_->commit(std::move(*change), graveyard_);
    EXPECT_EQ(graveyard_.size(), 1u);
    // Its first check may be under way; it lies there until the answer has come.
    const Instant last = loop_->now() + 20s;
    while (!graveyard_.sweep() && loop_->now() < last) loop_->turn(loop_->now() + 5ms);
    EXPECT_EQ(graveyard_.size(), 0u);
    EXPECT_EQ(volume_->find_path("b"), nullptr);
}

TEST_F(VolumeTest, ANewPathOfAnotherSizeIsRefusedUnderRunningIo) {
    ASSERT_TRUE(create({zero_path("a", 1 << 20)}).has_value());
    MapConfig map = volume_->config();
    map.groups[0].paths.push_back({"b", {}});
    std::vector<WantedPath> paths = wanted({zero_path("a", 1 << 20), zero_path("b", 4 << 20)});
    paths[0].kept = volume_->find_path("a");
    const auto change = volume_->prepare(map, std::move(paths));
    ASSERT_FALSE(change.has_value());
    EXPECT_THAT(change.error().message, HasSubstr("path b has 4194304 bytes"));
}

TEST_F(VolumeTest, ATableThatTheBrainRefusesIsRefusedBeforeAnythingChanges) {
    ASSERT_TRUE(create({zero_path("a", 1 << 20)}).has_value());
    MapConfig map = volume_->config();
    map.groups[0].selector = "by-moonlight";
    std::vector<WantedPath> paths = wanted({zero_path("a", 1 << 20)});
    paths[0].kept = volume_->find_path("a");
    const auto change = volume_->prepare(map, std::move(paths));
    ASSERT_FALSE(change.has_value());
    EXPECT_THAT(change.error().message, HasSubstr("by-moonlight"));
    EXPECT_EQ(volume_->map().status().groups[0].selector, "service-time");
}

TEST_F(VolumeTest, APathThatJoinsIsCheckedAtOnce) {
    ASSERT_TRUE(create({zero_path("a", 1 << 20)}).has_value());
    MapConfig map = volume_->config();
    map.groups[0].paths.push_back({"b", {}});
    std::vector<WantedPath> paths = wanted({zero_path("a", 1 << 20), zero_path("b", 1 << 20)});
    paths[0].kept = volume_->find_path("a");
    auto change = volume_->prepare(map, std::move(paths));
    ASSERT_TRUE(change.has_value()) << change.error().message;
    volume_->commit(std::move(*change), graveyard_);
    EXPECT_TRUE(volume_->find_checker(*volume_->find_path("b"))->status().under_way);
}

TEST_F(VolumeTest, ALayerIsAddedToARunningPathWhenItHasNone) {
    ASSERT_TRUE(create({zero_path("a", 1 << 20)}).has_value());
    Command command;
    command.kind = Command::Kind::set_layer;
    command.layer = "error";
    command.enabled = true;
    command.parameters = {{"class", "transport"}};
    PathUnit& unit = *volume_->find_path("a");
    const auto text = unit.set_layer(command);
    ASSERT_TRUE(text.has_value()) << text.error().message;
    ASSERT_EQ(unit.layers().size(), 1u);
    EXPECT_TRUE(unit.layers()[0].enabled);
    command.enabled = false;
    command.parameters.clear();
    ASSERT_TRUE(unit.set_layer(command).has_value());
    ASSERT_EQ(unit.layers().size(), 1u);
    EXPECT_FALSE(unit.layers()[0].enabled);
}

}  // namespace
}  // namespace braidway::daemon
