// SPDX-License-Identifier: Apache-2.0
// A hardware handler over a scripted array, in virtual time.
#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "multipath/handler_table.h"
#include "multipath/hardware_handler.h"
#include "sim/scsi_responder.h"

namespace braidway::multipath {

/// Owns a handler, sends its commands to an array, and writes down what it says.
class HandlerDriver {
  public:
    struct Activated {
        DeviceId device;
        HandlerResult result;
        friend bool operator==(const Activated&, const Activated&) = default;
    };
    struct Place {
        uint8_t port;
        uint8_t lun;
    };

    HandlerDriver(std::string_view handler, sim::ScsiResponder& array)
        : handler_(*make_handler(handler)), array_(array) {}

    HardwareHandler& operator*() { return *handler_; }
    HardwareHandler* operator->() { return handler_.get(); }

    /// Attaches the LUN as seen at the port, and lets the handler learn its state.
    DeviceId attach(uint8_t port, uint8_t lun = 0) {
        const DeviceId device = add(port, lun);
        run();
        return device;
    }
    /// The same without running.
    DeviceId add(uint8_t port, uint8_t lun = 0) {
        const auto device = static_cast<DeviceId>(places.size());
        places.push_back({port, lun});
        const auto attached = handler_->attach(device, identity(port, lun), now);
        EXPECT_TRUE(attached) << attached.error().message;
        return device;
    }
    DeviceIdentity identity(uint8_t port, uint8_t lun) {
        const auto inquiry = array_.respond(
            port, lun, wire::inquiry_cdb(wire::scsi::inquiry_bytes_max).view(), {}, 252, now);
        const auto page = array_.respond(port, lun, wire::vpd_cdb(0x83, 252).view(), {}, 252, now);
        return *identify_device(inquiry.data_in, page.data_in);
    }

    /// Takes all actions; commands go to `commands`.
    void drain() {
        HandlerAction action;
        while (handler_->next_action(action)) {
            switch (action.kind) {
                case HandlerAction::Kind::send_command:
                    EXPECT_EQ(action.command.device, action.device);
                    commands.push_back(std::move(action.command));
                    ++sent;
                    break;
                case HandlerAction::Kind::arm_timer:
                    deadline = action.deadline;
                    break;
                case HandlerAction::Kind::activated:
                    activated.push_back({action.device, action.result});
                    break;
                case HandlerAction::Kind::admission_changed:
                    admissions.emplace_back(action.device, action.admits);
                    EXPECT_EQ(handler_->admits(action.device, {}), action.admits);
                    break;
            }
        }
    }
    /// Sends the oldest command to the array and hands its answer back.
    void answer_one() {
        const ScsiCommand command = std::move(commands.front());
        commands.pop_front();
        const Place place = places[command.device];
        const sim::ScsiReply reply = array_.respond(place.port, place.lun, command.cdb.view(),
                                                    command.data_out, command.data_in_bytes, now);
        answer(command, reply.answer());
    }
    void answer(const ScsiCommand& command, const wire::ScsiAnswer& answer) {
        handler_->answered(command.device, command.tag, answer, now);
        drain();
    }
    /// Goes on until the handler wants nothing more. Fails when that takes too many steps.
    void run() {
        drain();
        for (unsigned steps = 0; steps < 20000; ++steps) {
            if (!commands.empty()) {
                answer_one();
            } else if (deadline != never) {
                ring();
            } else {
                return;
            }
        }
        ADD_FAILURE() << "the handler does not come to rest";
    }
    /// Lets time pass until the timer.
    void ring() {
        now = std::max(now, std::exchange(deadline, never));
        handler_->timer(now);
        drain();
    }
    /// Activates one device and says how that ended.
    HandlerResult activate(DeviceId device) {
        activated.clear();
        handler_->activate(device, now);
        run();
        EXPECT_EQ(activated.size(), 1u);
        return activated.empty() ? HandlerResult::no_memory : activated.front().result;
    }
    bool admits(DeviceId device) const { return handler_->admits(device, {}); }
    SenseVerdict check_sense(DeviceId device, uint8_t key, uint8_t asc, uint8_t ascq) {
        const SenseVerdict verdict =
            handler_->check_sense(device, {.key = key, .asc = asc, .ascq = ascq}, now);
        drain();
        return verdict;
    }

    Instant now{1'000'000'000};
    Instant deadline = never;
    uint32_t sent = 0;
    std::vector<Place> places;
    std::deque<ScsiCommand> commands;
    std::vector<Activated> activated;
    std::vector<std::pair<DeviceId, bool>> admissions;

  private:
    std::unique_ptr<HardwareHandler> handler_;
    sim::ScsiResponder& array_;
};

/// One row of a handler's table of sense data.
struct SenseRow {
    uint8_t key;
    uint8_t asc;
    uint8_t ascq;
    SenseVerdict::Kind kind;
    IoStatus status;
};

inline void PrintTo(HandlerResult result, std::ostream* out) {
    *out << handler_result_name(result);
}

}  // namespace braidway::multipath
