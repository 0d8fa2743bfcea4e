// SPDX-License-Identifier: Apache-2.0
// Hardware handler for old HP, Compaq and DEC arrays: START STOP UNIT moves a LUN.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "multipath/handler_desk.h"
#include "multipath/hardware_handler.h"

namespace braidway::multipath {

/// The handler `hp_sw`.
///
/// activate: TEST UNIT READY. Good: the path is active. 02/04/02: it is passive, and START STOP
/// UNIT
///           makes it active; 02/04/03 (the switch-over is under way) is tried three times more,
///           then retry. Unit attentions are tried again; retry_now when they do not end.
/// admits:   only while the path is known to be active. A successful START makes it so at once.
/// Words:    none.
/// Source:   behaviour of the Linux scsi_dh_hp_sw handler, restated.
class HpSwHandler final : public HardwareHandler {
  public:
    std::string_view name() const override { return "hp_sw"; }
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
    enum class Step : uint8_t { idle, testing, starting };
    enum class State : uint8_t { unknown, active, passive };
    struct Device {
        DeviceId id = 0;
        Step step = Step::idle;
        State state = State::unknown;
        unsigned retries_left = 0;
        uint32_t activations = 0;  ///< Not yet answered.
        uint64_t tag = 0;
    };

    void begin(Device& device, Step step, Instant now);
    void send(Device& device, Instant now, Duration delay);
    void take_answer(Device& device, const wire::ScsiAnswer& answer, Instant now);
    void tested(Device& device, const wire::ScsiAnswer& answer, Instant now);
    void started(Device& device, const wire::ScsiAnswer& answer, Instant now);
    bool try_again(Device& device, Duration pause, Instant now);
    void finish(Device& device, HandlerResult result);
    void set_state(Device& device, State state);

    HandlerDesk desk_;
    DeviceTable<Device> devices_;
};

}  // namespace braidway::multipath
