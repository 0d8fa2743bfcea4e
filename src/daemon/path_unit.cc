// SPDX-License-Identifier: Apache-2.0
#include "daemon/path_unit.h"

#include <fmt/format.h>

#include "block/linear.h"
#include "block/zero.h"
#include "path/sg_identify.h"

namespace braidway::daemon {
namespace {

/// What a device is given: the layer's own parameters, and whether they count.
template <typename Config>
Config switched(Config config, const LayerConfig& layer) {
    config.enabled = layer.enabled;
    return config;
}

/// A SCSI disk of the kernel says who it is, and takes the commands of hardware handlers. Any other
/// device is a file like others.
void ask_who_it_is(const std::string& name, OpenedPath& opened) {
    auto device = path::open_sg_device(name);
    if (!device && device.error().code == ENOTTY) return;
    opened.scsi_disk = true;
    if (!device) {
        opened.finding.description = device.error().message;
        return;
    }
    auto portrait = path::identify_sg_device(*device);
    if (!portrait) {
        opened.finding.description = portrait.error().message;
        return;
    }
    const wire::ScsiUnit& unit = portrait->unit;
    opened.finding.identity = unit.wwid.text;
    opened.finding.description =
        fmt::format("{} {} {} {}", name, unit.vendor, unit.product, unit.revision);
    opened.finding.inquiry = std::move(portrait->inquiry);
    opened.finding.identification = std::move(portrait->identification);
    opened.scsi = std::make_unique<path::SgDevice>(std::move(*device));
}

/// The lowest device of a path over a network; the unit keeps the device itself, which outlives it.
class FabricBottom final : public block::BlockDevice {
  public:
    explicit FabricBottom(path::FabricDevice& device) : device_(device) {}
    const block::Geometry& geometry() const override { return device_.geometry(); }

  private:
    void begin(block::Request& request) override { device_.submit(request); }

