// SPDX-License-Identifier: Apache-2.0
// A volume whose paths lead to the ports of a scripted array, in virtual time.
#pragma once

#include <gmock/gmock.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "daemon/volume.h"
#include "sim/faulty_channel.h"
#include "sim/scsi_path.h"
#include "sim/virtual_loop.h"

namespace braidway::daemon {

/// One port of an array as the device of a path over a network.
class ArrayDevice final : public path::FabricDevice {
  public:
    ArrayDevice(loop::Loop& loop, sim::ScsiResponder& array, uint8_t port)
        : loop_(loop),
          array_(array),
          port_(port),
          disk_(loop, array, port, 0),
          channel_(loop, disk_) {}

    const block::Geometry& geometry() const override { return disk_.geometry(); }
    void connect(Connected done) override {
        ++connects;
        if (!reachable) return done(fail("cannot connect to nowhere"));
        connected_ = true;
        channel_.restore();
        done(finding());
    }
    path::FabricFinding finding() {
        return {.geometry = disk_.geometry(),
                .identity = identity,
                .description = "a scripted array",
                .inquiry = page(wire::inquiry_cdb(room)),
                .identification = page(wire::vpd_cdb(0x83, room))};
    }
    void admit() override { admitted_ = true; }
    void disconnect() override {
        if (std::exchange(connected_, false)) channel_.tear_down();
        admitted_ = false;
    }
    bool quiet() const override { return !connected_ && channel_.under_way() == 0; }
    bool connected() const override { return connected_; }
    path::ScsiChannel* scsi() override { return &channel_; }
    void set_sense_reader(const path::SenseReader& reader) override {
        reads_sense = static_cast<bool>(reader);
        if (!reader) return disk_.set_sense_reader({});
        disk_.set_sense_reader([reader](const wire::ScsiSense& sense) -> multipath::SenseVerdict {
            using Kind = multipath::SenseVerdict::Kind;
            const auto word = reader(sense);
            if (!word) return {};
            if (word->retry != wire::ScsiRetry::no) return {Kind::requeue, word->status};
            return {Kind::fail_path, word->status};
        });
    }
    void lose() {
        disconnect();
        listener_->connection_lost("the cable was pulled");
    }
    uint64_t ios() const { return disk_.ios(); }
    sim::FaultyChannel& channel() { return channel_; }

    std::string identity = "3600a";
    bool reachable = true;
    bool reads_sense = false;
    int connects = 0;

  private:
    static constexpr uint16_t room = wire::scsi::inquiry_bytes_max;

    std::vector<std::byte> page(const wire::Cdb& cdb) {
        return array_.respond(port_, 0, cdb.view(), {}, room, Instant{}).data_in;
    }
    void begin(block::Request& request) override {
        if (admitted_) return disk_.begin(request);
        block::finish_soon(loop_, request, IoStatus::offline);
    }

    loop::Loop& loop_;
    sim::ScsiResponder& array_;
    uint8_t port_;
    sim::ScsiPath disk_;
    sim::FaultyChannel channel_;
    bool connected_ = false;
    bool admitted_ = false;
};

/// Writes down what happens.
class Told final : public map::MapObserver {
  public:
    void map_event(const std::string&, const multipath::Action& action,
                   const std::string& path) override {
        if (action.kind == multipath::Action::Kind::path_failed) events.push_back("failed " + path);
        if (action.kind == multipath::Action::Kind::activation_failed)
            events.push_back("not activated " + path);
    }
    std::vector<std::string> events;
};

/// One I/O of a client.
struct ClientIo final : block::CompletionStage {
    block::Request request;
    std::vector<std::byte> memory;
    iovec data{};
    bool ended = false;

