// SPDX-License-Identifier: Apache-2.0
// Reads from NBD servers through a path, or through a map over several paths, on one loop without a
// client: what bench/paths.py compares with other programs. Prints reads per second, system calls
// and CPU time per read.
#include <fmt/format.h>
#include <sys/resource.h>

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "map/map_device.h"
#include "path/nbd_device.h"
#include "path/path.h"

namespace braidway {
namespace {

constexpr uint32_t read_bytes = 4096;
constexpr Duration warm_up = std::chrono::milliseconds(300);

struct NobodyListens final : map::MapObserver {
    void map_event(const std::string&, const multipath::Action&, const std::string&) override {}
};

/// The device of a path; the path lets go of it, and the device outlives it.
class Borrowed final : public block::BlockDevice {
  public:
    explicit Borrowed(block::BlockDevice& device) : device_(device) {}
    const block::Geometry& geometry() const override { return device_.geometry(); }

  private:
    void begin(block::Request& request) override { device_.submit(request); }
    block::BlockDevice& device_;
};

/// Reads at random places again and again, until the time is over.
struct Reader final : block::CompletionStage {
    block::Request request;
    std::vector<std::byte> memory = std::vector<std::byte>(read_bytes);
    iovec data{};
    block::BlockDevice* device = nullptr;
    Random* random = nullptr;
    uint64_t* ended = nullptr;
    uint64_t* errors = nullptr;
    uint32_t* running = nullptr;
    const bool* over = nullptr;

    void submit() {
        request.reset();
        request.op = IoOp::read;
        request.offset_bytes =
            random->below(device->geometry().size_bytes / read_bytes) * read_bytes;
        request.length_bytes = read_bytes;
        data = {memory.data(), read_bytes};
        request.data = {&data, 1};
        request.push(*this);
        device->submit(request);
    }
    void completed(block::Request& done) override {
        done.pop();
        ++*ended;
        if (done.status() != IoStatus::ok) ++*errors;
        if (*over)
            --*running;
        else
            submit();
    }
};

double cpu_seconds() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// The servers' devices, a path on each, and a map over them when there are several.
class World {
  public:
    World(const std::vector<std::string>& uris, uint32_t connections) {
        map::MapConfig config;
        config.name = "bench";
        multipath::GroupSpec group{.selector = "service-time", .paths = {}};
        std::vector<map::Member> members;
        for (const std::string& uri : uris) {
            path::NbdDeviceOptions options;
            auto parsed = wire::NbdUri::parse(uri);
            if (!parsed) give_up(parsed.error().message);
            options.uri = *parsed;
            options.connections = connections;
            devices_.push_back(std::make_unique<path::NbdDevice>(*loop_, options));
            connect(*devices_.back());
            const std::string name = fmt::format("p{}", devices_.size());
            paths_.push_back(std::make_unique<path::Path>(
                *loop_, *pool_, std::make_unique<Borrowed>(*devices_.back()),
                path::Path::Options{.name = name, .io_timeout = std::nullopt}));
            members.push_back({paths_.back().get(), 1});
            group.paths.push_back({.name = name, .arguments = {}});
        }
        config.geometry = devices_[0]->geometry();
        config.table.groups.push_back(std::move(group));
        map_ = *map::MapDevice::create(*loop_, std::move(config), std::move(members), nobody_);
    }
    ~World() {
        map_.reset();
        paths_.clear();
        for (auto& device : devices_) {
            device->disconnect();
            while (!device->quiet()) loop_->turn(loop_->now() + std::chrono::milliseconds(1));
        }
        devices_.clear();
        while (loop_->in_flight() > 0) loop_->turn();
    }

    /// `silent`: a run that only makes everything warm, as threads of the server.
    void measure(bool map, uint32_t depth, Duration length, bool silent) {
        block::BlockDevice& device = map ? static_cast<block::BlockDevice&>(*map_) : *paths_[0];
        std::vector<Reader> readers(depth);
        Random random(1);
        uint64_t ended = 0;
        uint64_t errors = 0;
        uint32_t running = depth;
        bool over = false;
        const uint64_t calls = loop_->counters().system_calls;
        const double cpu = cpu_seconds();
        const Instant begun = monotonic_now();
        for (Reader& reader : readers) {
            reader.device = &device;
            reader.random = &random;
            reader.ended = &ended;
            reader.errors = &errors;
            reader.running = &running;
            reader.over = &over;
            reader.submit();
        }
        while (running > 0) {
            loop_->turn(begun + length);
            over = over || monotonic_now() - begun >= length;
        }
        if (silent) return;
        const double seconds = static_cast<double>((monotonic_now() - begun).count()) / 1e9;
        const auto count = static_cast<double>(ended);
        fmt::print(
            "{{\"iops\": {:.0f}, \"calls_per_io\": {:.3f}, \"cpu_us_per_io\": {:.2f}, "
            "\"errors\": {}}}\n",
            count / seconds, static_cast<double>(loop_->counters().system_calls - calls) / count,
            (cpu_seconds() - cpu) * 1e6 / count, errors);
    }

    [[noreturn]] static void give_up(const std::string& why) {
        fmt::print(stderr, "paths_bench: {}\n", why);
        std::exit(1);
    }

  private:
    void connect(path::NbdDevice& device) {
        std::optional<Result<path::FabricFinding>> answer;
        device.connect([&](Result<path::FabricFinding> found) { answer = std::move(found); });
        while (!answer) loop_->turn();
        if (!*answer) give_up(answer->error().message);
        device.admit();
    }

    std::unique_ptr<loop::Loop> loop_ = *loop::Loop::create();
    std::unique_ptr<memory::BufferPool> pool_ = *memory::BufferPool::create(1u << 20);
    NobodyListens nobody_;
    std::vector<std::unique_ptr<path::NbdDevice>> devices_;
    std::vector<std::unique_ptr<path::Path>> paths_;
    std::unique_ptr<map::MapDevice> map_;
};

int run(const std::vector<std::string>& words) {
    if (words.size() < 5) {
        fmt::print(stderr, "Usage: paths_bench path|map DEPTH CONNECTIONS SECONDS URI...\n");
        return 2;
    }
    const auto depth = static_cast<uint32_t>(std::stoul(words[1]));
    const auto connections = static_cast<uint32_t>(std::stoul(words[2]));
    const Duration length(static_cast<int64_t>(std::stod(words[3]) * 1e9));
    World world({words.begin() + 4, words.end()}, connections);
    world.measure(words[0] == "map", depth, warm_up, true);
    world.measure(words[0] == "map", depth, length, false);
    return 0;
}

}  // namespace
}  // namespace braidway

int main(int argc, char** argv) {
    return braidway::run({argv + 1, argv + argc});
}
