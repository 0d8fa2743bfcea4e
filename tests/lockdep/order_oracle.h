// SPDX-License-Identifier: Apache-2.0
// The lock order graph by the letter of its rules, for small graphs: every ring, every choice of
// ways and of writers is tried.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <vector>

#include "lockdep/step.h"

namespace braidway::lockdep {

/// Remembers everything and knows no order, no distance and no limit.
class OrderOracle {
  public:
    using Gates = std::map<LockId, Hold>;

    struct Way {
        NodeId from;
        NodeId to;
        Hold hold;
        Want want;
        Gates gates;
        uint32_t number;  ///< Evidence::thread of the step.
    };
    struct Writer {
        NodeId node;
        Gates gates;
    };

    std::vector<Way> ways;
    std::vector<Writer> writers;
    std::map<NodeId, NodeId> family;
    bool assume_writers = false;

    static Gates set_of(std::span<const Gate> gates) {
        Gates set;
        for (const Gate& gate : gates) {
            const auto [at, fresh] = set.emplace(gate.lock, gate.hold);
            if (!fresh && gate.hold == Hold::exclusive) at->second = Hold::exclusive;
        }
        return set;
    }

    static bool compatible(const Gates& left, const Gates& right) {
        return std::ranges::none_of(left, [&](const auto& gate) {
            const auto other = right.find(gate.first);
            return other != right.end() &&
                   (gate.second == Hold::exclusive || other->second == Hold::exclusive);
        });
    }

    /// Does who takes `more` hold all of `less`?
    static bool covers(const Gates& more, const Gates& less) {
        return std::ranges::all_of(less, [&](const auto& gate) {
            const auto other = more.find(gate.first);
            return other != more.end() && other->second <= gate.second;
        });
    }

    /// Whatever `less` can do, `way` can.
    static bool stands_for(const Way& way, const Way& less) {
        return way.from == less.from && way.to == less.to && way.hold <= less.hold &&
               way.want <= less.want && covers(less.gates, way.gates);
    }
    bool knows(const Way& way) const {
        return std::ranges::any_of(ways, [&](const Way& known) { return stands_for(known, way); });
    }
    void add(const Way& way) {
        std::erase_if(ways, [&](const Way& known) { return stands_for(way, known); });
        ways.push_back(way);
    }
    bool knows(const Writer& writer) const {
        return std::ranges::any_of(writers, [&](const Writer& known) {
            return writes(known, writer.node) && covers(writer.gates, known.gates);
        });
    }

    /// The length of the shortest ring that begins with `start`; 0: there is none. `accept(ring)`
    /// says which rings count.
    template <typename Accept>
    uint32_t shortest(const Way& start, Accept accept) const {
        std::vector<const Way*> ring{&start};
        uint32_t best = 0;
        extend(ring, best, accept);
        return best;
    }
    uint32_t shortest(const Way& start) const {
        return shortest(start, [](const std::vector<const Way*>&) { return true; });
    }

    /// Can these steps, in this order, all wait at once?
    bool blocks(const std::vector<const Way*>& ring) const {
        std::vector<NodeId> needed;
        std::vector<Gates> taken;
        for (size_t i = 0; i < ring.size(); ++i) {
            const Way& way = *ring[i];
            const Way& next = *ring[(i + 1) % ring.size()];
            if (way.to != next.from) return false;
            for (const Gates& other : taken) {
                if (!compatible(way.gates, other)) return false;
            }
            taken.push_back(way.gates);
            if (next.hold == Hold::exclusive || way.want == Want::write) continue;
            if (way.want == Want::unfair_read) return false;
            if (!assume_writers) needed.push_back(way.to);
        }
        return writers_fit(needed, taken);
    }

    void remove(NodeId node) {
        std::erase_if(ways, [&](const Way& way) { return way.from == node || way.to == node; });
        std::erase_if(writers, [&](const Writer& writer) { return writer.node == node; });
        for (auto& [member, of] : family) {
            if (of == node) of = 0;
        }
        family.erase(node);
    }

  private:
    bool writes(const Writer& writer, NodeId node) const {
        if (writer.node == node) return true;
        const auto of = family.find(node);
        return of != family.end() && of->second == writer.node;
    }

    bool writers_fit(std::vector<NodeId> needed, std::vector<Gates>& taken) const {
        if (needed.empty()) return true;
        const NodeId node = needed.back();
        needed.pop_back();
        for (const Writer& writer : writers) {
            if (!writes(writer, node)) continue;
            if (!std::ranges::all_of(
                    taken, [&](const Gates& other) { return compatible(writer.gates, other); })) {
                continue;
            }
            taken.push_back(writer.gates);
            const bool fit = writers_fit(needed, taken);
            taken.pop_back();
            if (fit) return true;
        }
        return false;
    }

    template <typename Accept>
    void extend(std::vector<const Way*>& ring, uint32_t& best, Accept accept) const {
        if (best != 0 && ring.size() >= best) return;
        if (ring.back()->to == ring.front()->from) {
            if (blocks(ring) && accept(ring)) best = static_cast<uint32_t>(ring.size());
            return;
        }
        for (const Way& way : ways) {
            if (way.from != ring.back()->to) continue;
            if (std::ranges::any_of(ring, [&](const Way* on) { return on->from == way.from; })) {
                continue;
            }
            ring.push_back(&way);
            extend(ring, best, accept);
            ring.pop_back();
        }
    }
};

}  // namespace braidway::lockdep