    explicit ClientIo(IoOp op, std::byte fill = std::byte{0}) : memory(512, fill) {
        data = {memory.data(), memory.size()};
        request.op = op;
        request.length_bytes = memory.size();
        request.data = {&data, 1};
        request.push(*this);
    }
    void completed(block::Request& done) override {
        done.pop();
        ended = true;
    }
};

/// A volume with a group for each port of `array_`, in the order of the ports: paths a, b, ...
class ArrayVolumeTest : public testing::Test {
  protected:
    void TearDown() override {
        if (volume_ != nullptr) {
            volume_->map().shut_down();
            loop_.pass(std::chrono::seconds(600));
            volume_->bury(graveyard_);
            volume_.reset();
        }
        EXPECT_TRUE(
            loop_.pass_until([&] { return graveyard_.sweep(); }, std::chrono::seconds(600)));
    }
    Volume::Surroundings surroundings() {
        return {loop_,
                *pool_,
                stores_,
                told_,
                graveyard_,
                [this](Severity, const std::string& kind, const std::string&,
                       const std::string& path, const std::string& reason) {
                    told_.events.push_back(kind + " " + path + ": " + reason);
                }};
    }
    void make_array(sim::ArrayShape shape) {
        array_ = std::make_unique<sim::ScsiResponder>(std::move(shape));
    }
    WantedPath wanted(uint8_t port, bool reachable = true) {
        return wanted_at(std::string(1, static_cast<char>('a' + port)), *array_, port, reachable);
    }
    WantedPath wanted_at(const std::string& name, sim::ScsiResponder& array, uint8_t port,
                         bool reachable = true) {
        WantedPath path;
        path.config.name = name;
        path.config.device.kind = DeviceConfig::Kind::nbd;
        path.config.device.nbd.uri = *wire::NbdUri::parse("nbd://host/" + name);
        path.config.check.polling_interval = path.config.check.max_polling_interval =
            std::chrono::seconds(5);
        auto device = std::make_unique<ArrayDevice>(loop_, array, port);
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
    static MapConfig config_of(const std::vector<WantedPath>& paths, HandlerConfig handler = {}) {
        MapConfig map;
        map.name = "db";
        map.handler = std::move(handler);
        for (const WantedPath& path : paths)
            map.groups.emplace_back().paths.push_back({path.config.name, {}});
        return map;
    }
    Result<void> create(std::vector<WantedPath> paths, HandlerConfig handler = {}) {
        const MapConfig map = config_of(paths, std::move(handler));
        auto volume = Volume::create(surroundings(), map, std::move(paths));
        if (!volume) return std::unexpected(volume.error());
        volume_ = std::move(*volume);
        loop_.pass(std::chrono::milliseconds(100));
        return {};
    }
    /// A volume over the two ports of an array of this kind.
    void make(sim::ArrayKind kind, HandlerConfig handler = {}) {
        make_array({.kind = kind});
        std::vector<WantedPath> paths;
        paths.push_back(wanted(0));
        paths.push_back(wanted(1));
        const auto created = create(std::move(paths), std::move(handler));
        ASSERT_TRUE(created.has_value()) << created.error().message;
    }
    WantedPath kept(const std::string& name) {
        WantedPath path;
        path.kept = volume_->find_path(name);
        path.config = path.kept->config();
        return path;
    }
    Result<void> reload(std::vector<WantedPath> paths, HandlerConfig handler = {}) {
        const MapConfig map = config_of(paths, std::move(handler));
        auto change = volume_->prepare(map, std::move(paths));
        if (!change) return std::unexpected(change.error());
        volume_->commit(std::move(*change), graveyard_);
        return {};
    }
    IoStatus run(ClientIo& io) {
        volume_->map().submit(io.request);
        EXPECT_TRUE(loop_.pass_until([&] { return io.ended; }, std::chrono::seconds(300)))
            << "it is held";
        return io.request.status();
    }
    IoStatus read() {
        ClientIo io(IoOp::read);
        return run(io);
    }
    IoStatus write(std::byte fill) {
        ClientIo io(IoOp::write, fill);
        return run(io);
    }
    MapSnapshot map_snapshot() { return volume_->map_snapshot(loop_.now()); }
    PathSnapshot path_snapshot(const std::string& name) {
        std::vector<PathSnapshot> all;
        volume_->path_snapshots(loop_.now(), all);
        for (const PathSnapshot& each : all)
            if (each.name == name) return each;
        return {};
    }
    static HandlerConfig handler(const std::string& name, std::vector<std::string> words = {}) {
        return {.automatic = false, .name = name, .words = std::move(words), .delay = {}};
    }

    sim::VirtualLoop loop_;
    std::unique_ptr<memory::BufferPool> pool_ = *memory::BufferPool::create(1u << 20);
    path::FileStores stores_;
    Told told_;
    std::unique_ptr<sim::ScsiResponder> array_;
    Graveyard graveyard_;
    std::unique_ptr<Volume> volume_;
    std::map<std::string, ArrayDevice*> devices_;
};

}  // namespace braidway::daemon
