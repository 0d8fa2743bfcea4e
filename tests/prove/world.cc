// SPDX-License-Identifier: Apache-2.0
#include "prove/world.h"

#include <algorithm>

#include "base/check.h"

namespace braidway::prove {

using multipath::Multipath;
using multipath::PathId;

World::World(const Config& config)
    : config_(&config), brain_(std::move(Multipath::create(config.spec(), Instant{1}).value())) {
    CHECK(config.path_count() <= world_paths_max && config.requests <= world_requests_max,
          "a configuration fits a world");
    hands_.up.fill(true);
    drain_actions();
}

World::World(const World& other)
    : config_(other.config_), brain_(other.brain_->clone()), hands_(other.hands_) {
}

void World::step(Move move) {
    ++hands_.now.ns;
    told_ = 0;
    orders_ = 1;
    happen(move);
    must(count(Place::in_hand) == 0, "a request is in nobody's hands");
    sort_requests();
    must(hands_.begun == hands_.ended + hands_.live, "a request was lost or doubled");
}

// --- merging ------------------------------------------------------------------------------------

/// Requests of one class are interchangeable. The path counts while the request is there (in flight
/// or fenced), and with kernel_strict in bio mode, which takes a held request off its last path's
/// books a second time. How many tries it has had counts against attempts_max; with kernel_strict,
/// which knows no limit, only whether it has been tried at all.
uint32_t World::class_of(const Request& request) const {
    const uint32_t code = static_cast<uint32_t>(request.place) << 12;
    if (request.place == Place::done || request.place == Place::deferred) return code;
    const bool there = request.place == Place::on_path || request.place == Place::fenced;
    const bool counts = there || (config_->strict && config_->bio && request.ticket.attempts > 0);
    const uint32_t path = counts ? request.ticket.path + 1 : 0;
    const uint32_t attempts = request.ticket.attempts;
    return code | path << 8 | (config_->strict ? std::min(attempts, 1U) : attempts);
}

/// Drops what is done; the rest stands by class.
void World::sort_requests() {
    const auto begin = hands_.requests.begin();
    const auto end = std::remove_if(begin, begin + hands_.live, [](const Request& request) {
        return request.place == Place::done;
    });
    hands_.live = static_cast<uint32_t>(end - begin);
    std::sort(begin, end, [&](const Request& one, const Request& other) {
        return class_of(one) < class_of(other);
    });
}

/// Puts the requests that wait into their order number `order`.
void World::put_in_order(uint32_t order) {
    if (order == 0) return;
    std::array<Request*, world_requests_max> at{};
    std::vector<Request> waiting;
    for (uint32_t index = 0; index < hands_.live; ++index) {
        Request& request = hands_.requests[index];
        if (request.place < Place::held) continue;
        at[waiting.size()] = &request;
        waiting.push_back(request);
    }
    const auto by_class = [&](const Request& one, const Request& other) {
        return class_of(one) < class_of(other);
    };
    for (; order > 0; --order) std::next_permutation(waiting.begin(), waiting.end(), by_class);
    for (size_t index = 0; index < waiting.size(); ++index) *at[index] = waiting[index];
}

/// The requests at `place` are about to run again. Their order matters when they are not all alike;
/// then each order of all that wait is tried.
void World::count_orders(Place place) {
    std::vector<uint32_t> waiting;
    std::optional<uint32_t> first;
    bool differ = false;
    for (uint32_t index = 0; index < hands_.live; ++index) {
        const Request& request = hands_.requests[index];
        if (request.place < Place::held) continue;
        const uint32_t its_class = class_of(request);
        waiting.push_back(its_class);
        if (request.place != place) continue;
        differ = differ || first.value_or(its_class) != its_class;
        first = its_class;
    }
    if (!differ) return;
    std::sort(waiting.begin(), waiting.end());
    uint32_t orders = 1;
    while (std::next_permutation(waiting.begin(), waiting.end())) ++orders;
    orders_ = std::max(orders_, orders);
}

uint32_t World::count(Place place) const {
    uint32_t found = 0;
    for (uint32_t index = 0; index < hands_.live; ++index)
        found += hands_.requests[index].place == place;
    return found;
}

uint32_t World::count(Place place, PathId path) const {
    uint32_t found = 0;
    for (uint32_t index = 0; index < hands_.live; ++index) {
        const Request& request = hands_.requests[index];
        found += request.place == place && request.ticket.path == path;
    }
    return found;
}

void World::append_key(std::vector<uint64_t>& key) const {
    brain_->append_state(key);
    uint64_t requests = 0;
    for (uint32_t index = 0; index < hands_.live; ++index)
        requests = requests << 16 | (class_of(hands_.requests[index]) + 1);
    key.push_back(requests);
    uint64_t word = uint64_t{hands_.no_path_timer.has_value()} |
                    uint64_t{hands_.activation_timer.has_value()} << 1 |
                    uint64_t{hands_.fence_timer.has_value()} << 2 | uint64_t{hands_.noflush} << 3 |
                    static_cast<uint64_t>(hands_.state) << 4;
    // Of the ends of fences only their order counts: which of them the timer ends.
    uint64_t armed_rank = 0;
    for (PathId path = 0; path < config_->path_count(); ++path) {
        uint64_t rank = 0;
        if (count(Place::fenced, path) > 0) {
            for (PathId other = 0; other < config_->path_count(); ++other)
                rank += count(Place::fenced, other) > 0 &&
                        hands_.fence_ends[other] <= hands_.fence_ends[path];
            armed_rank += hands_.fence_timer && hands_.fence_ends[path] <= *hands_.fence_timer;
        }
        word |= rank << (8 + 4 * path);
        word |= uint64_t{hands_.activations[path]} << (32 + 4 * path);
        word |= uint64_t{hands_.vetoed[path]} << (48 + path);
    }
    key.push_back(word | armed_rank << 56);
}

std::optional<std::string_view> World::cut() const {
    for (PathId path = 0; path < config_->path_count(); ++path) {
        if (config_->strict && hands_.activations[path] > 2)
            return "kernel_strict: a third activation of a path while two are unanswered";
        if (config_->selector != "round-robin" && hands_.ended_twice[path] > 2)
            return "kernel_strict bio: a third request taken off a path's books twice";
    }
    return std::nullopt;
}

}  // namespace braidway::prove