    path::FabricDevice& device_;
};

}  // namespace

OpenedPath open_path(const PathConfig& config, path::FileStores& stores) {
    OpenedPath opened;
    opened.tls = open_path_tls(config);
    if (config.device.kind != DeviceConfig::Kind::file) return opened;
    auto file = path::open_file(config.device.path, config.read_only, stores);
    if (!file) {
        opened.problem = file.error().message;
        return opened;
    }
    if (config.block_bytes) {
        block::Geometry& geometry = file->geometry;
        if (*config.block_bytes < geometry.block_bytes) {
            opened.problem =
                fmt::format("{}: block_size {} is smaller than the {} bytes it needs",
                            config.device.path, *config.block_bytes, geometry.block_bytes);
            return opened;
        }
        geometry.block_bytes = *config.block_bytes;
        geometry.size_bytes -= geometry.size_bytes % geometry.block_bytes;
    }
    opened.file = std::move(*file);
    opened.finding.geometry = opened.file->geometry;
    if (opened.file->block_device) ask_who_it_is(config.device.path, opened);
    return opened;
}

Result<std::unique_ptr<PathUnit>> PathUnit::create(loop::Loop& loop, memory::BufferPool& pool,
                                                   const PathConfig& config, OpenedPath& opened) {
    std::unique_ptr<PathUnit> unit(new PathUnit(loop, config));
    std::unique_ptr<block::BlockDevice> devices;
    const uint32_t block_bytes = config.block_bytes.value_or(512);
    switch (config.device.kind) {
        case DeviceConfig::Kind::file: {
            auto file = std::make_unique<path::FileDevice>(loop);
            unit->file_ = file.get();
            unit->problem_ = opened.problem;
            if (opened.file) {
                const bool has_identity = opened.scsi_disk;
                unit->offer(opened);
                if (!has_identity) unit->admit();
            }
            devices = std::move(file);
            break;
        }
        case DeviceConfig::Kind::zero:
            devices = std::make_unique<block::ZeroDevice>(
                loop,
                block::ZeroConfig{config.device.size_bytes, block_bytes, config.device.holes});
            break;
        case DeviceConfig::Kind::error:
            devices = std::make_unique<block::ErrorDevice>(loop, config.device.size_bytes,
                                                           block_bytes, IoStatus::io);
            break;
        case DeviceConfig::Kind::nbd:
        case DeviceConfig::Kind::iscsi:
            CHECK(opened.fabric != nullptr, "devices of a network are made before their paths");
            devices = std::make_unique<FabricBottom>(*opened.fabric);
            break;
    }
    for (const LayerConfig& layer : config.layers) {
        auto with_layer = unit->add_layer(std::move(devices), layer);
        if (!with_layer)
            return fail(fmt::format("path {}: {}", config.name, with_layer.error().message),
                        EINVAL);
        devices = std::move(*with_layer);
    }
    const bool fabric = config.device.is_fabric();
    // A device of a network has the deadline itself: two would add up.
    unit->path_ = std::make_unique<path::Path>(
        loop, pool, std::move(devices),
        path::Path::Options{.name = config.name,
                            .io_timeout = fabric ? std::nullopt : config.io_timeout});
    if (fabric) {
        unit->fabric_ = std::move(opened.fabric);
        unit->finding_ = std::move(opened.finding);
        unit->tls_ = std::move(opened.tls);
        unit->fabric_->set_listener(unit.get());
        if (!opened.problem.empty())
            unit->set_problem(opened.problem);
        else if (!unit->fabric_->connected())
            unit->set_problem("the connection was lost again at once");
    }
    return unit;
}

Result<std::unique_ptr<block::BlockDevice>> PathUnit::add_layer(
    std::unique_ptr<block::BlockDevice> below, const LayerConfig& config) {
    Layer layer{.config = config};
    std::unique_ptr<block::BlockDevice> device;
    switch (config.kind) {
        case LayerKind::delay: {
            auto delay = std::make_unique<block::DelayLayer>(loop_, std::move(below),
                                                             switched(config.delay, config));
            layer.delay = delay.get();
            device = std::move(delay);
            break;
        }
        case LayerKind::error: {
            auto error = std::make_unique<block::ErrorLayer>(loop_, std::move(below),
                                                             switched(config.error, config));
            layer.error = error.get();
            device = std::move(error);
            break;
        }
        case LayerKind::flakey: {
            auto flakey = std::make_unique<block::FlakeyLayer>(loop_, std::move(below),
                                                               switched(config.flakey, config));
            layer.flakey = flakey.get();
            device = std::move(flakey);
            break;
        }
        case LayerKind::linear: {
            auto linear = block::LinearDevice::create(std::move(below), config.linear);
            if (!linear) return std::unexpected(linear.error());
            device = std::move(*linear);
            break;
        }
    }
    layers_.push_back(layer);
    return device;
}

bool PathUnit::works() const {
    if (config_.device.is_fabric()) return admitted_;
    return file_ == nullptr || file_->is_open();
}

void PathUnit::set_problem(const std::string& why) {
    problem_ = fmt::format("{}: {}", config_.device.text(), why);
}

path::ScsiChannel* PathUnit::channel() {
    return fabric_ != nullptr ? fabric_->scsi() : scsi_.get();
}

void PathUnit::set_sense_reader(path::SenseReader reader) {
    sense_reader_ = std::move(reader);
    if (fabric_ != nullptr) fabric_->set_sense_reader(sense_reader_);
}

bool PathUnit::awaits_admission() const {
    if (offered_) return true;
    return fabric_ != nullptr && fabric_->connected() && !admitted_ && !fenced_off_;
}

void PathUnit::offer(OpenedPath& opened) {
    CHECK(file_ != nullptr && !works(), "a file is offered to a path that has none");
    offered_ = std::move(opened.file);
    finding_ = std::move(opened.finding);
    finding_.geometry = offered_->geometry;
    // Nobody has sent anything before the path worked.
    scsi_.reset();
    if (opened.scsi) scsi_ = std::make_unique<path::SgIo>(loop_, std::move(*opened.scsi));
}

void PathUnit::admit(path::FabricFinding finding) {
    finding_ = std::move(finding);
    if (fabric_ != nullptr) {
        fabric_->admit();
        admitted_ = true;
        ++connects_;
    } else {
        file_->adopt(std::move(*offered_));
        offered_.reset();
    }
    problem_.clear();
}

void PathUnit::turn_away(const std::string& why) {
    admitted_ = false;
    offered_.reset();
    set_problem(why);
    if (fabric_ != nullptr) fabric_->disconnect();
}

void PathUnit::fence_off(const std::string& why) {
    fenced_off_ = true;
    turn_away(why);
}

void PathUnit::leave() {
    unit_listener_ = nullptr;
    admitted_ = false;
    set_sense_reader({});
}

void PathUnit::retire() {
    leave();
    if (fabric_ != nullptr) fabric_->disconnect();
    if (scsi_ != nullptr) scsi_->shut_down();
}

bool PathUnit::quiet() const {
    return path_->quiet() && (fabric_ == nullptr || fabric_->quiet()) &&
           (scsi_ == nullptr || scsi_->quiet());
}

void PathUnit::connection_lost(const std::string& reason) {
    admitted_ = false;
    set_problem(reason);
    if (unit_listener_ != nullptr) unit_listener_->unit_lost(*this, reason);
}

void PathUnit::writes_settled(bool at_risk) {
    // First the word, then the requests: what they lead to is told after it.
    if (unit_listener_ != nullptr) unit_listener_->unit_settled(*this, at_risk);
    path_->device_settled();
}

std::string PathUnit::io_mode() const {
    if (fabric_ != nullptr) return "network";
    if (file_ == nullptr) return "memory";
    return file_->file().mode == path::FileMode::direct ? "direct" : "buffered";
}

bool PathUnit::buffered() const {
    return file_ != nullptr && file_->is_open() && file_->file().mode == path::FileMode::buffered;
}

uint64_t PathUnit::store() const {
    if (fabric_ != nullptr) {
        if (!finding_.shared_cache) return reinterpret_cast<uint64_t>(this);
        // No address has the highest bit.
        return std::hash<std::string>()(finding_.identity) | uint64_t{1} << 63;
    }
    // Devices without a file keep nothing that a flush could save: one store for all of them.
    if (file_ == nullptr) return 0;
    return file_->is_open() ? reinterpret_cast<uint64_t>(file_->file().store.get())
                            : reinterpret_cast<uint64_t>(this);
}

void PathUnit::apply(size_t layer) {
    const Layer& changed = layers_[layer];
    switch (changed.config.kind) {
        case LayerKind::delay:
            changed.delay->configure(switched(changed.config.delay, changed.config));
            break;
        case LayerKind::error:
            changed.error->configure(switched(changed.config.error, changed.config));
            break;
        case LayerKind::flakey:
            changed.flakey->configure(switched(changed.config.flakey, changed.config));
            break;
        case LayerKind::linear:
            break;
    }
}

Result<std::string> PathUnit::set_layer(const Command& command) {
    const auto kind = layer_kind_from_name(command.layer);
    if (!kind) return fail(fmt::format("no layer is called '{}'", command.layer), EINVAL);
    // Of several layers of a kind the outermost is meant: it is the first that I/O meets.
    size_t at = layers_.size();
    while (at > 0 && layers_[at - 1].config.kind != *kind) --at;
    const bool fresh = at == 0;
    LayerConfig current;
    if (fresh) {
        current.kind = *kind;
        current.enabled = false;
    } else {
        current = layers_[--at].config;
    }
    auto changed = change_layer(current, command);
    if (!changed) return std::unexpected(changed.error());
    if (!fresh) {
        layers_[at].config = *changed;
        apply(at);
    } else {
        if (layers_.size() >= limits::layers_max)
            return fail(fmt::format("path {} has {} layers already; that is the limit", name(),
                                    limits::layers_max),
                        EINVAL);
        path_->add_layer([&](std::unique_ptr<block::BlockDevice> below) {
            return std::move(*add_layer(std::move(below), *changed));
        });
    }
    return fmt::format("path {}: {} {} {}", name(), command.layer, changed->enabled ? "on" : "off",
                       layer_parameters_text(*changed));
}

std::vector<LayerSnapshot> PathUnit::layers() const {
    std::vector<LayerSnapshot> snapshots;
    for (const Layer& layer : layers_) {
        LayerConfig now = layer.config;
        // A layer that has used up its errors has switched itself off.
        if (layer.error != nullptr) {
            now.enabled = layer.error->config().enabled;
            now.error.count = layer.error->config().count;
        }
        snapshots.push_back(layer_snapshot(now));
    }
    return snapshots;
}

}  // namespace braidway::daemon
