// SPDX-License-Identifier: Apache-2.0
// Hardware handler for RDAC arrays (LSI/Engenio and its many names): two controllers, each LUN
// owned by one, moved by MODE SELECT.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "multipath/handler_desk.h"
#include "multipath/hardware_handler.h"
#include "wire/scsi_vendor_pages.h"

namespace braidway::multipath {

/// The handler `rdac`.
///
/// activate: reads inquiry page 0xC9. In RDAC mode a LUN that this controller does not own is
///           moved; in IOSHIP mode only when this controller is the preferred one, too; in AVT mode
///           never. All LUNs that wait for one controller are moved by one MODE SELECT, (10) with
///           the expanded page when the firmware serves 32 LUNs or more, else (6). Five retries;
///           tries that meet the array's command lock (05/91/36) are not counted but end after two
///           minutes.
/// admits:   unless the mode is RDAC and the controller is known not to own the LUN.
/// Words:    none.
/// Source:   behaviour of the Linux scsi_dh_rdac handler, restated.
class RdacHandler final : public HardwareHandler {
  public:
    std::string_view name() const override { return "rdac"; }
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
    /// What a device is doing. The pages are asked for in this order, each but the access page
    /// once.
    enum class Step : uint8_t {
        idle,
        volume,     ///< Page 0xC8: LUN and array.
        subsystem,  ///< Page 0xC4: which controller.
        software,   ///< Page 0xC2: which MODE SELECT.
        access,     ///< Page 0xC9: who owns it.
        moving,     ///< Waits for a MODE SELECT, or is in one.
    };
    /// One controller of one array; its devices share MODE SELECTs.
    struct Controller {
        std::vector<DeviceId> waiting;  ///< For the next MODE SELECT.
        std::vector<DeviceId> moving;   ///< In the one under way; the first carries it.
        uint64_t tag = 0;               ///< Of the MODE SELECT.
        uint64_t gather_tag = 0;        ///< Of the alarm that ends waiting for more LUNs.
        unsigned reading = 0;           ///< Devices to activate that read their access page.
        unsigned retries_left = 0;
        Instant contention_until;
        bool expanded = false;
    };
    struct Device {
        DeviceId id = 0;
        Step step = Step::idle;
        uint64_t tag = 0;
        unsigned retries_left = 0;
        uint32_t activations = 0;  ///< Not yet answered.
        bool counted = false;      ///< In its controller's `reading`.
        std::optional<wire::RdacVolume> volume;
        std::optional<unsigned> slot;
        std::optional<bool> expanded;
        std::optional<wire::RdacAccess> access;
        Controller* controller = nullptr;  ///< Once everything but the access page is known.
        bool active = true;
    };

    // One device; the pages.
    void begin(Device& device, Instant now);
    void ask(Device& device, Step step, Instant now);
    void send_inquiry(Device& device, Instant now, Duration delay);
    void page_answered(Device& device, const wire::ScsiAnswer& answer, Instant now);
    bool take_page(Device& device, std::span<const std::byte> data);
    void access_known(Device& device, Instant now);
    void count_reading(Device& device, bool counted);
    void finish(Device& device, HandlerResult result);
    void set_active(Device& device, bool active);

    // One controller; moving LUNs.
    void join_controller(Device& device);
    void gather(Controller& controller, Instant now);
    void move(Controller& controller, Instant now);
    void send_move(Controller& controller, Instant now, Duration delay);
    void moved(Controller& controller, const wire::ScsiAnswer& answer, Instant now);
    bool try_again(Controller& controller, const wire::ScsiAnswer& answer, Instant now);
    void end_move(Controller& controller, HandlerResult result, Instant now);
    void leave_controller(Device& device, Instant now);
    Controller* controller_of(uint64_t tag);

    HandlerDesk desk_;
    DeviceTable<Device> devices_;
    /// By the array's identity and the controller's slot.
    std::map<std::pair<std::vector<std::byte>, unsigned>, Controller> controllers_;
};

}  // namespace braidway::multipath
