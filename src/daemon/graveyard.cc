// SPDX-License-Identifier: Apache-2.0
#include "daemon/graveyard.h"

#include <algorithm>

#include "base/limits.h"

namespace braidway::daemon {

void Graveyard::bury(std::unique_ptr<PathUnit> unit, std::unique_ptr<monitor::Checker> checker) {
    unit->leave();
    const Instant retire_by = unit->now() + limits::leaving_path_patience;
    graves_.push_back({nullptr, std::move(unit), std::move(checker), retire_by, false});
    retire(graves_.back());
}

void Graveyard::bury(std::unique_ptr<path::FabricDevice> device) {
    device->set_listener(nullptr);
    device->disconnect();
    graves_.push_back({std::move(device), nullptr, nullptr, {}});
}

void Graveyard::bury(std::unique_ptr<map::HandlerDriver> handler) {
    handlers_.push_back(std::move(handler));
}

bool Graveyard::quiet(const Grave& grave) const {
    if (grave.device != nullptr) return grave.device->quiet();
    if (!grave.retired) return false;
    path::ScsiChannel* const channel = grave.unit->channel();
    return grave.unit->quiet() && (grave.checker == nullptr || grave.checker->quiet()) &&
           (channel == nullptr || std::ranges::all_of(handlers_, [&](const auto& handler) {
                return handler->quiet(*channel);
            }));
}

void Graveyard::retire(Grave& grave) {
    if (grave.retired || !(grave.unit->path().quiet() || grave.unit->now() >= grave.retire_by))
        return;
    grave.retired = true;
    grave.unit->retire();
}

bool Graveyard::sweep() {
    for (Grave& grave : graves_) retire(grave);
    std::erase_if(graves_, [this](const Grave& grave) { return quiet(grave); });
    std::erase_if(handlers_, [](const auto& handler) { return handler->quiet(); });
    return size() == 0;
}

}  // namespace braidway::daemon
