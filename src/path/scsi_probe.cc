// SPDX-License-Identifier: Apache-2.0
#include "path/scsi_probe.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/limits.h"
#include "wire/scsi_block_commands.h"
#include "wire/scsi_inquiry.h"

namespace braidway::path {
namespace {

using namespace wire::scsi;

/// A device reports one event after the other; more than this is a fault.
constexpr unsigned attentions_max = limits::scsi_attentions_max;
constexpr uint16_t page_bytes_max = limits::scsi_page_bytes_max;
constexpr uint32_t luns_bytes = 8 + 8 * 256;
constexpr uint8_t mode_page_caching = 0x08;
constexpr uint8_t mode_write_protect = 0x80;
constexpr uint8_t mode_dpo_fua = 0x10;
constexpr uint8_t type_disk = 0x00;

std::string text_of(const ScsiTask& task) {
    return wire::scsi_answer_text(
        {.transport = task.transport, .status = task.status, .sense = task.sense});
}

}  // namespace

ScsiProbe::ScsiProbe(ScsiChannel& channel) : channel_(channel) {
    task_.owner = this;
    task_.done = [](ScsiTask& task) { static_cast<ScsiProbe*>(task.owner)->answered(); };
}

ScsiProbe::~ScsiProbe() {
    CHECK(!busy(), "a probe has ended before it goes");
}

void ScsiProbe::start(Duration timeout, Done done) {
    CHECK(!busy(), "one probe at a time");
    done_ = std::move(done);
    cancelled_ = false;
    timeout_ = timeout;
    attentions_ = 0;
    begin();
}

void ScsiProbe::begin() {
    finding_ = {};
    capacity_16_.clear();
    capacity_10_.clear();
    pages_.clear();
    for (const uint8_t number : {page_device_identification, page_serial_number, page_block_limits,
                                 page_characteristics, page_provisioning})
        pages_.push_back({.number = number, .data = {}});
    ask(Step::inquiry, wire::inquiry_cdb(inquiry_bytes_max), inquiry_bytes_max);
}

void ScsiProbe::ask(Step step, const wire::Cdb& cdb, uint32_t data_in_bytes) {
    step_ = step;
    task_.cdb = cdb;
    task_.data_in_bytes = data_in_bytes;
    task_.timeout = timeout_;
    task_.asks_who = true;
    channel_.execute(task_);
}

void ScsiProbe::end(Result<ScsiFinding> result) {
    const Done done = std::exchange(done_, nullptr);
    if (!cancelled_) done(std::move(result));
}

void ScsiProbe::answered() {
    if (cancelled_) return end(fail("cancelled", ECANCELED));
    const wire::ScsiOutcome outcome = wire::classify(
        {.transport = task_.transport, .status = task_.status, .sense = task_.sense});
    if (task_.transport != wire::ScsiTransport::answered)
        return end(fail(fmt::format("{}: {}", wire::cdb_text(task_.cdb), text_of(task_)), EIO));
    // What it has said of itself is another unit's then.
    if (step_ > Step::ready && outcome.retry == wire::ScsiRetry::now && outcome.sense &&
        wire::tells_of_another_unit(*outcome.sense) && ++attentions_ <= attentions_max)
        return begin();
    if (outcome.retry == wire::ScsiRetry::now && step_ != Step::ready &&
        ++attentions_ <= attentions_max)
        return ask(step_, task_.cdb, task_.data_in_bytes);
    const bool good = outcome.status == IoStatus::ok;
    if (!good) task_.data_in.clear();
    switch (step_) {
        case Step::inquiry:
            if (!good) return end(fail("inquiry: " + text_of(task_), EIO));
            return take_inquiry();
        case Step::luns: {
            std::string there;
            for (const uint16_t lun :
                 wire::parse_luns(task_.data_in).value_or(std::vector<uint16_t>{}))
                there += fmt::format("{}{}", there.empty() ? "" : ", ", lun);
            return end(fail(there.empty() ? "the target has no such LUN"
                                          : "the target has no such LUN; it has " + there,
                            ENODEV));
        }
        case Step::ready:
            return take_ready(outcome);
        case Step::supported_pages:
            return take_supported_pages();
        case Step::pages:
            return take_page();
        case Step::capacity_16:
            capacity_16_ = task_.data_in;
            if (good)
                return ask(Step::mode, wire::mode_sense_6_cdb(mode_page_caching, 0, 192), 192);
            return ask(Step::capacity_10, wire::read_capacity_10_cdb(), 8);
        case Step::capacity_10:
            capacity_10_ = task_.data_in;
            return ask(Step::mode, wire::mode_sense_6_cdb(mode_page_caching, 0, 192), 192);
        case Step::mode:
            return take_mode();
    }
}

void ScsiProbe::take_inquiry() {
    const auto inquiry = wire::parse_inquiry(task_.data_in);
    if (!inquiry) return end(fail("the inquiry data are too short", EPROTO));
    if (inquiry->qualifier != 0)
        return ask(Step::luns, wire::report_luns_cdb(luns_bytes), luns_bytes);
    if (inquiry->device_type != type_disk)
        return end(fail(
            fmt::format("the LUN is no disk but a device of type {:#04x}", inquiry->device_type),
            ENODEV));
    finding_.inquiry = task_.data_in;
    ask(Step::ready, wire::test_unit_ready_cdb(), 0);
}

void ScsiProbe::take_ready(const wire::ScsiOutcome& outcome) {
    const bool attention = outcome.retry == wire::ScsiRetry::now;
    if (attention && ++attentions_ <= attentions_max)
        return ask(Step::ready, wire::test_unit_ready_cdb(), 0);
    // A reserved unit is ready; a passive path of an active/passive array is not, but is worth
    // having: its handler makes it ready.
    const bool usable =
        outcome.status == IoStatus::ok || outcome.status == IoStatus::reservation_conflict ||
        (outcome.sense && outcome.sense->key == key_not_ready && outcome.sense->asc == 0x04);
    if (!usable) return end(fail("the unit is not ready: " + text_of(task_), EIO));
    ask(Step::supported_pages, wire::vpd_cdb(page_supported, inquiry_bytes_max), inquiry_bytes_max);
}

void ScsiProbe::take_supported_pages() {
    const auto numbers = wire::vpd_contents(task_.data_in, page_supported);
    for (Page& one : pages_)
        one.supported =
            numbers && std::ranges::find(*numbers, std::byte{one.number}) != numbers->end();
    // Old arrays answer these pages without listing them.
    if (!numbers) pages_[0].supported = pages_[1].supported = true;
    page_at_ = 0;
    ask_next_page();
}

void ScsiProbe::ask_next_page() {
    while (page_at_ < pages_.size() && !pages_[page_at_].supported) ++page_at_;
    if (page_at_ == pages_.size()) return ask(Step::capacity_16, wire::read_capacity_16_cdb(), 32);
    ask(Step::pages, wire::vpd_cdb(pages_[page_at_].number, inquiry_bytes_max), inquiry_bytes_max);
}

void ScsiProbe::take_page() {
    const size_t wanted = wire::vpd_bytes_wanted(task_.data_in);
    if (wanted > task_.data_in.size() && task_.data_in_bytes < page_bytes_max)
        return ask(Step::pages, wire::vpd_cdb(pages_[page_at_].number, page_bytes_max),
                   page_bytes_max);
    pages_[page_at_++].data = task_.data_in;
    ask_next_page();
}

void ScsiProbe::take_mode() {
    // The header: length, medium type, device-specific parameter, ...
    const uint8_t parameter = byte_at(task_.data_in, 2);
    finding_.disk.read_only = (parameter & mode_write_protect) != 0;
    finding_.disk.can_fua = (parameter & mode_dpo_fua) != 0;
    conclude();
}

std::vector<std::byte>& ScsiProbe::page(uint8_t number) {
    return std::ranges::find(pages_, number, &Page::number)->data;
}

void ScsiProbe::conclude() {
    auto limits = wire::parse_limits({.capacity_16 = capacity_16_,
                                      .capacity_10 = capacity_10_,
                                      .block_limits = page(page_block_limits),
                                      .characteristics = page(page_characteristics),
                                      .provisioning = page(page_provisioning)});
    if (!limits) return end(std::unexpected(limits.error()));
    finding_.disk.limits = *limits;
    finding_.identification = page(page_device_identification);
    auto unit = wire::parse_unit({.inquiry = finding_.inquiry,
                                  .identification = finding_.identification,
                                  .serial_number = page(page_serial_number)});
    if (!unit) return end(std::unexpected(unit.error()));
    finding_.unit = std::move(*unit);
    end(std::move(finding_));
}

}  // namespace braidway::path
