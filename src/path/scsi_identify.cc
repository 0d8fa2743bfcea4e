// SPDX-License-Identifier: Apache-2.0
#include "path/scsi_identify.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "wire/scsi_inquiry.h"

namespace braidway::path {
namespace {

using namespace wire::scsi;

constexpr uint16_t page_room = inquiry_bytes_max;
/// Of page 0x83; each port and target adds some designators.
constexpr size_t page_room_max = limits::scsi_names_page_bytes_max;

constexpr uint8_t type_disk = 0x00;
constexpr uint8_t type_simple_disk = 0x0e;
constexpr uint8_t type_none = 0x1f;

/// Some hosts count the room as received: the page itself says where it ends.
std::vector<std::byte> without_rest(std::vector<std::byte> page) {
    page.resize(std::min(page.size(), std::max(wire::vpd_bytes_wanted(page), vpd_header_bytes)));
    return page;
}

}  // namespace

ScsiIdentify::~ScsiIdentify() {
    CHECK(!busy(), "who asks waits for the answer");
}

void ScsiIdentify::start(ScsiChannel& channel, Done done, Duration timeout) {
    CHECK(!busy(), "one question at a time");
    channel_ = &channel;
    done_ = std::move(done);
    timeout_ = timeout;
    found_ = {};
    ask(Step::inquiry, page_room);
}

void ScsiIdentify::ask(Step step, uint16_t room) {
    step_ = step;
    room_ = room;
    tries_ = 0;
    if (step == Step::inquiry)
        cdb_ = wire::inquiry_cdb(room);
    else
        cdb_ = wire::vpd_cdb(
            step == Step::identification ? page_device_identification : page_serial_number, room);
    send();
}

void ScsiIdentify::send() {
    ++tries_;
    task_ = {.cdb = cdb_, .data_in_bytes = room_, .timeout = timeout_};
    task_.owner = this;
    task_.done = [](ScsiTask& task) { static_cast<ScsiIdentify*>(task.owner)->answered(); };
    channel_->execute(task_);
}

void ScsiIdentify::answered() {
    const wire::ScsiAnswer answer{task_.transport, task_.status, task_.sense, task_.data_in};
    const wire::ScsiOutcome outcome = wire::classify(answer);
    if (outcome.status == IoStatus::ok) return take(std::move(task_.data_in));
    if (outcome.retry == wire::ScsiRetry::now && tries_ < tries_max) return send();
    // A page that a device does not have is refused; the other one may do.
    const bool refused = answer.transport == wire::ScsiTransport::answered && outcome.sense &&
                         outcome.sense->key == key_illegal_request;
    if (refused && step_ != Step::inquiry) return take({});
    end(fail(fmt::format("{}: {}", wire::cdb_text(cdb_), wire::scsi_answer_text(answer))));
}

void ScsiIdentify::take(std::vector<std::byte> page) {
    switch (step_) {
        case Step::idle:
            CHECK(false, "nothing was asked");
            return;
        case Step::inquiry: {
            const auto inquiry = wire::parse_inquiry(page);
            if (inquiry && (inquiry->qualifier != 0 || inquiry->device_type == type_none))
                return end(fail("there is no LUN; check its number and that the array shows it"));
            if (inquiry && inquiry->device_type != type_disk &&
                inquiry->device_type != type_simple_disk)
                return end(
                    fail(fmt::format("the LUN is no disk (device type {})", inquiry->device_type)));
            found_.inquiry = std::move(page);
            return ask(Step::identification, page_room);
        }
        case Step::identification: {
            const size_t wanted = std::min(wire::vpd_bytes_wanted(page), page_room_max);
            if (wanted > room_) return ask(Step::identification, static_cast<uint16_t>(wanted));
            found_.identification = without_rest(std::move(page));
            return ask(Step::serial_number, page_room);
        }
        case Step::serial_number: {
            found_.serial_number = without_rest(std::move(page));
            auto unit =
                wire::parse_unit({found_.inquiry, found_.identification, found_.serial_number});
            if (!unit) return end(std::unexpected(unit.error()));
            found_.unit = std::move(*unit);
            return end(std::move(found_));
        }
    }
}

/// `done` may start the next question.
void ScsiIdentify::end(Result<ScsiSelfPortrait> result) {
    step_ = Step::idle;
    const Done done = std::exchange(done_, nullptr);
    done(std::move(result));
}

}  // namespace braidway::path
