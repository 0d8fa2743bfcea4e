// SPDX-License-Identifier: Apache-2.0
#include "daemon/fabric_paths.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "path/iscsi_device.h"
#include "path/nbd_device.h"
#include "path/tls_upgrade.h"

namespace braidway::daemon {
namespace {

std::unique_ptr<path::FabricDevice> make_nbd_device(loop::Loop& loop, const FabricWish& wish) {
    const PathConfig& config = wish.config;
    const NbdPathConfig& nbd = config.device.nbd;
    path::NbdDeviceOptions options;
    options.uri = nbd.uri;
    options.read_only = config.read_only;
    options.block_bytes = config.block_bytes;
    options.connections = nbd.connections;
    options.io_timeout = config.io_timeout;
    options.connect_timeout = nbd.connect_timeout;
    options.keepalive = nbd.keepalive;
    options.resend_quiesce = nbd.resend_quiesce;
    options.drops_closed = nbd.drops_closed;
    options.shared_cache = nbd.shared_cache;
    options.fingerprint = nbd.fingerprint;
    // Asked anew for each connection: a reload renews what is in it.
    if (wish.tls != nullptr)
        options.upgrade = [tls = wish.tls](loop::Loop& lane) {
            return std::make_unique<path::TlsUpgrade>(lane, tls->context);
        };
    return std::make_unique<path::NbdDevice>(loop, std::move(options));
}

}  // namespace

path::IscsiOptions iscsi_options_of(const PathConfig& config, uint64_t generation) {
    const IscsiPathConfig& iscsi = config.device.iscsi;
    path::IscsiOptions options;
    options.uri = iscsi.uri;
    options.secret_file = iscsi.chap_secret_file;
    options.target_secret_file = iscsi.chap_mutual_secret_file;
    options.initiator =
        iscsi.initiator.empty() ? path::default_initiator(iscsi.host) : iscsi.initiator;
    const std::string path =
        generation == 0 ? config.name : fmt::format("{} {}", config.name, generation);
    path::iscsi_port_id(options, iscsi.host, iscsi.place, path);
    options.data_digest = iscsi.data_digest;
    options.read_only = config.read_only;
    options.block_bytes = config.block_bytes;
    options.connect_timeout = iscsi.connect_timeout;
    options.io_timeout = config.io_timeout;
    options.task_management_timeout = iscsi.task_management_timeout;
    options.keepalive = iscsi.keepalive;
    options.resend_quiesce = iscsi.resend_quiesce;
    return options;
}

std::unique_ptr<path::FabricDevice> make_fabric_device(loop::Loop& loop, const FabricWish& wish) {
    CHECK(wish.config.device.is_fabric(), "devices of a network are made here");
    if (wish.config.device.kind == DeviceConfig::Kind::iscsi)
        return std::make_unique<path::IscsiDevice>(loop,
                                                   iscsi_options_of(wish.config, wish.generation));
    return make_nbd_device(loop, wish);
}

Duration connect_timeout_of(const PathConfig& config) {
    return config.device.kind == DeviceConfig::Kind::iscsi ? config.device.iscsi.connect_timeout
                                                           : config.device.nbd.connect_timeout;
}

void FabricNursery::connect(const std::vector<FabricWish>& paths, std::function<void()> done) {
    CHECK(newborns_.empty(), "devices are connected for one configuration at a time");
    awaited_ = 0;
    done_ = std::move(done);
    const uint64_t round = ++round_;
    for (const FabricWish& wish : paths) {
        Newborn& newborn = *newborns_.emplace_back(std::make_unique<Newborn>());
        newborn.path = wish.config.name;
        newborn.opened.tls = wish.tls;
        FabricWish dated = wish;
        dated.generation = generation_;
        newborn.opened.fabric = make_fabric_device(loop_, dated);
        if (wish.tls != nullptr) newborn.opened.problem = wish.tls->problem;
        if (newborn.opened.works()) ++awaited_;
    }
    if (!newborns_.empty()) ++generation_;
    if (awaited_ == 0) return std::exchange(done_, nullptr)();
    for (const auto& each : newborns_) {
        Newborn* newborn = each.get();
        if (!newborn->opened.works()) continue;
        newborn->opened.fabric->connect([this, newborn, round](Result<path::FabricFinding> found) {
            // Of one that was dropped meanwhile nobody wants to know.
            if (round != round_) return;
            if (found)
                newborn->opened.finding = std::move(*found);
            else
                newborn->opened.problem = found.error().message;
            if (--awaited_ == 0) std::exchange(done_, nullptr)();
        });
    }
}

OpenedPath FabricNursery::take(const std::string& path) {
    for (const auto& newborn : newborns_)
        if (newborn->path == path) return std::move(newborn->opened);
    return {};
}

void FabricNursery::drop(Graveyard& graveyard) {
    ++round_;
    done_ = nullptr;
    for (const auto& newborn : newborns_)
        if (newborn->opened.fabric != nullptr) graveyard.bury(std::move(newborn->opened.fabric));
    newborns_.clear();
}

void FabricReviver::revive(Done done) {
    if (unit_.fenced_off()) return done(fail(unit_.problem()));
    if (const PathTls* tls = unit_.tls(); tls != nullptr && tls->context == nullptr) {
        unit_.set_problem(tls->problem);
        return done(fail(unit_.problem()));
    }
    unit_.fabric()->connect([this, done = std::move(done)](Result<path::FabricFinding> found) {
        if (!found) {
            unit_.set_problem(found.error().message);
            return done(fail(unit_.problem()));
        }
        if (abandoned_) return done(fail("the path is being removed"));
        if (auto fitting = fits_(*found); !fitting) {
            unit_.fabric()->disconnect();
            return done(std::unexpected(fitting.error()));
        }
        unit_.admit(std::move(*found));
        taken_();
        done({});
    });
}

}  // namespace braidway::daemon
