// SPDX-License-Identifier: Apache-2.0
// Hardware handler for arrays with asymmetric logical unit access: target ports come in groups, and
// each group has an access state.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "multipath/handler_desk.h"
#include "multipath/hardware_handler.h"
#include "wire/scsi_port_groups.h"

namespace braidway::multipath {

/// The handler `alua`.
///
/// activate: reads the states of all groups (REPORT TARGET PORT GROUPS) through one device of the
///           path's group, then, when the device lets hosts decide (explicit), asks for the group
///           to become optimized (SET TARGET PORT GROUPS) unless it is good as it is, and reads
///           again. Other groups of the LUN that wait for the same go into the same command. While
///           a group is in transition it is asked every two seconds, TEST UNIT READY first, until
///           the transition time has passed: then it counts as standby and the answer is io.
/// admits:   optimized, non-optimized, LBA-dependent and transitioning; everything before the first
///           report.
/// Words:    none, or `0`, or `1` = optimize_stpg: a non-optimized group without the preferred bit
///           stays as it is when the device also changes states by itself.
/// Shapes:   groups are shared by the devices of one LUN; what one report says counts for all.
/// Source:   behaviour of the Linux scsi_dh_alua handler, restated.
class AluaHandler final : public HardwareHandler {
  public:
    std::string_view name() const override { return "alua"; }
    Result<void> set_parameters(std::span<const std::string> words, Instant now) override;
    Result<void> attach(DeviceId id, const DeviceIdentity& identity, Instant now) override;
    void detach(DeviceId id, Instant now) override;
    bool attached(DeviceId id) const override { return devices_.find(id) != nullptr; }
    void activate(DeviceId id, Instant now) override;
    void rescan(DeviceId id, Instant now) override;
    bool admits(DeviceId id, const IoShape& io) const override;
    SenseVerdict check_sense(DeviceId id, const wire::ScsiSense& sense, Instant now) override;
    void answered(DeviceId id, uint64_t tag, const wire::ScsiAnswer& answer, Instant now) override;
    void timer(Instant now) override;
    bool next_action(HandlerAction& action) override { return desk_.next_action(action); }
    std::string status_text(DeviceId id) const override;

  private:
    using UnitId = std::vector<std::byte>;
    using GroupKey = std::pair<UnitId, uint16_t>;
    /// What a group is doing.
    enum class Step : uint8_t {
        idle,
        testing,  ///< TEST UNIT READY, whether a transition has ended.
        reading,  ///< REPORT TARGET PORT GROUPS.
        setting,  ///< SET TARGET PORT GROUPS.
    };
    /// One target port group of one LUN.
    struct Group {
        UnitId unit_id;
        uint16_t id = 0;
        // What the device says.
        uint8_t state = wire::scsi::group_optimized;
        bool preferred = false;
        uint8_t support = UINT8_MAX;  ///< Unknown = everything.
        uint8_t tpgs = 0;
        bool known = false;  ///< A report has named it.
        // What is under way.
        Step step = Step::idle;
        DeviceId carrier = 0;  ///< The device that commands go to.
        uint64_t tag = 0;
        unsigned retries_left = 0;
        unsigned carriers_left = 0;  ///< Others that may be tried when this has no connection.
        bool read_wanted = false;
        bool set_wanted = false;
        Instant run_began;
        Instant transition_end;  ///< Of this run.
        // Learnt about the device.
        Duration transition_time;
        uint32_t buffer_bytes = 0;
        bool extended_header = true;
        std::vector<DeviceId> members;
        std::vector<DeviceId> waiting;  ///< To be told how it ends; one entry per activation.
    };
    struct Device {
        Group* group = nullptr;
        std::optional<uint16_t> relative_port;
    };
    /// What SET TARGET PORT GROUPS would do for a group.
    enum class Change : uint8_t { none, send, device_decides, offline, not_understood };

    // A run: from idle until nobody waits; alua_handler.cc.
    void want_read(Group& group, DeviceId carrier, Instant now);
    void next_step(Group& group, Instant now, Duration delay);
    void begin_command(Group& group, Step step, Instant now, Duration delay);
    void send(Group& group, Instant now, Duration delay);
    bool next_carrier(Group& group);
    void take_answer(Group& group, const wire::ScsiAnswer& answer, Instant now);
    void tested(Group& group, const wire::ScsiAnswer& answer, Instant now);
    void transition_seen(Group& group, Instant now);
    void finish(Group& group, HandlerResult result, Instant now);
    Group* group_of(DeviceId id) const;

    // The reports and settings; alua_groups.cc.
    void report_answered(Group& group, const wire::ScsiAnswer& answer, Instant now);
    void report_failed(Group& group, const wire::ScsiAnswer& answer, Instant now);
    void take_report(Group& group, const wire::PortGroupReport& report);
    void judge_state(Group& group, Instant now);
    void after_report(Group& group, Instant now);
    Change change_of(const Group& group) const;
    std::vector<std::byte> settings_data(Group& group);
    void setting_answered(Group& group, const wire::ScsiAnswer& answer, Instant now);
    void set_state(Group& group, uint8_t state);

    HandlerDesk desk_;
    DeviceTable<Device> devices_;
    std::map<GroupKey, Group> groups_;
    bool optimize_ = false;
};

}  // namespace braidway::multipath
