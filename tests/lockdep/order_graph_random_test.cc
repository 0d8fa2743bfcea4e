// SPDX-License-Identifier: Apache-2.0
// The graph against an oracle that tries everything.
#include <gtest/gtest.h>

#include <vector>

#include "base/random.h"
#include "lockdep/order_graph.h"
#include "lockdep/order_oracle.h"
#include "lockdep/paged_memory.h"

namespace braidway::lockdep {
namespace {

/// One random program: steps, writers and removals told to both the graph and the oracle.
class RandomProgram {
  public:
    explicit RandomProgram(uint64_t seed)
        : random_(seed), arena_(world_), graph_(arena_), seed_(seed) {
        oracle_.assume_writers = random_.below(8) == 0;
        graph_.assume_writers(oracle_.assume_writers);
        locks_ = 1 + random_.below(5);
        gates_most_ = random_.below(4);
        const uint64_t nodes = 2 + random_.below(5);
        for (uint64_t i = 0; i < nodes; ++i) add_node();
    }

    void run() {
        const uint64_t turns = 6 + random_.below(24);
        for (uint64_t i = 0; i < turns && !::testing::Test::HasFailure(); ++i) {
            const uint64_t what = random_.below(20);
            if (what == 0) {
                replace_node();
            } else if (what < 4) {
                add_writer();
            } else {
                add_step();
            }
        }
    }

    uint64_t rings = 0;

  private:
    NodeId any_node() { return nodes_[random_.below(nodes_.size())]; }

    void add_node() {
        const NodeId family = !nodes_.empty() && random_.below(2) == 0 ? any_node() : 0;
        const NodeId node = graph_.add_node(family);
        nodes_.push_back(node);
        oracle_.family[node] = family;
    }

    void replace_node() {
        const size_t at = random_.below(nodes_.size());
        graph_.remove(nodes_[at]);
        oracle_.remove(nodes_[at]);
        nodes_.erase(nodes_.begin() + static_cast<ptrdiff_t>(at));
        add_node();
    }

    std::vector<Gate> any_gates() {
        std::vector<Gate> gates;
        for (uint64_t i = random_.below(gates_most_ + 1); i > 0; --i) {
            gates.push_back({static_cast<LockId>(1 + random_.below(locks_)),
                             random_.below(3) == 0 ? Hold::shared : Hold::exclusive});
        }
        return gates;
    }

    void add_step() {
        const std::vector<Gate> gates = any_gates();
        OrderOracle::Way way{any_node(),
                             any_node(),
                             static_cast<Hold>(random_.below(2)),
                             static_cast<Want>(random_.below(3)),
                             OrderOracle::set_of(gates),
                             ++number_};
        const auto pair = [&](const auto& other) {
            return other.from == way.from && other.to == way.to;
        };
        if (std::ranges::count_if(oracle_.ways, pair) >= OrderGraph::ways_max) return;
        Evidence evidence;
        evidence.thread = number_;
        Ring ring;
        const bool found =
            graph_.add({way.from, way.to, way.hold, way.want, evidence}, gates, ring);
        const bool known = oracle_.knows(way);
        const uint32_t expected = known ? 0 : oracle_.shortest(way);
        if (!known) oracle_.add(way);
        EXPECT_EQ(found ? ring.length : 0, expected) << "seed " << seed_ << " step " << number_;
        if (!found) return;
        EXPECT_EQ(ring.steps[0].evidence.thread, number_) << "seed " << seed_;
        expect_blocks(ring);
    }

    void expect_blocks(const Ring& ring) {
        ++rings;
        std::vector<const OrderOracle::Way*> steps;
        for (const Step& step : ring.kept()) {
            for (const OrderOracle::Way& way : oracle_.ways) {
                if (way.number != step.evidence.thread) continue;
                EXPECT_TRUE(way.from == step.from && way.to == step.to && way.hold == step.hold &&
                            way.want == step.want);
                steps.push_back(&way);
            }
        }
        EXPECT_EQ(steps.size(), ring.length) << "seed " << seed_;
        EXPECT_TRUE(oracle_.blocks(steps)) << "seed " << seed_ << " number " << number_;
    }

