// SPDX-License-Identifier: Apache-2.0
// What the tests of iSCSI share: a real target with one disk behind two portals, and devices on it.
#pragma once

#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "path/iscsi_device.h"
#include "path/tgtd.h"
#include "support/devices.h"

namespace braidway::path {

/// Each test has a target of its own; skipped, with the reason, where there is no tgtd.
inline constexpr uint64_t disk_bytes = 64u << 20;
inline const std::string target_name = "iqn.2026-11.org.example:disks";

class IscsiTest : public LaneTest, protected FabricListener {
  protected:
    void SetUp() override {
        const std::string missing = Tgtd::missing();
        if (!missing.empty()) GTEST_SKIP() << missing;
        signal(SIGPIPE, SIG_IGN);  // libiscsi writes to connections that were reset
        target_ = std::make_unique<Tgtd>(2, BRAIDWAY_SLOW_DISK);
        disk_ = target_->disk("disk", disk_bytes);
        target_->add_target(1, target_name);
        target_->add_unit(1, 1, disk_);
    }
    void TearDown() override {
        if (target_) {
            target_->resume();
            target_->hold_disks(false);
        }
        while (!devices_.empty()) drop(*devices_.back());
    }

    std::string uri(uint16_t lun = 1, const std::string& user = {}, size_t portal = 0) const {
        return fmt::format("iscsi://{}127.0.0.1:{}/{}/{}", user, target_->port(portal), target_name,
                           lun);
    }
    static IscsiOptions options(const std::string& text) {
        IscsiOptions options;
        const auto uri = IscsiUri::parse(text);
        EXPECT_TRUE(uri) << (uri ? "" : uri.error().message);
        options.uri = *uri;
        options.initiator = "iqn.2026-11.org.example:host";
        options.connect_timeout = 5s;
        iscsi_port_id(options, "host", "map", text);
        return options;
    }
    IscsiDevice& make(const IscsiOptions& options) {
        devices_.push_back(std::make_unique<IscsiDevice>(*loop_, options));
        devices_.back()->set_listener(this);
        return *devices_.back();
    }
    void drop(IscsiDevice& device) {
        device.set_listener(nullptr);
        device.disconnect();
        turn_until([&] { return device.quiet(); });
        std::erase_if(devices_, [&](const auto& one) { return one.get() == &device; });
    }
    Result<FabricFinding> connect(IscsiDevice& device) {
        std::optional<Result<FabricFinding>> result;
        bool inside = true;
        device.connect([&](Result<FabricFinding> found) {
            EXPECT_FALSE(inside) << "connect() does not answer inside the call";
            result = std::move(found);
        });
        inside = false;
        turn_until([&] { return result.has_value(); });
        return result ? std::move(*result) : fail("no answer");
    }
    IscsiDevice& connected(const IscsiOptions& options) {
        IscsiDevice& device = make(options);
        const auto found = connect(device);
        EXPECT_TRUE(found) << (found ? "" : found.error().message);
        if (found) device.admit();
        return device;
    }
    std::string refusal(const IscsiOptions& options) {
        IscsiDevice& device = make(options);
        const auto found = connect(device);
        const std::string text = found ? "none" : found.error().message;
        drop(device);
        return text;
    }
    IoStatus run(block::BlockDevice& device, Client& client) {
        client.ended = 0;
        client.submit(device);
        turn_until([&] { return client.ended > 0; });
        return client.status;
    }
    std::string stored(uint64_t offset, size_t bytes) const {
        std::ifstream file(disk_, std::ios::binary);
        std::string text(bytes, '?');
        file.seekg(static_cast<std::streamoff>(offset));
        file.read(text.data(), static_cast<std::streamsize>(bytes));
        return text;
    }

    void connection_lost(const std::string& reason) override {
        losses_.push_back(reason);
        if (on_loss_) on_loss_();
    }
    void writes_settled(bool at_risk) override { settled_.push_back(at_risk); }

    std::unique_ptr<Tgtd> target_;
    std::string disk_;
    std::vector<std::unique_ptr<IscsiDevice>> devices_;
    std::vector<std::string> losses_;
    std::function<void()> on_loss_;
    std::vector<bool> settled_;
};

/// With short times, for targets that misbehave.
class HastyIscsiTest : public IscsiTest {
  protected:
    IscsiOptions impatient(Duration io_timeout = 100ms) const {
        IscsiOptions hasty = options(uri());
        hasty.connect_timeout = 500ms;
        hasty.io_timeout = io_timeout;
        hasty.task_management_timeout = 300ms;
        hasty.keepalive = 10s;
        hasty.resend_quiesce = 20s;
        return hasty;
    }
    /// Waits until `client` has ended and says how long that took.
    Duration ended_after(Client& client, Instant since) {
        turn_until([&] { return client.ended > 0; });
        return monotonic_now() - since;
    }
};

}  // namespace braidway::path
