// SPDX-License-Identifier: Apache-2.0
#include "daemon/graveyard.h"

#include <algorithm>

namespace braidway::daemon {

void Graveyard::bury(std::unique_ptr<PathUnit> unit, std::unique_ptr<monitor::Checker> checker) {
    unit->retire();
    graves_.push_back({nullptr, std::move(unit), std::move(checker)});
}

void Graveyard::bury(std::unique_ptr<path::FabricDevice> device) {
    device->set_listener(nullptr);
    device->disconnect();
    graves_.push_back({std::move(device), nullptr, nullptr});
}

void Graveyard::bury(std::unique_ptr<map::HandlerDriver> handler) {
    handlers_.push_back(std::move(handler));
}

bool Graveyard::quiet(const Grave& grave) const {
    if (grave.device != nullptr) return grave.device->quiet();
    path::ScsiChannel* const channel = grave.unit->channel();
    return grave.unit->quiet() && (grave.checker == nullptr || grave.checker->quiet()) &&
           (channel == nullptr || std::ranges::all_of(handlers_, [&](const auto& handler) {
                return handler->quiet(*channel);
            }));
}

bool Graveyard::sweep() {
    std::erase_if(graves_, [this](const Grave& grave) { return quiet(grave); });
    std::erase_if(handlers_, [](const auto& handler) { return handler->quiet(); });
    return size() == 0;
}

}  // namespace braidway::daemon