    void add_writer() {
        const std::vector<Gate> gates = any_gates();
        const OrderOracle::Writer writer{any_node(), OrderOracle::set_of(gates)};
        if (std::ranges::count(oracle_.writers, writer.node, &OrderOracle::Writer::node) >=
            OrderGraph::ways_max) {
            return;
        }
        const bool known = oracle_.knows(writer);
        OrderOracle with = oracle_;
        with.writers.push_back(writer);
        bool expected = false;
        for (const OrderOracle::Way& way : oracle_.ways) {
            const auto is_new = [&](const auto& ring) { return !oracle_.blocks(ring); };
            expected = expected || (!known && with.shortest(way, is_new) != 0);
        }
        Ring ring;
        const bool found = graph_.add_writer(writer.node, gates, {}, ring);
        EXPECT_TRUE(graph_.has_writer(writer.node));
        if (known) {
            EXPECT_FALSE(found) << "seed " << seed_;
            return;
        }
        oracle_ = with;
        EXPECT_TRUE(found || !expected) << "seed " << seed_ << " after " << number_;
        if (found) expect_blocks(ring);
    }

    Random random_;
    TestSurroundings world_;
    Arena arena_;
    OrderGraph graph_;
    OrderOracle oracle_;
    std::vector<NodeId> nodes_;
    uint64_t seed_;
    uint64_t locks_ = 0;
    uint64_t gates_most_ = 0;
    uint32_t number_ = 0;
};

TEST(OrderGraphRandom, AgreesWithTryingEveryRingOfSmallGraphs) {
    uint64_t rings = 0;
    for (uint64_t seed = 1; seed <= 20'000 && !HasFailure(); ++seed) {
        RandomProgram program(seed);
        program.run();
        rings += program.rings;
    }
    EXPECT_GT(rings, 20'000u);
}

/// Can `to` reach `from`?
bool reaches(const std::vector<std::vector<char>>& edges, NodeId from, NodeId to) {
    std::vector<NodeId> seen{to};
    std::vector<char> is_seen(edges.size());
    is_seen[to] = 1;
    for (size_t i = 0; i < seen.size(); ++i) {
        if (seen[i] == from) return true;
        for (NodeId next = 1; next < edges.size(); ++next) {
            if (!edges[seen[i]][next] || is_seen[next]) continue;
            is_seen[next] = 1;
            seen.push_back(next);
        }
    }
    return false;
}

TEST(OrderGraphRandom, FindsExactlyTheRingsOfGraphsWithoutGatesWhileNodesComeAndGo) {
    for (uint64_t seed = 1; seed <= 12 && !HasFailure(); ++seed) {
        Random random(seed);
        TestSurroundings world;
        Arena arena(world);
        OrderGraph graph(arena);
        constexpr NodeId nodes = 60;
        for (NodeId i = 0; i < nodes; ++i) graph.add_node();
        std::vector<std::vector<char>> edges(2 * nodes + 300, std::vector<char>(2 * nodes + 300));
        std::vector<NodeId> live;
        for (NodeId i = 1; i <= nodes; ++i) live.push_back(i);
        const uint32_t removals_ppm = static_cast<uint32_t>(random.below(60'000));
        uint64_t count = 0;
        for (int turn = 0; turn < 1'000 && !HasFailure(); ++turn) {
            if (random.chance_ppm(removals_ppm)) {
                NodeId& node = live[random.below(live.size())];
                graph.remove(node);
                for (NodeId i = 0; i < edges.size(); ++i) {
                    count -= edges[node][i] + (i != node && edges[i][node]);
                    edges[node][i] = edges[i][node] = false;
                }
                node = graph.add_node();
                ASSERT_LT(node, edges.size());
            }
            const NodeId from = live[random.below(live.size())];
            const NodeId to = live[random.below(live.size())];
            Ring ring;
            const bool found = graph.add({from, to, Hold::exclusive, Want::write, {}}, {}, ring);
            EXPECT_EQ(found, !edges[from][to] && reaches(edges, from, to)) << "seed " << seed;
            count += !edges[from][to];
            edges[from][to] = true;
            EXPECT_EQ(graph.steps(), count) << "seed " << seed;
        }
        EXPECT_EQ(graph.nodes(), nodes);
    }
}

}  // namespace
}  // namespace braidway::lockdep
