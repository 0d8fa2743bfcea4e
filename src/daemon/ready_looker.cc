// SPDX-License-Identifier: Apache-2.0
#include "daemon/ready_looker.h"

#include <fmt/format.h>

#include <utility>

#include "base/units.h"
#include "multipath/handler_table.h"

namespace braidway::daemon {

using monitor::CheckState;
using monitor::Sight;

ReadyLooker::ReadyLooker(loop::Loop& loop, PathUnit& unit, HandlerName handler, Observed observed)
    : loop_(loop), unit_(unit), handler_(std::move(handler)), observed_(std::move(observed)) {
}

ReadyLooker::~ReadyLooker() {
    CHECK(done_ == nullptr, "a look has ended before its checker goes");
}

bool ReadyLooker::able() const {
    if (unit_.channel() == nullptr) return false;
    return unit_.checker() == CheckConfig::Checker::tur ||
           (unit_.checker() == CheckConfig::Checker::automatic && !handler_().empty());
}

void ReadyLooker::look(Done done) {
    done_ = std::move(done);
    tries_ = 0;
    begun_ = loop_.now();
    send();
}

void ReadyLooker::send() {
    ++tries_;
    task_ = {.cdb = wire::test_unit_ready_cdb(), .timeout = unit_.config().check.timeout};
    task_.owner = this;
    task_.done = [](path::ScsiTask& task) { static_cast<ReadyLooker*>(task.owner)->answered(); };
    unit_.channel()->execute(task_);
}

void ReadyLooker::answered() {
    if (abandoned_) return std::exchange(done_, nullptr)({});
    const wire::ScsiAnswer answer{task_.transport, task_.status, task_.sense, task_.data_in};
    const wire::ScsiOutcome outcome = wire::classify(answer);
    if (outcome.sense && unit_.sense_reader()) (void)unit_.sense_reader()(*outcome.sense);
    if (outcome.retry == wire::ScsiRetry::now && tries_ < tries_max && unit_.channel() != nullptr)
        return send();
    Sight sight = sight_of(answer, outcome);
    const Done done = std::exchange(done_, nullptr);
    if (sight.state == CheckState::ready || sight.state == CheckState::ghost)
        observed_(sight.state == CheckState::ready);
    done(std::move(sight));
}

Sight ReadyLooker::sight_of(const wire::ScsiAnswer& answer,
                            const wire::ScsiOutcome& outcome) const {
    const auto says = [&](CheckState state, std::string_view what) {
        return Sight{state,
                     fmt::format("TEST UNIT READY: {}{}", wire::scsi_answer_text(answer), what)};
    };
    if (outcome.status == IoStatus::ok)
        return {CheckState::ready,
                fmt::format("TEST UNIT READY: {}", format_duration(loop_.now() - begun_))};
    if (outcome.status == IoStatus::reservation_conflict)
        return says(CheckState::ready, ", another host has reserved it");
    if (!outcome.sense) return says(CheckState::faulty, "");
    if (multipath::waits_for_activation(handler_(), *outcome.sense))
        return says(CheckState::ghost, ", it serves no I/O until it is activated");
    const bool in_transition = (outcome.sense->key == wire::scsi::key_not_ready ||
                                outcome.sense->key == wire::scsi::key_unit_attention) &&
                               outcome.sense->asc == 0x04 && outcome.sense->ascq == 0x0a;
    if (in_transition) return says(CheckState::unchecked, ", its state is changing");
    return says(CheckState::faulty, "");
}

}  // namespace braidway::daemon
