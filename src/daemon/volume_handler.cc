// SPDX-License-Identifier: Apache-2.0
#include "daemon/volume_handler.h"

#include <fmt/format.h>

#include <algorithm>

#include "multipath/handler_table.h"

namespace braidway::daemon {

multipath::HandlerSpec choose_handler(const HandlerConfig& config,
                                      const std::vector<PathUnit*>& units,
                                      const multipath::HandlerSpec& now) {
    if (!config.automatic) return {config.name, config.words};
    if (!now.name.empty()) return {now.name, {}};
    for (const PathUnit* unit : units) {
        if (!unit->works() || unit->finding().inquiry.empty()) continue;
        const auto identity =
            multipath::identify_device(unit->finding().inquiry, unit->finding().identification);
        if (identity) return {std::string(multipath::handler_for(*identity)), {}};
    }
    return {};
}

std::optional<wire::ScsiOutcome> outcome_of(const multipath::SenseVerdict& verdict,
                                            const wire::ScsiSense& sense) {
    using Kind = multipath::SenseVerdict::Kind;
    switch (verdict.kind) {
        case Kind::not_handled:
            return std::nullopt;
        case Kind::retry_now:
            return wire::ScsiOutcome{.status = IoStatus::io,
                                     .retry = wire::ScsiRetry::now,
                                     .fate = wire::ScsiFate::not_executed,
                                     .sense = sense};
        case Kind::requeue:
            return wire::ScsiOutcome{.status = IoStatus::device_resource,
                                     .retry = wire::ScsiRetry::later,
                                     .fate = wire::ScsiFate::not_executed,
                                     .sense = sense};
        case Kind::fail_path:
        case Kind::fail_io:
            return wire::ScsiOutcome{.status = verdict.status, .sense = sense};
    }
    return std::nullopt;
}

VolumeHandler::VolumeHandler(loop::Loop& loop, map::MapDevice& map, multipath::HandlerSpec spec)
    : spec_(std::move(spec)) {
    auto handler = multipath::make_handler(spec_.name);
    CHECK(handler.has_value(), "the configuration names handlers that there are");
    driver_ = std::make_unique<map::HandlerDriver>(loop, map, std::move(*handler));
    set_words(spec_.parameters);
}

VolumeHandler::~VolumeHandler() {
    CHECK(driver_ == nullptr, "a handler lets go of its paths before it goes");
}

void VolumeHandler::set_words(const std::vector<std::string>& words) {
    const bool same = words == spec_.parameters;
    if (same && words.empty()) return;
    const auto taken = driver_->set_parameters(words);
    CHECK(taken.has_value(), "the configuration has shown the words to the handler");
    spec_.parameters = words;
}

VolumeHandler::Place* VolumeHandler::find(const PathUnit& unit) {
    const auto found = std::ranges::find(places_, &unit, &Place::unit);
    return found == places_.end() ? nullptr : &*found;
}

const VolumeHandler::Place* VolumeHandler::find(const PathUnit& unit) const {
    const auto found = std::ranges::find(places_, &unit, &Place::unit);
    return found == places_.end() ? nullptr : &*found;
}

void VolumeHandler::attach(PathUnit& unit) {
    const path::FabricFinding& found = unit.finding();
    Place* place = find(unit);
    if (place != nullptr && driver_->attached(unit.path()) && place->inquiry == found.inquiry &&
        place->identification == found.identification) {
        driver_->rescan(unit.path());
        return;
    }
    // Behind another port of the array it is another device to the handler.
    detach(unit);
    place = &places_.emplace_back(Place{&unit, {}, found.inquiry, found.identification});
    if (auto given = give(unit); !given) {
        place->remark = std::move(given.error().message);
        driver_->let_pass(unit.path());
        return;
    }
    unit.set_sense_reader([this, &unit](const wire::ScsiSense& sense) {
        return outcome_of(driver_->check_sense(unit.path(), sense), sense);
    });
}

Result<void> VolumeHandler::give(PathUnit& unit) {
    path::ScsiChannel* const channel = unit.channel();
    if (channel == nullptr || unit.finding().inquiry.empty())
        return fail("its device takes no SCSI commands");
    auto identity =
        multipath::identify_device(unit.finding().inquiry, unit.finding().identification);
    if (!identity) return std::unexpected(identity.error());
    return driver_->attach(unit.path(), *channel, *identity);
}

void VolumeHandler::detach(PathUnit& unit) {
    unit.set_sense_reader({});
    driver_->detach(unit.path());
    std::erase_if(places_, [&](const Place& place) { return place.unit == &unit; });
}

void VolumeHandler::observed(PathUnit& unit, bool takes_io) {
    if (driver_->attached(unit.path()) && driver_->admits(unit.path()) != takes_io)
        driver_->rescan(unit.path());
}

std::unique_ptr<map::HandlerDriver> VolumeHandler::let_go() {
    for (const Place& place : places_) place.unit->set_sense_reader({});
    places_.clear();
    driver_->let_go();
    return std::move(driver_);
}

std::string VolumeHandler::status_text(const PathUnit& unit) const {
    return driver_->status_text(unit.path());
}

std::string VolumeHandler::remark(const PathUnit& unit) const {
    const Place* place = find(unit);
    return place == nullptr ? std::string() : place->remark;
}

}  // namespace braidway::daemon
