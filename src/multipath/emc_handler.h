// SPDX-License-Identifier: Apache-2.0
// Hardware handler for CLARiiON arrays in Linux failover mode: one service processor owns a LUN, a
// trespass moves it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "multipath/handler_desk.h"
#include "multipath/hardware_handler.h"
#include "wire/scsi_vendor_pages.h"

namespace braidway::multipath {

/// The handler `emc`.
///
/// activate: reads inquiry page 0xC0. Owned by the path's service processor: done. Else it sends a
///           trespass (MODE SELECT of page 0x22) and reads the page again. device_busy while a
///           firmware upgrade or an array copy runs; device_failed when the array refuses; retry
///           when the trespass was accepted but the LUN is still not owned.
/// admits:   only while the LUN is known to be owned.
/// Words:    none, or `SHORT HONOR`, each 0 or 1: the short trespass page, and whether a LUN that
///           another host has reserved stays where it is. Without words the page is short for
///           arrays of the FC series, and reservations are not honoured, as in the kernel. New
///           words trespass owned LUNs at once.
/// Source:   behaviour of the Linux scsi_dh_emc handler, restated.
class EmcHandler final : public HardwareHandler {
  public:
    std::string_view name() const override { return "emc"; }
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
    /// What a device is doing.
    enum class Step : uint8_t {
        idle,
        asking,        ///< Inquiry before anything else.
        trespassing,   ///< MODE SELECT is under way.
        asking_again,  ///< Inquiry after the trespass.
    };
    struct Device {
        DeviceId id = 0;
        Step step = Step::idle;
        unsigned retries_left = 0;
        uint32_t activations = 0;    ///< Not yet answered.
        bool trespass_next = false;  ///< New parameters, while it was busy.
        bool owned = false;
        bool old_array = false;  ///< FC series: knows only the short page.
        std::optional<wire::ClariionUnit> unit;
        uint64_t tag = 0;
    };

    void ask(Device& device, Step step, Instant now);
    void trespass(Device& device, Instant now);
    void send_inquiry(Device& device, Instant now, Duration delay);
    void send_trespass(Device& device, Instant now, Duration delay);
    void take_answer(Device& device, const wire::ScsiAnswer& answer, Instant now);
    bool try_again(Device& device, const wire::ScsiOutcome& outcome, Instant now);
    void inquiry_answered(Device& device, const wire::ScsiAnswer& answer, Instant now);
    void trespass_answered(Device& device, const wire::ScsiAnswer& answer, Instant now);
    void finish(Device& device, HandlerResult result, Instant now);
    void set_owned(Device& device, bool owned);
    bool short_page(const Device& device) const;

    HandlerDesk desk_;
    DeviceTable<Device> devices_;
    std::optional<bool> short_parameter_;
    bool honor_reservations_ = false;
};

}  // namespace braidway::multipath
